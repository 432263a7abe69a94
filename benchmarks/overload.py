"""An engine ten times too slow: is every frame still drained, every window accounted for, and nothing stale?"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.harness import Result, loop_recording, machine
from benchmarks.recording import write_recording
from benchmarks.sessions import TimedRuntime, run_session
from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from realtime.clock import to_ns
from realtime.config import Config
from realtime.latency.stages import WINDOW_COLUMNS
from realtime.session_loop import SessionLoop

MINUTES = 30  # of media
SPEED = 15.0
SLOWER = 10
MODEL = "untrained-small"


@dataclass(slots=True)
class Watch:
    """What is seen of a session while it runs."""

    memory: list[tuple[float, float]] = field(default_factory=list)  # (share of the recording, MB)
    ages_ms: list[float] = field(default_factory=list)  # of judged windows, when their answer came
    drained: dict[str, float | str] = field(default_factory=dict)

    def during(self, session: SessionLoop) -> None:
        own = psutil.Process(os.getpid())
        while not session.pipelines[0].capture.pid:
            time.sleep(0.01)
        capture = psutil.Process(session.pipelines[0].capture.pid)
        while session.engine.alive:
            try:
                resident = own.memory_info().rss + capture.memory_info().rss
            except psutil.NoSuchProcess:
                break
            self.memory.append((session.position_ns / to_ns(MINUTES * 60.0), resident / 1e6))
            self.ages_ms.extend(_new_ages(session, len(self.ages_ms)))
            time.sleep(0.25)

    def after(self, session: SessionLoop) -> None:
        self.ages_ms.extend(_new_ages(session, len(self.ages_ms)))
        intake = session.pipelines[0].intake
        self.drained = {"grabbed": intake.status.grabbed, "sent": intake.status.sent, "received": intake.received}

    def median_mb(self, first: float, last: float) -> float:
        """Of the recording's part between these shares."""
        return statistics.median(mb for share, mb in self.memory if first <= share < last)


def run() -> Result:
    """The worst age of a judged window against the staleness budget plus the longest engine time."""
    config, seen = Config(), Watch()
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        short, recording = Path(folder) / "short.mp4", Path(folder) / "long.mp4"
        write_recording(short, 60.0, seed=0)
        loop_recording(short, recording, times=MINUTES)
        model = Bundle.load(bundles.find(MODEL))
        with open_runtime(model, "onnxruntime", threads=1) as runtime:
            slow = TimedRuntime(runtime, SLOWER)
            (stats,) = run_session([recording], model, slow, config, seen.during, SPEED, seen.after)
    early, late = seen.median_mb(0.1, 0.2), seen.median_mb(0.9, math.inf)
    budget_ms = config.engine.staleness_s * 1000 + slow.longest_s * 1000
    skipped = sum(stats.skipped.values())
    return Result(
        ours=max(seen.ages_ms),
        other=budget_ms,
        ratio=budget_ms / max(seen.ages_ms),
        unit="ms old",
        compared=f"the oldest of {len(seen.ages_ms)} judged windows when its answer came, against the staleness budget "
        f"plus the longest engine time; {MINUTES} min of media at {SPEED:g}x, {MODEL} in ONNX Runtime on one thread, "
        f"every window inferred {SLOWER} times",
        machine=machine(),
        details={
            **seen.drained,
            "windows_due": stats.windows_due,
            "windows": stats.windows,
            "skipped": skipped,
            "unaccounted": stats.windows_due - stats.windows - skipped,
            "dropped": str(stats.dropped),
            "memory_early_mb": early,
            "memory_late_mb": late,
            "memory_growth": late / early - 1.0,
        },
    )


def _new_ages(session: SessionLoop, known: int) -> list[float]:
    """Age of each window since the first `known` when its answer came: waiting and computing, ms."""
    rows = session.pipelines[0].latency.rows("window")
    rows = rows[max(0, len(rows) - (session.pipelines[0].latency.counts[1] - known)) :]
    due, answered = WINDOW_COLUMNS.index("due_ns"), WINDOW_COLUMNS.index("infer_end_ns")
    ages: list[float] = ((rows[:, answered] - rows[:, due]) / 1e6).tolist()
    return ages
