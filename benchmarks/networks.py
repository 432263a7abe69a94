"""One window of every network that sees clips: torch eager against the fastest runtime."""

from __future__ import annotations

from benchmarks import runtimes
from benchmarks.harness import Result, machine
from engines.networks.registry import make_spec, names

ROUNDS = 5


def run() -> Result:
    """fp32, random weights; the ratio is that of the network that gains least, all of them are in the details."""
    found: dict[str, Result] = {}
    for name in names("actions"):
        spec = make_spec(name)
        if "clips" in spec.inputs:
            found[name] = runtimes.run(spec, ROUNDS)
    details: dict[str, float | str] = {}
    for name, one in found.items():
        details |= {f"{name}_{key}": value for key, value in one.details.items()} | {f"{name}_ratio": one.ratio}
    least = min(found.values(), key=lambda one: one.ratio)
    return Result(
        ours=least.ours,
        other=least.other,
        ratio=least.ratio,
        unit="ms/window",
        compared=f"of {len(found)} networks the one that gains least: {least.compared}",
        machine=machine(),
        details=details,
    )
