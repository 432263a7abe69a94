"""Every stamp of a session: histograms over the whole run, and the newest rows as they are. Both of bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from operator import attrgetter

import msgspec
import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from events.types import Stamps
from realtime.clock import NS_PER_MS
from realtime.latency.stages import COARSE, FRAME_COLUMNS, STAGES, STAMPS, WINDOW_COLUMNS, Of, Stage
from realtime.messages import Frame

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

HIGHEST_US = 600_000_000  # ten minutes; longer is counted as this
DIGITS = 3  # significant digits of a histogram: its values are within 0.1 % or 1 µs
RECENT_NS = 10_000_000_000
ROWS_RECENT = 4096  # frames; 10 s at up to 400 frames/s
ROWS_FILES = 1 << 17  # frames; 73 minutes at 30 frames/s in 7 MB
_stamps = attrgetter(*STAMPS)
_REPORTED, _SHOWN = WINDOW_COLUMNS.index("reported_ns"), WINDOW_COLUMNS.index("shown_ns")
_WINDOWED = FRAME_COLUMNS.index("windowed_ns")


class Figures(msgspec.Struct, frozen=True):
    """What a stage took, ms. Jitter is the mean change from one to the next."""

    count: int
    p50: float
    p90: float
    p99: float
    p99_9: float
    max: float
    jitter: float


class Ring:
    """The newest rows of int64 columns. One thread writes."""

    def __init__(self, columns: int, capacity: int) -> None:
        self._rows = np.zeros((capacity, columns), np.int64)
        self.count = 0  # rows ever added

    def add(self, row: Sequence[int]) -> None:
        self._rows[self.count % len(self._rows)] = row
        self.count += 1

    def set(self, index: int, column: int, value: int) -> None:
        """Change one value of the row that was the `index`-th added, if it is still here."""
        if self.first <= index < self.count:
            self._rows[index % len(self._rows), column] = value

    def get(self, index: int, column: int) -> int:
        """One value of the row that was the `index`-th added; it must still be here (`first`)."""
        return int(self._rows[index % len(self._rows), column])

    @property
    def first(self) -> int:
        """Index of the oldest row that is kept."""
        return max(0, self.count - len(self._rows))

    def rows(self) -> Int64Array:
        """(K, C) a copy of what is kept, oldest first."""
        count, capacity = self.count, len(self._rows)
        if count <= capacity:
            return self._rows[:count].copy()
        return np.roll(self._rows, -(count % capacity), axis=0)


class _Tally:
    """Histogram and jitter of one stage over the whole run."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, HIGHEST_US, DIGITS)
        self._last_us = -1
        self._changes_us = 0

    def add(self, span_ns: int) -> None:
        span_us = min(max((span_ns + 500) // 1000, 1), HIGHEST_US)
        self._histogram.record_value(span_us)
        if self._last_us >= 0:
            self._changes_us += abs(span_us - self._last_us)
        self._last_us = span_us

    def figures(self) -> Figures | None:
        count = self._histogram.get_total_count()
        if not count:
            return None
        values = self._values_ms(50.0, 90.0, 99.0, 99.9)
        jitter = self._changes_us / 1000 / (count - 1) if count > 1 else 0.0
        return Figures(
            count, values[0], values[1], values[2], values[3], self._histogram.get_max_value() / 1000, round(jitter, 4)
        )

    def pair(self) -> tuple[float, float]:
        """(p50, p99) in ms."""
        p50, p99 = self._values_ms(50.0, 99.0)
        return p50, p99

    def _values_ms(self, *percentiles: float) -> list[float]:
        """As the histogram's own look-up, which takes milliseconds: too long to keep the drain thread waiting."""
        histogram = self._histogram
        until = np.cumsum(np.ctypeslib.as_array(histogram.counts))  # (buckets,)
        ranks = [max(1, int(share / 100.0 * int(until[-1]) + 0.5)) for share in percentiles]
        starts = [histogram.get_value_from_index(int(at)) for at in np.searchsorted(until, ranks)]
        return [float(histogram.get_highest_equivalent_value(value)) / 1000 for value in starts]

    @property
    def empty(self) -> bool:
        return self._last_us < 0


class LatencyLog:
    """Stamps of frames and windows. The drain thread adds frames, the engine's thread windows, the main thread screens.

    Args:
        rows: frames and windows whose stamps are kept one by one; older ones live on in the histograms alone.
    """

    def __init__(self, rows: int = ROWS_RECENT) -> None:
        self._lock = threading.Lock()
        self._frames, self._windows = Ring(len(FRAME_COLUMNS), rows), Ring(len(WINDOW_COLUMNS), rows)
        self._tallies = {stage.name: _Tally() for stage in STAGES}
        self._coarse = {stage.name: _Tally() for stage in COARSE}
        self._plans = {
            of: [
                (*stage.columns, self._tallies[stage.name])
                for stage in STAGES
                if stage.of == of and stage.end != "shown_ns"
            ]
            for of in ("frame", "window")
        }
        self._plans["window"] += [(*stage.columns, self._coarse[stage.name]) for stage in COARSE]
        self._drawn = [(stage.columns[0], self._tallies[stage.name]) for stage in STAGES if stage.end == "shown_ns"]
        self._shown = 0  # windows that were on the screen, or before a screen was drawn

    def frame(self, frame: Frame, received_ns: int, windowed_ns: int) -> None:
        """Add a frame that came off the wire and is in the window now."""
        row = (frame.frame_id, frame.media_ns, *frame.stamps, received_ns, windowed_ns)
        with self._lock:
            self._frames.add(row)
            for start, end, tally in self._plans["frame"]:
                tally.add(row[end] - row[start])

    def window(self, index: int, frame_id: int, stamps: Stamps) -> None:
        """Add a window that was judged and reported; `frame_id` is its newest frame's."""
        row = (index, frame_id, *_stamps(stamps), 0)
        with self._lock:
            self._windows.add(row)
            for start, end, tally in self._plans["window"]:
                if row[end]:  # the engine is this machine's, or a server's
                    tally.add(row[end] - row[start])

    def drawn(self, windows: int, now_ns: int) -> None:
        """A screen was drawn that holds the first `windows` windows (`counts`, read before it was drawn)."""
        with self._lock:
            for index in range(max(self._shown, self._windows.first), windows):
                self._windows.set(index, _SHOWN, now_ns)
                for start, tally in self._drawn:
                    tally.add(now_ns - self._windows.get(index, start))
            self._shown = max(self._shown, windows)

    @property
    def counts(self) -> tuple[int, int]:
        """Frames and windows so far."""
        return self._frames.count, self._windows.count

    def rows(self, of: Of) -> Int64Array:
        """(K, C) the stamps that are kept, oldest first; columns as in `stages.COLUMNS`. A 0 is not stamped (yet)."""
        with self._lock:
            return (self._frames if of == "frame" else self._windows).rows()

    def percentiles(self) -> dict[str, tuple[float, float]]:
        """Coarse stage → (p50, p99) in ms; empty before the first window."""
        with self._lock:
            return {name: tally.pair() for name, tally in self._coarse.items() if not tally.empty}

    def run(self, stage: Stage) -> Figures | None:
        """Over the whole run; None where nothing was measured."""
        with self._lock:
            return self._tallies[stage.name].figures()

    def recent(self, stage: Stage) -> Figures | None:
        """Over the last 10 s before the newest stamp, exact."""
        rows = self.rows(stage.of)
        when = rows[:, _WINDOWED if stage.of == "frame" else _REPORTED]
        if not len(rows):
            return None
        return figures(spans_ms(rows[when > when[-1] - RECENT_NS], stage))


def spans_ms(rows: Int64Array, stage: Stage) -> FloatArray:
    """(K,) what a stage took in each of (N, C) rows, ms; K < N where some never reached its end."""
    start, end = stage.columns
    done = rows[rows[:, end] > 0]
    return (done[:, end] - done[:, start]) / NS_PER_MS


def figures(values_ms: FloatArray) -> Figures | None:
    """The same of values at hand: (K,) ms."""
    if not len(values_ms):
        return None
    p50, p90, p99, p99_9, most = np.percentile(values_ms, [50, 90, 99, 99.9, 100], method="higher").round(4).tolist()
    jitter = float(np.abs(np.diff(values_ms)).mean()) if len(values_ms) > 1 else 0.0
    return Figures(len(values_ms), p50, p90, p99, p99_9, most, round(jitter, 4))
