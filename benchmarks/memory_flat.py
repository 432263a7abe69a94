"""Memory of both processes over a long session at full speed."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.harness import Result, loop_recording, machine
from benchmarks.recording import write_recording
from benchmarks.sessions import TimedRuntime, run_session
from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from realtime.session import Session

FRAMES = 20_000
MODEL = "untrained-small"


def run() -> Result:
    """Resident memory of analysis and capture in the second tenth of the session over that in the last tenth."""
    samples: list[tuple[int, float]] = []  # (frames received, MB)

    def watch(session: Session) -> None:
        own = psutil.Process(os.getpid())
        while not session.channels[0].capture.pid:
            time.sleep(0.01)
        capture = psutil.Process(session.channels[0].capture.pid)
        while session.engine.alive:
            try:
                resident = own.memory_info().rss + capture.memory_info().rss
            except psutil.NoSuchProcess:
                break
            samples.append((session.channels[0].intake.received, resident / 1e6))
            time.sleep(0.1)

    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        short, recording = Path(folder) / "short.mp4", Path(folder) / "long.mp4"
        write_recording(short, FRAMES / 20 / 30, seed=0)
        loop_recording(short, recording, times=20)
        model = Bundle.load(bundles.find(MODEL))
        with open_runtime(model) as runtime:
            stats = run_session(recording, model, TimedRuntime(runtime), watch=watch)
            name = runtime.name
    early = statistics.median(mb for frames, mb in samples if 0.1 <= frames / FRAMES < 0.2)
    late = statistics.median(mb for frames, mb in samples if frames / FRAMES >= 0.9)
    return Result(
        ours=late,
        other=early,
        ratio=early / late,
        unit="MB resident",
        compared=f"last tenth against second tenth of {stats.frames} frames at --speed max, analysis and capture "
        f"together, {MODEL} in {name}",
        machine=machine(),
        details={"frames": stats.frames, "windows": stats.windows, "peak_mb": max(mb for _, mb in samples)},
    )
