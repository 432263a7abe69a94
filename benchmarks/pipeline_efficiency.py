"""How much of the bare engine's speed the whole path keeps: decoding, view, wire, windows, aggregation, reports."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.bundles import random_weights
from benchmarks.harness import Result, machine
from benchmarks.recording import write_recording
from benchmarks.sessions import TimedRuntime, run_session
from engines.runtimes import open_runtime
from engines.specs.base import Spec

ROUNDS = 5
SECONDS = 8.0  # of recording, a round


def run(network: Spec) -> Result:
    """Windows/s of a session at full speed over windows/s of its engine alone on the same windows, in turn."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        recording = Path(folder) / "seated.mp4"
        write_recording(recording, SECONDS, seed=0, scale=2)
        model = random_weights(network, Path(folder) / "model")
        whole, bare = [], []
        with open_runtime(model) as runtime:
            for _ in range(ROUNDS):
                timed = TimedRuntime(runtime)
                run_session([recording], model, timed)
                whole.append(timed.windows_per_s)
                count = len(timed.answered_s) - 1
                start = time.perf_counter()
                for at in range(count):
                    runtime.infer(timed.windows[at % len(timed.windows)])
                bare.append(count / (time.perf_counter() - start))
            name = runtime.name
    ratios = [ours / other for ours, other in zip(whole, bare, strict=True)]
    return Result(
        ours=statistics.median(whole),
        other=statistics.median(bare),
        ratio=statistics.median(ratios),
        unit="windows/s",
        compared=f"replay --speed max of a 1080x1296 H.264 recording against the bare {name} engine on its windows; "
        f"{network.title} in fp32 (random weights), medians of {ROUNDS} rounds in turn",
        machine=machine(),
        details={"lowest_ratio": min(ratios), "highest_ratio": max(ratios)},
    )
