"""A network's best CPU engine, an INT8 bundle in the runtime that auto takes, against another runtime in fp32."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.bundles import int8, random_weights
from benchmarks.harness import Result, machine
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from engines.specs.base import Spec

ROUNDS = 6
WINDOWS = 5  # of a round, one after the other: what the other process pushed out of the caches comes back first
SETTLE_S = 0.05  # between two turns: threads of a runtime that has just answered may spin for a while


def against(other: str, network: Spec) -> Result:
    """One window in turn in both, medians of one run; `other` runs the fp32 bundle.

    Each has a process of its own, as in a session: in one process the memory and threads of the one decide how fast the
    other is (torch took 216 to 357 ms for the same window).
    """
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        full = random_weights(network, Path(folder) / "fp32")
        small = int8(full, Path(folder) / "int8")
        kept, ours, theirs = _medians(small, full, other, threads=0)
        _, ours_single, theirs_single = _medians(small, full, other, threads=1)
    return Result(
        ours=ours,
        other=theirs,
        ratio=theirs / ours,
        unit="ms/window",
        compared=f"{kept} INT8 against {other} fp32, {network.title} (random weights), one window, medians of {ROUNDS} "
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
