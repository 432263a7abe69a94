"""MANet-R50's best CPU engine, an INT8 bundle in the runtime that auto takes, against another runtime in fp32."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.harness import Result, machine
from calibration.qdq import Graph
from calibration.quantize import INT8_TOLERANCE
from calibration.ranges import measure_ranges
from engines.bundle import Bundle
from engines.card import ModelCard, Parity, Provenance
from engines.export.onnx_export import write_bundle
from engines.networks.manet import MANet
from engines.runtimes import open_runtime
from engines.specs.manet import MANetSpec

ROUNDS = 6
WINDOWS = 5  # of a round, one after the other: what the other process pushed out of the caches comes back first
SETTLE_S = 0.05  # between two turns: threads of a runtime that has just answered may spin for a while


def against(other: str) -> Result:
    """One window in turn in both, medians of one run; `other` runs the fp32 bundle.

    Each has a process of its own, as in a session: in one process the memory and threads of the one decide how fast the
    other is (torch took 216 to 357 ms for the same window).
    """
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        full = plain_r50(Path(folder) / "fp32")
        small = int8(full, Path(folder) / "int8")
        kept, ours, theirs = _medians(small, full, other, threads=0)
        _, ours_single, theirs_single = _medians(small, full, other, threads=1)
    return Result(
        ours=ours,
        other=theirs,
        ratio=theirs / ours,
        unit="ms/window",
        compared=f"{kept} INT8 against {other} fp32, MANet-R50 8x224x224 (untrained), one window, medians of {ROUNDS} "
        f"rounds of {WINDOWS} in turn, each in a process of its own",
        machine=machine(),
        details={
            "ours_one_thread_ms": ours_single,
            "other_one_thread_ms": theirs_single,
            "one_thread_ratio": theirs_single / ours_single,
        },
    )


def _medians(small: Bundle, full: Bundle, other: str, threads: int) -> tuple[str, float, float]:
    """Our runtime's name, its median and the other's, ms; `threads` 0 leaves them to each runtime."""
    context = multiprocessing.get_context("spawn")
    times: tuple[list[float], list[float]] = ([], [])
    with ExitStack() as stack:
        connections = []
        for bundle, name in ((small, "auto"), (full, other)):
            connection, far = context.Pipe()
            process = context.Process(target=_serve, args=(far, bundle.path, name, threads), daemon=True)
            process.start()
            far.close()
            stack.callback(process.join)
            stack.enter_context(connection)  # closed first, which ends the process
            connections.append(connection)
        names = [connection.recv() for connection in connections]
        for _ in range(ROUNDS):
            for connection, found in zip(connections, times, strict=True):
                time.sleep(SETTLE_S)
                connection.send(None)
                found.extend(connection.recv())
    return names[0], statistics.median(times[0]), statistics.median(times[1])


def _serve(connection: Connection, path: Path, runtime: str, threads: int) -> None:
    """A runtime in a process of its own: its name, then the durations of `WINDOWS` windows, ms, for every message."""
    bundle = Bundle.load(path)
    clips, _ = bundle.reference()
    with open_runtime(bundle, runtime, threads=threads) as engine, suppress(EOFError):
        engine.infer(clips[:1])
        connection.send(engine.name)
        while True:
            connection.recv()
            durations = []
            for _ in range(WINDOWS):
                start = time.perf_counter()
                engine.infer(clips[:1])
                durations.append((time.perf_counter() - start) * 1000)
            connection.send(durations)


def plain_r50(path: Path) -> Bundle:
    """MANet-R50 with torch's own random weights, which cost the same time as trained ones.

    Those of `engines init` are aimed at small differences: what INT8 rounds would drown them.
    """
    torch.manual_seed(0)
    provenance = Provenance(trained=False, trained_on="nothing: untrained", seed=0)
    card = ModelCard(name="r50", network=MANetSpec(), provenance=provenance, intended_use="measuring time")
    return write_bundle(MANet(MANetSpec()), card, path)


def int8(bundle: Bundle, path: Path) -> Bundle:
    """All of it in INT8; its agreement means nothing."""
    graph = Graph(bundle.onnx_path.read_bytes())
    ranges = measure_ranges(graph.observed(), graph.activations, bundle.reference_arrays().inputs, "minmax")
    parity = Parity(relative_tolerance=INT8_TOLERANCE)
    return bundle.derive(path, onnx=graph.quantised(ranges), name="int8", precision="int8", parity=parity)
