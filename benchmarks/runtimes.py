"""One window of MANet-R50 in each runtime, in turn."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.bundles import manet_r50
from benchmarks.harness import Result, machine, median_ms
from engines.bundle import Bundle
from engines.runtimes import available, open_runtime

ROUNDS = 9


def run() -> Result:
    """The fastest runtime against torch eager, fp32, one window; every runtime's median in the details."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        return measure(manet_r50(Path(folder)))


def measure(model: Bundle, rounds: int = ROUNDS) -> Result:
    """The same of any fp32 bundle."""
    window = {name: array[:1] for name, array in model.reference_arrays().inputs.items()}
    with ExitStack() as stack:
        names = [name for name, found in available().items() if found]
        runtimes = {name: stack.enter_context(open_runtime(model, name)) for name in names}
        times = median_ms({name: partial(runtime.run, window) for name, runtime in runtimes.items()}, rounds)
    best = min(times, key=lambda name: times[name])
    return Result(
        ours=times[best],
        other=times["torch"],
        ratio=times["torch"] / times[best],
        unit="ms/window",
        compared=f"{best} fp32 against torch eager fp32, {model.card.network.title} "
        f"({'trained' if model.card.trained else 'untrained'}), one window, medians of {rounds} rounds in turn",
        machine=machine(),
        details={f"{name}_ms": value for name, value in times.items()},
    )
