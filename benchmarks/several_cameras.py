"""Two recordings in one session, on one engine, against one after the other; and what batches would gain the engine."""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.bundles import random_weights
from benchmarks.harness import Result, machine, median_ms
from benchmarks.recording import write_recording
from benchmarks.sessions import TimedRuntime, run_session
from engines.bundle import Bundle, find
from engines.runtimes import open_runtime
from engines.specs.base import Spec

ROUNDS = 3
DEFAULT, GIVEN = "landmarks-small", "network"
MODELS = {DEFAULT: 8.0, GIVEN: 4.0}  # seconds of recording


def run(network: Spec) -> Result:
    """Windows/s of both together over windows/s in turn, with the default model and with the given network."""
    ours: dict[str, float] = {}
    other: dict[str, float] = {}
    ratios: dict[str, float] = {}
    details: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        for name, seconds in MODELS.items():
            model = random_weights(network, Path(folder) / GIVEN) if name == GIVEN else Bundle.load(find(name))
            pair = [Path(folder) / f"{name}-{number}.mp4" for number in range(2)]
            for number, recording in enumerate(pair):
                write_recording(recording, seconds, seed=number, scale=2)
            with open_runtime(model) as runtime:
                together, apart = [], []
                for _ in range(ROUNDS):
                    together.append(_windows_per_s([pair], model, TimedRuntime(runtime)))
                    apart.append(_windows_per_s([[one] for one in pair], model, TimedRuntime(runtime)))
                clips = np.repeat(model.reference()[0][:1], 2, axis=0)
                with open_runtime(model, "onnxruntime") as batches:
                    infer = batches.infer
                    alone = median_ms({"one": partial(infer, clips[:1]), "two": partial(infer, clips)}, rounds=9)
            ours[name], other[name] = statistics.median(together), statistics.median(apart)
            ratios[name] = statistics.median(a / b for a, b in zip(together, apart, strict=True))
            details |= {
                f"{name}_together": ours[name],
                f"{name}_apart": other[name],
                f"{name}_ratio": ratios[name],
                f"{name}_batch_of_two": 2 * alone["one"] / alone["two"],
            }
    name = next(iter(MODELS))
    return Result(
        ours=ours[name],
        other=other[name],
        ratio=ratios[name],
        unit="windows/s",
        compared=f"replay --speed max of two 1080x1296 H.264 recordings in one session against one after the other, "
        f"process starts included, {name}; medians of {ROUNDS} rounds in turn. batch_of_two: windows/s of ONNX Runtime "
        f"on two windows at once over one by one, which no CPU session does. network: {network.title}",
        machine=machine(),
        details=details,
    )


def _windows_per_s(sessions: list[list[Path]], model: Bundle, runtime: TimedRuntime) -> float:
    start = time.perf_counter()
    windows = sum(line.windows for recordings in sessions for line in run_session(recordings, model, runtime))
    return windows / (time.perf_counter() - start)
