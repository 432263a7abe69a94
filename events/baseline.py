"""A person at rest, as the model sees them: what it says then is taken off what it says later.

People rest with a tilted head or a hand at the chin, and a model takes that for an action that never ends. So the first
seconds of a session, in which the person sits still, set an offset for each action. Probabilities are shifted by it in
log-odds, each action by itself. Only actions that rest near or above the posterior at which their event would end are
lowered, and by no more than brings them safely below it: nothing else changes.
"""

from __future__ import annotations

import numpy as np

from engines.common.errors import BadInput
from events.limits import NAMES
from events.log_odds import log_odds, lowered
from events.posterior import FloatArray
from events.types import Float32Array

LEAST_WINDOWS = 4  # to measure on
MARGIN = 2.5  # log-odds that a resting action is kept below the posterior at which its event ends


class Baseline:
    """Measures, then shifts. One camera's; windows in the order of media time.

    Args:
        rest_ns: how long the person sits still, from the start of the first window.
        span_ns: of a window.
        exit_: (K,) posteriors below which events end.

    Raises:
        BadInput: too short to hold a window and its follower.
    """

    def __init__(self, rest_ns: int, span_ns: int, exit_: FloatArray) -> None:
        if rest_ns < 1.5 * span_ns:
            raise BadInput(
                f"a baseline of {1.5 * span_ns * 1e-9:.1f} s or more, as windows are {span_ns * 1e-9:g} s",
                f"{rest_ns * 1e-9:g} s",
                "give --baseline 8, for instance",
            )
        self.rest_s = rest_ns * 1e-9
        self._rest_ns = rest_ns
        self._allowed = log_odds(exit_) - MARGIN
        self._resting: list[FloatArray] = []  # (K,) log-odds each
        self._until_ns: int | None = None
        self.windows = 0  # measured on
        self.offsets: FloatArray | None = None  # (K,) log-odds taken off; none while it measures

    def take(self, start_ns: int, end_ns: int, probs: Float32Array) -> Float32Array | None:
        """Probabilities (K,) or (T, K) as they count against this person's rest; None for those it is measured on."""
        if self._until_ns is None:
            self._until_ns = start_ns + self._rest_ns
        if self.offsets is None and (end_ns <= self._until_ns or len(self._resting) < LEAST_WINDOWS):
            self._resting.append(np.atleast_2d(log_odds(probs)).max(axis=0))
            self.windows += 1
            return None
        if self.offsets is None:
            self.offsets = np.maximum(np.max(self._resting, axis=0) - self._allowed, 0.0)
            self._resting.clear()
        return lowered(probs, log_odds(probs), self.offsets)

    def __str__(self) -> str:
        """In one line, for people."""
        if self.offsets is None:
            return f"sit still for {self.rest_s:g} s: the baseline is being measured"
        order = [index for index in np.argsort(-self.offsets, kind="stable") if self.offsets[index] > 0.0]
        named = [f"{NAMES[index]} by {self.offsets[index]:.1f}" for index in order]
        return f"baseline: {', '.join(named)} in log-odds" if named else "baseline: nothing had to be lowered"
