"""Which windows of simulated sessions to train on.

Actions of balanced sessions happen equally often, but a foot slides for a second and legs stay crossed for ten: of
windows picked evenly twelve times as many show the one as the other, while every action counts the same in the score.
So windows with rare actions are picked more often. What that adds to an action's log-odds is added to its logit in the
loss and in the loss alone (logit adjustment, Menon et al. 2021, "Long-tail learning via logit adjustment", section 3),
so that probabilities are those of windows as they come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.taxonomy import ACTIONS
from training.data.examples import Float32Array

LEAST, MOST = 0.5, 5.0  # of a window with some action, relative to one without any
SHOWN = 0.25  # share of the middle of a window from which an action counts as there


@dataclass(frozen=True, slots=True, eq=False)
class Preference:
    """How much more often windows with an action are picked than windows without any."""

    weights: Float32Array  # (52,)
    offsets: Float32Array  # (52,) what it adds to the log-odds of each action

    def chance(self, targets: Float32Array) -> Float32Array:
        """Chance (K,), up to 1, that windows with these targets (K, 52) are taken when they come up."""
        shown = np.where(targets > SHOWN, self.weights, 0.0).max(axis=1)
        chances = np.where(shown > 0.0, shown, 1.0) / max(float(self.weights.max()), 1.0)
        return np.asarray(chances, np.float32)


def prefer_rare(targets: Float32Array) -> Preference:
    """Preference by the actions' shares of windows as they come, `targets` (K, 52).

    Windows of an action that is half as frequent are picked twice as often, relative to the median action and within
    `LEAST`..`MOST`. Actions that are not there are as preferred as the rarest.
    """
    shares = targets.mean(axis=0)
    median = np.median(shares[shares > 0.0]) if shares.any() else 1.0
    weights = np.clip(median / np.maximum(shares, 1e-9), LEAST, MOST).astype(np.float32)
    plain = Preference(weights, np.zeros(len(ACTIONS), np.float32))
    chances = plain.chance(targets)
    picked = chances @ targets / chances.sum()
    offsets = np.where(shares > 0.0, _log_odds(picked) - _log_odds(shares), 0.0)
    return Preference(weights, offsets.astype(np.float32))


def _log_odds(shares: Float32Array) -> Float32Array:
    bounded = np.clip(shares.astype(np.float64), 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(bounded / (1.0 - bounded)), np.float32)
