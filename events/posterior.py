"""Overlapping windows to one posterior per moment: overlap-add on a uniform time grid.

Every cell of the grid is one hop long. Its posterior is the weighted mean of the calibrated probabilities of the
windows that cover it, a window counting the more the nearer its centre is to the cell (Hamming taper), as streaming
diarisation aggregates overlapping chunks (Coria et al. 2021, "Overlap-aware low-latency online speaker diarization",
section 2.4).

The latency knob sets how many later windows a cell waits for. Unlike a diariser, a window here has one score for its
whole span, which speaks of the *middle* of its frames; and with a short latency most windows that cover a cell are
centred before it. Taken at face value, every onset would be reported too late: by 0.45 s with a span of 1.9 s, a hop of
0.25 s and a latency of 0.5 s (0.12 s less where the frames lie half a segment late). The mean distance between a cell
and the windows it is made of is known beforehand (`lag_ns`), so cells are dated back by it: the same decision at the
same instant, with an honest date and hence an honest delay.

What bias remains is the model's: a window counts an action once enough of it is inside. Were the score to jump at a
share of one half, dates would be right on average. Events begin and end where the posterior crosses exit; at a lower
one it does so sooner at the onset and later at the offset, so runs are wider than the truth, around the same middle: at
worst, with a score that is proportional to the share, by (1/2 - exit) · span at either end, 0.57 s as measured with the
defaults; with window logits that mix in proportion to the share, which is what averaging frame logits does, by 0.32 s.
The aggregator takes up to half a cell of that back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from events.types import BoolArray, Float32Array, Prediction

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One judged moment, on the media clock."""

    start_ns: int
    end_ns: int
    probs: Float32Array  # (K,) posterior of each class
    moved: BoolArray | None = None  # (7,) whether the body part moves: no event begins where it does not; None: all do


class PosteriorGrid:
    """The grid of one camera.

    Windows that overlap or touch make a *stretch*; the grid is anchored at the end of its first window. Where two
    windows neither overlap nor touch, nothing was seen between them: the stretch is over (`continues` is False), and
    the caller closes it before it adds the next window. No cell ever reaches over such a gap.

    What the first window shows is taken to hold since its start, and what the last one shows until its end.
    """

    def __init__(self, span_ns: int, hop_ns: int, latency_ns: int, centre_shift_ns: int = 0) -> None:
        """`latency_ns` is clipped to one hop .. the last window that covers a cell, and rounded down to whole hops.

        `centre_shift_ns`: how much later than its middle the frames of a window are centred.
        """
        if span_ns < 1 or hop_ns < 1 or latency_ns < 0:
            raise ValueError(
                f"expected span and hop >= 1 ns and latency >= 0 ns, got {span_ns}, {hop_ns}, {latency_ns}"
            )
        self.span_ns = span_ns
        self._centre_ns = span_ns / 2 + centre_shift_ns  # from a window's start to the middle of its frames
        self.step_ns = min(hop_ns, span_ns)  # windows further apart than their span have a stretch each
        self._half_ns = (self.step_ns + 1) // 2  # from a cell's centre to its end
        covering = (span_ns - self._half_ns) // self.step_ns  # windows after the first that cover a cell's centre
        later = min(max(latency_ns // hop_ns, 1), covering)
        self.wait_ns = later * self.step_ns  # from a cell's end to the end of the last window it waits for
        self.lag_ns = self._lag_ns(later)
        self._windows: deque[tuple[int, int, FloatArray]] = deque()  # (start, end, probs), oldest first
        self._cell_end_ns = 0  # of the next cell, before dating back
        self._last: Cell | None = None

    def _lag_ns(self, later: int) -> int:
        """Weighted mean distance from the centres of the windows to that of the cell, all windows present."""
        nearest_ns = self.span_ns - self._centre_ns - self.step_ns / 2  # of the window that ends with the cell
        distances = np.array([nearest_ns - k * self.step_ns for k in range(later + 1)])
        weights = _taper(distances / self.span_ns)
        return max(round(float(distances @ weights / weights.sum())), 0)

    def continues(self, start_ns: int) -> bool:
        """Does a window from `start_ns` belong to the present stretch? True where there is none."""
        return not self._windows or start_ns <= self._windows[-1][1]

    def add(self, prediction: Prediction, probs: Float32Array) -> list[Cell]:
        """Take the next window with its probabilities (K,); return the cells that no longer wait for any, oldest first.

        A cell whose last window is missing is judged by the next one that comes, with all that cover it by then.

        Raises:
            ValueError: the window is not of the span's length, not after the last one, or beyond a gap.
        """
        start_ns, end_ns = prediction.start_ns, prediction.end_ns
        if end_ns - start_ns != self.span_ns:
            raise ValueError(f"expected a window of {self.span_ns} ns, got {start_ns}..{end_ns}")
        if self._windows and not self._windows[-1][1] < end_ns:
            raise ValueError(f"expected a window that ends after {self._windows[-1][1]}, got {end_ns}")
        if not self.continues(start_ns):
            raise ValueError(f"window {start_ns}..{end_ns} lies beyond a gap: close the stretch first")
        if not self._windows:
            # The first cell is the first one that, dated back, does not begin before the first window does.
            self._cell_end_ns = end_ns - ((self.span_ns - self.lag_ns) // self.step_ns - 1) * self.step_ns
        self._windows.append((start_ns, end_ns, probs.astype(np.float64)))
        return self._judge(end_ns - self.wait_ns)

    def close(self) -> list[Cell]:
        """End the stretch: judge all cells that its windows reach, with what there is."""
        if not self._windows:
            return []
        end_ns = self._windows[-1][1]
        cells = self._judge(end_ns)
        if self._last is not None and self._last.end_ns < end_ns:
            cells.append(Cell(self._last.end_ns, end_ns, self._last.probs))
        self._windows.clear()
        self._last = None
        return cells

    def _judge(self, until_ns: int) -> list[Cell]:
        cells = []
        while self._cell_end_ns <= until_ns:
            end_ns = self._cell_end_ns
            centre_ns = end_ns - self._half_ns
            while self._windows[0][1] <= centre_ns:  # covers neither this cell nor any later one
                self._windows.popleft()
            shift_ns = end_ns - self.lag_ns
            self._last = Cell(shift_ns - self.step_ns, shift_ns, self._posterior(centre_ns))
            cells.append(self._last)
            self._cell_end_ns += self.step_ns
        return cells

    def _posterior(self, centre_ns: int) -> Float32Array:
        covering = [window for window in self._windows if window[0] <= centre_ns < window[1]]
        distances = np.array([centre_ns - start - self._centre_ns for start, _, _ in covering])
        weights = _taper(distances / self.span_ns)
        mean = weights @ np.stack([probs for _, _, probs in covering]) / weights.sum()  # (n,) @ (n, K)
        posterior: Float32Array = mean.astype(np.float32)  # takes the rounding off: constant scores stay constant
        return posterior


def _taper(distances: FloatArray) -> FloatArray:
    """Hamming taper over -1/2 .. 1/2 of a window; never 0, so that a single window always counts."""
    weights: FloatArray = 0.54 + 0.46 * np.cos(2.0 * np.pi * distances)
    return weights
