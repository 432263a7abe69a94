"""MANet-R50's best CPU engine, an INT8 bundle in the runtime that auto takes, against another runtime in fp32."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.bundles import manet_r50
from benchmarks.harness import Result, machine, median_ms
from calibration.qdq import Graph
from calibration.ranges import measure_ranges
from engines.bundle import Bundle
from engines.card import Parity
from engines.runtimes import open_runtime

ROUNDS = 15


def against(other: str) -> Result:
    """One window in turn in both, medians of one run; `other` runs the fp32 bundle."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder, ExitStack() as stack:
        full = manet_r50(Path(folder))
        small = int8(full, Path(folder) / "int8")
        clips, _ = full.reference()
        ours = stack.enter_context(open_runtime(small))
        theirs = stack.enter_context(open_runtime(full, other))
        times = median_ms({"ours": partial(ours.infer, clips[:1]), "other": partial(theirs.infer, clips[:1])}, ROUNDS)
        kept = ours.name
    return Result(
        ours=times["ours"], other=times["other"], ratio=times["other"] / times["ours"], unit="ms/window",
        compared=f"{kept} INT8 against {other} fp32, MANet-R50 8x224x224 (untrained), one window, medians of {ROUNDS} "
        "rounds in turn",
        machine=machine(),
    )  # fmt: skip


def int8(bundle: Bundle, path: Path) -> Bundle:
    """All of an untrained bundle in INT8: it costs the same time as a trained one, and its agreement means nothing."""
    graph = Graph(bundle.onnx_path.read_bytes())
    ranges = measure_ranges(graph.observed(), graph.activations, bundle.reference()[0], "minmax")
    # Untrained, it multiplies what INT8 rounds; so it must only be finite and of the right size.
    parity = Parity(relative_tolerance=0.5)
    return bundle.derive(path, onnx=graph.quantised(ranges), name="int8", precision="int8", parity=parity)
