"""A long session at full speed: does anything grow? Memory, threads, file descriptors, latency."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.harness import Result, loop_recording, machine
from benchmarks.recording import FPS, write_recording
from benchmarks.sessions import TimedRuntime, run_session
from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from realtime.latency.log import LatencyLog, spans_ms
from realtime.latency.stages import BY_NAME
from realtime.output.lines import StatsLine
from realtime.session_loop import SessionLoop

FRAMES = 200_000
MODEL = "untrained-small"
COPIES = 20  # of the drawn part in the recording
QUANTITIES = ("memory_mb", "threads", "files", "to_window_ms", "compute_ms")


@dataclass(frozen=True, slots=True)
class Soak:
    """Medians over the second and the last tenth of a session, both processes together; stages at p50."""

    early: dict[str, float]
    late: dict[str, float]
    peak_mb: float
    seconds: float
    runtime: str
    stats: StatsLine


def soak(frames: int, sample_s: float = 0.25) -> Soak:
    """Replay about so many frames at full speed, and watch."""
    samples: list[tuple[float, dict[str, float]]] = []  # (share of the frames received, quantity → value)

    def watch(session: SessionLoop) -> None:
        (pipeline,) = session.pipelines
        while not pipeline.capture.pid:
            time.sleep(0.01)
        processes = [psutil.Process(os.getpid()), psutil.Process(pipeline.capture.pid)]
        while session.engine.alive:
            try:
                samples.append((pipeline.intake.received / frames, _sample(pipeline.latency, processes)))
            except psutil.NoSuchProcess:
                break
            time.sleep(sample_s)

    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        short, recording = Path(folder) / "short.mp4", Path(folder) / "long.mp4"
        write_recording(short, frames / COPIES / FPS, seed=0)
        loop_recording(short, recording, times=COPIES)
        model = Bundle.load(bundles.find(MODEL))
        with open_runtime(model) as runtime:
            started = time.perf_counter()
            (stats,) = run_session([recording], model, TimedRuntime(runtime), watch=watch)
            took, name = time.perf_counter() - started, runtime.name
    early = [sample for share, sample in samples if 0.1 <= share < 0.2]
    late = [sample for share, sample in samples if share >= 0.9]
    return Soak(_medians(early), _medians(late), max(sample["memory_mb"] for _, sample in samples), took, name, stats)


def _sample(log: LatencyLog, processes: list[psutil.Process]) -> dict[str, float]:
    frames, windows = log.rows("frame"), log.rows("window")
    return {
        "memory_mb": sum(process.memory_info().rss for process in processes) / 1e6,
        "threads": sum(process.num_threads() for process in processes),
        "files": sum(process.num_fds() for process in processes),
        "to_window_ms": _p50(spans_ms(frames[-500:], BY_NAME["to window"]).tolist()),
        "compute_ms": _p50(spans_ms(windows[-100:], BY_NAME["compute"]).tolist()),
    }


def _p50(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def _medians(samples: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(sample[name] for sample in samples) for name in QUANTITIES}


def run() -> Result:
    """Resident memory in the second tenth of the session over that in the last tenth; the rest in the details."""
    found = soak(FRAMES)
    early, late = found.early, found.late
    return Result(
        ours=late["memory_mb"],
        other=early["memory_mb"],
        ratio=early["memory_mb"] / late["memory_mb"],
        unit="MB resident",
        compared=f"last tenth against second tenth of {found.stats.frames} frames at --speed max, analysis and capture "
        f"together, {MODEL} in {found.runtime}",
        machine=machine(),
        details={
            **{f"{name}_early": early[name] for name in QUANTITIES},
            **{f"{name}_late": late[name] for name in QUANTITIES},
            "peak_mb": found.peak_mb,
            "frames": found.stats.frames,
            "frames_per_s": found.stats.frames / found.seconds,
            "windows": found.stats.windows,
            "windows_due": found.stats.windows_due,
            "dropped": sum(found.stats.dropped.values()),
            "skipped": sum(found.stats.skipped.values()),
        },
    )
