"""Predictions that score every step to one posterior per moment.

A moment is judged once, by the first window that reaches far enough behind it: the look-ahead. Its cell is as long as
a step and centred on it, so that onsets are exact to a step. Where no picture stands for a moment, there is no cell:
cells that do not touch have a gap between them.
"""

from __future__ import annotations

import numpy as np

from events.posterior import Cell
from events.types import Float32Array, Prediction


class StepGrid:
    """The moments of one camera; windows in the order of media time.

    Attributes:
        span_ns: of a window.
        step_ns: between two of its steps; half of it is what a cell reaches behind its moment.
    """

    def __init__(self, span_ns: int, step_ns: int, lookahead_ns: int) -> None:
        if not 0 < step_ns <= span_ns or not 0 <= lookahead_ns < span_ns:
            raise ValueError(
                f"expected 0 < step <= span and 0 <= look-ahead < span, got {step_ns}, {span_ns}, {lookahead_ns} ns"
            )
        self.span_ns, self.step_ns, self._lookahead_ns = span_ns, step_ns, lookahead_ns
        self._judged_ns: int | None = None  # end of the last judged cell
        self._newest: Prediction | None = None
        self._probs = np.zeros((0, 0), np.float32)

    def continues(self, start_ns: int) -> bool:
        """Does a window from `start_ns` overlap or touch the one before? True where there is none."""
        return self._newest is None or start_ns <= self._newest.end_ns

    def add(self, prediction: Prediction, probs: Float32Array) -> list[Cell]:
        """Take the next window with its probabilities (T, K); return the cells that need not wait, oldest first.

        Raises:
            ValueError: it does not score steps.
        """
        if prediction.steps is None:
            raise ValueError("expected a prediction that scores steps")
        self._newest, self._probs = prediction, probs
        return self._judge(int(prediction.steps.times_ns[-1]) - self._lookahead_ns)

    def close(self) -> list[Cell]:
        """Nothing follows the last window: judge what still waits, with what there is."""
        cells = self._judge(None)
        self._newest = None
        return cells

    def _judge(self, last_ns: int | None) -> list[Cell]:
        """The cells of steps up to `last_ns`, None: all. No cell reaches beyond the end of the recording."""
        if self._newest is None or self._newest.steps is None:
            return []
        steps, until_ns, half_ns = self._newest.steps, self._newest.judged_until_ns, self.step_ns // 2
        cells = []
        for at in np.flatnonzero(steps.seen).tolist():
            time_ns = int(steps.times_ns[at])
            if last_ns is not None and time_ns > last_ns:
                break
            start_ns, end_ns = time_ns - half_ns, min(time_ns - half_ns + self.step_ns, until_ns)
            if self._judged_ns is not None and start_ns - self._judged_ns <= half_ns:
                start_ns = self._judged_ns  # they touch, whatever the rounding
            else:
                start_ns = time_ns  # nothing was seen before
            if start_ns < end_ns:
                moved = None if steps.moved is None else steps.moved[at]
                cells.append(Cell(start_ns, end_ns, self._probs[at], moved))
                self._judged_ns = end_ns
        return cells
