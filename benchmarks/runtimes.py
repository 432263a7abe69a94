"""One window of a network in each runtime, in turn."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.bundles import int8, random_weights
from benchmarks.harness import Result, machine, median_ms
from engines.runtimes import available, open_runtime
from engines.specs.base import Spec

ROUNDS = 9
INT8 = "openvino_int8"


def run(network: Spec, rounds: int = ROUNDS) -> Result:
    """The fastest runtime against torch eager, fp32, one window; every runtime's median in the details."""
    times = measured(network, rounds)
    best = min(times, key=lambda name: times[name])
    return Result(
        ours=times[best],
        other=times["torch"],
        ratio=times["torch"] / times[best],
        unit="ms/window",
        compared=f"{best} fp32 against torch eager fp32, {network.title} (random weights), one window, medians of "
        f"{rounds} rounds in turn",
        machine=machine(),
        details={f"{name}_ms": value for name, value in times.items()},
    )


def measured(network: Spec, rounds: int, quantised: bool = False) -> dict[str, float]:
    """Median time of one window in each runtime in fp32, ms; `INT8` beside them where asked for."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder, ExitStack() as stack:
        model = random_weights(network, Path(folder) / "model")
        clips, _ = model.reference()
        runtimes = {
            name: stack.enter_context(open_runtime(model, name)) for name, found in available().items() if found
        }
        if quantised:
            small = int8(model, Path(folder) / "int8")
            runtimes[INT8] = stack.enter_context(open_runtime(small, "openvino"))
        return median_ms({name: partial(runtime.infer, clips[:1]) for name, runtime in runtimes.items()}, rounds)
