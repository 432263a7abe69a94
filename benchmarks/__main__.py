"""Run benchmarks: `python -m benchmarks [NAME ...] [--json]`. Without a name all run, into benchmarks/results.json."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Result

NAMES = (
    "runtimes",
    "engine_vs_torch",
    "engine_vs_onnxruntime",
    "pipeline_efficiency",
    "memory_flat",
    "landmark_fps",
    "overload",
    "several_cameras",
    "emotion_cost",
    "capture_to_window",
    "transport_vs_imagezmq",
    "transport_vs_netgear",
    "naive_loop",
    "soak",
)
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure us and the alternative.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        print(f"benchmarks: expected names among {', '.join(NAMES)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    results: dict[str, Result] = {}
    for name in arguments.names or NAMES:
        print(f"benchmarks: {name} ...", file=sys.stderr, flush=True)
        results[name] = importlib.import_module(f"benchmarks.{name}").run()
    encoded = msgspec.json.format(msgspec.json.encode(results))
    if not arguments.names:
        RESULTS.write_bytes(encoded + b"\n")
    print(encoded.decode()) if arguments.json else Console().print(_table(results))
    return 0


def _table(results: dict[str, Result]) -> Table:
    table = Table("benchmark", "ours", "other", "ratio", "compared")
    for name, result in results.items():
        table.add_row(
            name, f"{result.ours:.4g} {result.unit}", f"{result.other:.4g}", f"{result.ratio:.3f}", result.compared
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
