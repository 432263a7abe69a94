"""The loop one would write first, OpenCV and torch eager in one thread, against our replay of the same recording."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.bundles import random_weights
from benchmarks.harness import Result, machine
from benchmarks.recording import FPS, write_recording
from benchmarks.sessions import TimedRuntime, run_session
from engines.bundle import Bundle
from engines.preprocess import UInt8Array, center_crop
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from engines.specs.base import Spec
from realtime.config import Config
from realtime.latency.report import stage_reports
from realtime.output.lines import StatsLine
from realtime.session_loop import SessionLoop

ROUNDS = 3
SECONDS = 8.0  # of recording, a round
LIVE_SECONDS = 20.0
EVERY_FRAME = 45  # windows of the loop that infers at every frame: it takes long enough


@dataclass(frozen=True, slots=True)
class Loop:
    """What the naive loop came to."""

    frames_per_s: float
    windows: int
    behind: float  # seconds it falls behind a camera in each second


def run(network: Spec) -> Result:
    """Frames/s of both at a window every hop; how far each falls behind a camera, and what our stages take, besides."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        recording, longer = Path(folder) / "seated.mp4", Path(folder) / "longer.mp4"
        write_recording(recording, SECONDS, seed=0, scale=2)
        write_recording(longer, LIVE_SECONDS, seed=0, scale=2)
        model = random_weights(network, Path(folder) / "model")
        hop = round(Config().window.hop_s * FPS)
        ours, naive = [], []
        with open_runtime(model, "torch") as torch, open_runtime(model) as runtime:
            for _ in range(ROUNDS):
                naive.append(_loop(recording, model, torch, hop))
                timed = TimedRuntime(runtime)
                (stats,) = run_session([recording], model, timed)
                ours.append(timed.windows_per_s * Config().window.hop_s * FPS)
            every_frame = _loop(recording, model, torch, 1, EVERY_FRAME)
            live, stages = _live(longer, model, runtime)
            name = runtime.name
    other = statistics.median(one.frames_per_s for one in naive)
    behind = statistics.median(one.behind for one in naive)
    return Result(
        ours=statistics.median(ours),
        other=other,
        ratio=statistics.median(ours) / other,
        unit="frames/s",
        compared=f"replay --speed max of a 1080x1296 H.264 recording on {name} against "
        f"cv2.VideoCapture and torch eager in one loop; {network.title} in fp32 (random weights), a window every "
        f"{hop} frames, medians of {ROUNDS} rounds in turn",
        machine=machine(),
        details={
            "naive_windows": naive[0].windows,
            "our_windows": stats.windows,
            "naive_s_behind_after_a_minute": 60 * behind,
            "naive_every_frame_frames_per_s": every_frame.frames_per_s,
            "naive_every_frame_s_behind_after_a_minute": 60 * every_frame.behind,
            "our_live_to_event_ms_max": stages["to event"]["max"],
            "our_live_windows": live.windows,
            "our_live_windows_skipped": sum(live.skipped.values()),
            "our_live_frames_dropped": sum(live.dropped.values()),
            **{f"our_live_{name}_ms_p50": stage["p50"] for name, stage in stages.items()},
        },
    )


def _loop(recording: Path, model: Bundle, runtime: Runtime, hop: int, most: int | None = None) -> Loop:
    """Read, crop, and infer at every `hop`-th frame on 8 frames of the last span; at most `most` windows."""
    length, span = model.card.length, round(model.card.span_s * FPS)
    crops: deque[UInt8Array] = deque(maxlen=span if hop > 1 else length)
    windows, frames, first = 0, 0, 0
    started = 0.0
    for picture in _pictures(recording):
        crops.append(center_crop(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), model.card.size))
        frames += 1
        if len(crops) < (crops.maxlen or 0) or (frames - (crops.maxlen or 0)) % hop:
            continue
        if windows == most:
            break
        if windows == 0:  # until here there was nothing to infer: what counts is how it goes on
            started, first = time.perf_counter(), frames
        chosen = np.linspace(0, len(crops) - 1, length).round().astype(int)
        runtime.infer(np.stack([crops[at] for at in chosen])[None])
        windows += 1
    took = time.perf_counter() - started
    per_second = (frames - first) / took
    return Loop(per_second, windows, max(0.0, 1.0 - per_second / FPS))


def _pictures(recording: Path) -> Iterator[UInt8Array]:
    capture = cv2.VideoCapture(str(recording))
    try:
        while True:
            good, picture = capture.read()
            if not good:
                return
            yield np.asarray(picture, np.uint8)
    finally:
        capture.release()


def _live(recording: Path, model: Bundle, runtime: Runtime) -> tuple[StatsLine, dict[str, dict[str, float]]]:
    """The same at a camera's pace: totals, and p50 and max of every stage, ms."""
    stages: dict[str, dict[str, float]] = {}

    def after(session: SessionLoop) -> None:
        for one in stage_reports(session.pipelines[0].latency):
            stages[one.stage] = {"p50": one.run.p50, "max": one.run.max}

    (stats,) = run_session([recording], model, TimedRuntime(runtime), speed=1.0, after=after)
    return stats, stages
