"""What a run's stamps amount to: figures of every stage, a table for people, JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from events.types import Stamps
from realtime.clock import NS_PER_MS
from realtime.latency.log import Figures, Int64Array, LatencyLog
from realtime.latency.stages import FRAME_COLUMNS, STAGES, STAMPS, WINDOW_COLUMNS
from realtime.messages import Frame
from realtime.output.lines import OtherClock

TRIED = 2000  # records that the cost of measuring is taken from
BUDGET = 0.01  # of a frame interval


class StageReport(msgspec.Struct, frozen=True):
    """One stage, ms."""

    stage: str
    of: str  # frame or window
    meaning: str
    run: Figures
    last_10_s: Figures | None


class Cost(msgspec.Struct, frozen=True):
    """What measuring itself took, from recording this run's stamps once more."""

    us_per_frame: float
    us_per_window: float
    share_of_frame_interval: float  # frames and windows together


class ScreenReport(msgspec.Struct, frozen=True):
    """Glass to glass, ms. Every figure is right to `within_ms`, half the time that a code is on the screen, and half
    the camera's exposure: a code that changes while it is exposed cannot be read."""

    pictures: int  # that were searched for codes
    read: int  # of them, with a code that says when
    within_ms: float
    photon_to_frame: Figures | None  # handed over to the display → grabbed
    photon_to_event: Figures | None  # … → the window it was the newest frame of was reported

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(
            f"glass to glass: {self.read} of {self.pictures} pictures showed a code; each figure is right to "
            f"{self.within_ms:.1f} ms and half the camera's exposure"
        )
        if self.photon_to_frame is None:
            yield Text("no code was read: point the camera at the screen, near enough for a quarter of the picture")
            return
        table = Table(box=None, pad_edge=False)
        for name in ("ms", "n", "p50", "p90", "p99", "max", "jitter"):
            table.add_column(name, justify="left" if name == "ms" else "right")
        for name, values in (("photon to frame", self.photon_to_frame), ("photon to event", self.photon_to_event)):
            if values:
                cells = (values.p50, values.p90, values.p99, values.max, values.jitter)
                table.add_row(name, str(values.count), *(f"{value:.1f}" for value in cells))
        yield table
        yield Text("Photon time begins when a code is handed over to the display: the display's own delay is in it.")


class Report(msgspec.Struct, frozen=True):
    """A run's latency. `windows + Σ skipped = windows_due`."""

    source: str
    model: str
    engine: str
    overlay: bool  # was drawn
    seconds: float  # first grab to last report
    frames: int
    frame_interval_ms: float  # median
    windows_due: int
    windows: int
    dropped: dict[str, int]
    skipped: dict[str, int]
    stages: list[StageReport]
    measuring: Cost | None  # None where nothing was measured
    other_clock_ms: OtherClock | None = None  # where the camera is another machine's
    screen: ScreenReport | None = None  # where it filmed one with codes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= 118
        yield Text(
            f"{self.source} · {self.model} on {self.engine} · {self.seconds:.1f} s, {self.frames} frames, "
            f"{self.windows} of {self.windows_due} windows judged"
        )
        for text, counts in (("frames dropped", self.dropped), ("windows skipped", self.skipped)):
            causes = ", ".join(f"{count} {cause}" for cause, count in counts.items() if count)
            yield Text(f"{text}: {causes or 'none'}")
        if not self.stages:
            yield Text("no frame arrived: there is nothing to measure")
            return
        yield _table("over the run, ms", [(one, one.run) for one in self.stages], meaning=wide)
        yield _table(
            "over the last 10 s, ms", [(one, one.last_10_s) for one in self.stages if one.last_10_s], meaning=wide
        )
        if self.other_clock_ms is not None:
            clock = self.other_clock_ms
            yield Text(
                f"the camera's machine: its clock is {-clock.offset:+.3f} ms from this one's, within "
                f"{clock.error:.3f} ms; stamps are corrected, so wire and the sums are that uncertain"
            )
        if self.screen is not None:
            yield self.screen
        if not self.overlay:
            yield Text("no overlay was drawn: overlay and to screen have no figures")
        if self.measuring is not None:
            cost = self.measuring
            verdict = "within" if cost.share_of_frame_interval < BUDGET else "ABOVE"
            yield Text(
                f"measuring took {cost.us_per_frame:.1f} µs a frame and {cost.us_per_window:.1f} µs a window: "
                f"{cost.share_of_frame_interval:.3%} of a frame interval ({self.frame_interval_ms:.1f} ms), "
                f"{verdict} the budget of {BUDGET:.0%}"
            )


def _table(title: str, rows: list[tuple[StageReport, Figures]], meaning: bool) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("of")
    for name in ("n", "p50", "p90", "p99", "p99.9", "max", "jitter"):
        table.add_column(name, justify="right")
    if meaning:
        table.add_column("from, to")
    for one, values in rows:
        cells = [_ms(value) for value in (values.p50, values.p90, values.p99, values.p99_9, values.max, values.jitter)]
        table.add_row(one.stage, one.of, str(values.count), *cells, *([one.meaning] if meaning else []))
    return table


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def stage_reports(log: LatencyLog) -> list[StageReport]:
    """Every stage that was measured, in the order of the path."""
    found = [(stage, log.run(stage)) for stage in STAGES]
    return [StageReport(stage.name, stage.of, stage.meaning, run, log.recent(stage)) for stage, run in found if run]


def frame_interval_ms(log: LatencyLog) -> float:
    """Median time between two grabs; 0 before the second."""
    captured = log.rows("frame")[:, FRAME_COLUMNS.index("captured_ns")]
    return float(np.median(np.diff(captured))) / NS_PER_MS if len(captured) > 1 else 0.0


def duration_s(log: LatencyLog) -> float:
    """First kept grab to last stamp."""
    stamps = log.rows("frame")[:, FRAME_COLUMNS.index("captured_ns") :]
    windows = log.rows("window")[:, WINDOW_COLUMNS.index("reported_ns")]
    return float(max(stamps.max(), windows.max(initial=0)) - stamps[:, 0].min()) * 1e-9 if len(stamps) else 0.0


def cost(log: LatencyLog) -> Cost | None:
    """Record the stamps of this run into a fresh log, and time that. None without frames."""
    frames, windows = log.rows("frame"), log.rows("window")
    interval_ms = frame_interval_ms(log)
    if not len(frames) or not interval_ms:
        return None
    scratch = LatencyLog()
    body = np.zeros((1, 1, 3), np.uint8)
    messages = [
        (Frame(0, at, row[2], row[1], body, read_ns=row[3], viewed_ns=row[4], faced_ns=row[5]), row[6], row[7])
        for at, row in enumerate(_repeated(frames))
    ]
    started = time.perf_counter_ns()
    for frame, received_ns, windowed_ns in messages:
        scratch.frame(frame, received_ns, windowed_ns)
    per_frame_us = (time.perf_counter_ns() - started) / TRIED / 1000
    per_window_us = 0.0
    if len(windows):
        stamps = [(row[0], row[1], Stamps(*row[2 : 2 + len(STAMPS)])) for row in _repeated(windows)]
        started = time.perf_counter_ns()
        for index, frame_id, stamp in stamps:
            scratch.window(index, frame_id, stamp)
        per_window_us = (time.perf_counter_ns() - started) / TRIED / 1000
    together_us = per_frame_us + per_window_us * len(windows) / len(frames)
    return Cost(round(per_frame_us, 2), round(per_window_us, 2), together_us / 1000 / interval_ms)


def _repeated(rows: Int64Array) -> Iterator[list[int]]:
    listed = rows[-TRIED:].tolist()
    return (listed[at % len(listed)] for at in range(TRIED))
