"""Run benchmarks: `python -m benchmarks NAME ... --network NAME`. Without a name all, into benchmarks/results.json."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Result
from engines.common.command_line import Parser, notify, run_command
from engines.common.errors import BadInput
from engines.networks.registry import make_spec

OF_A_NETWORK = (
    "runtimes",
    "engine_vs_torch",
    "engine_vs_onnxruntime",
    "pipeline_efficiency",
    "naive_loop",
    "several_cameras",
    "streaming_vs_window",
)
OTHERS = (
    "networks",
    "memory_flat",
    "landmark_fps",
    "robustness",
    "cpu_per_minute",
    "overload",
    "emotion_cost",
    "capture_to_window",
    "transport_vs_imagezmq",
    "transport_vs_netgear",
    "soak",
    "archive_local",
    "archive_ray",
    "report_open",
    "record_cost",
    "lsl_loss",
)
NAMES = (*OF_A_NETWORK, *OTHERS)
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """Exit codes: 0 done, 1 failed, 2 bad usage."""
    parser = Parser(prog="python -m benchmarks", description="Measure us and the alternative.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--network", default="manet", help=f"that {', '.join(OF_A_NETWORK)} measure (manet)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="its fields")
    parser.set_defaults(run=_run)
    return run_command(parser, None)


def _run(options: argparse.Namespace) -> None:
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        raise BadInput(f"names of benchmarks, {', '.join(NAMES)}", ", ".join(unknown), "choose among these")
    network = make_spec(options.network, options.settings)
    results: dict[str, Result] = {}
    for name in options.names or NAMES:
        notify(f"benchmarks: {name} ...")
        run = importlib.import_module(f"benchmarks.{name}").run
        results[name] = run(network) if name in OF_A_NETWORK else run()
    encoded = msgspec.json.format(msgspec.json.encode(results))
    if not options.names:
        RESULTS.write_bytes(encoded + b"\n")
    print(encoded.decode()) if options.json else Console().print(_table(results))


def _table(results: dict[str, Result]) -> Table:
    table = Table("benchmark", "ours", "other", "ratio", "compared")
    for name, result in results.items():
        table.add_row(
            name, f"{result.ours:.4g} {result.unit}", f"{result.other:.4g}", f"{result.ratio:.3f}", result.compared
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
