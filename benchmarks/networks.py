"""One window of every network that sees clips: torch eager against the fastest runtime, and INT8 beside them."""

from __future__ import annotations

from benchmarks import runtimes
from benchmarks.harness import Result, machine
from engines.networks.registry import make_spec, names

ROUNDS = 5


def run() -> Result:
    """Random weights; the ratio is that in fp32 of the network that gains least, all of them are in the details."""
    found: dict[str, dict[str, float]] = {}
    for name in names("actions"):
        spec = make_spec(name)
        if "clips" in spec.inputs:
            found[name] = runtimes.measured(spec, ROUNDS, quantised=True)
    details: dict[str, float | str] = {}
    best: dict[str, float] = {}
    for name, times in found.items():
        best[name] = min(value for key, value in times.items() if key != runtimes.INT8)
        details |= {f"{name}_{key}_ms": value for key, value in times.items()}
        details[f"{name}_ratio"] = times["torch"] / best[name]
        details[f"{name}_int8_gain"] = best[name] / times[runtimes.INT8]
    least = min(found, key=lambda name: found[name]["torch"] / best[name])
    return Result(
        ours=best[least],
        other=found[least]["torch"],
        ratio=found[least]["torch"] / best[least],
        unit="ms/window",
        compared=f"of {len(found)} networks the one that gains least, {least}: fastest runtime against torch eager, "
        f"both fp32 (random weights), one window, medians of {ROUNDS} rounds in turn",
        machine=machine(),
        details=details,
    )
