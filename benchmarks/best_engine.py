"""MANet-R50's best CPU engine, an INT8 bundle in the runtime that auto takes, against another runtime in fp32."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from benchmarks.harness import Result, machine, median_ms
from calibration.qdq import Graph
from calibration.quantize import INT8_TOLERANCE
from calibration.ranges import measure_ranges
from engines.bundle import Bundle
from engines.card import ModelCard, Parity, Provenance
from engines.export import write_bundle
from engines.networks.manet import MANet
from engines.runtimes import open_runtime
from engines.spec import NetworkSpec

ROUNDS = 15


def against(other: str) -> Result:
    """One window in turn in both, medians of one run; `other` runs the fp32 bundle."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder, ExitStack() as stack:
        full = plain_r50(Path(folder) / "fp32")
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


def plain_r50(path: Path) -> Bundle:
    """MANet-R50 with torch's own random weights, which cost the same time as trained ones.

    Those of `engines init` are aimed at small differences: what INT8 rounds would drown them.
    """
    torch.manual_seed(0)
    provenance = Provenance(trained=False, trained_on="nothing: untrained", seed=0)
    card = ModelCard(name="r50", network=NetworkSpec(), provenance=provenance, intended_use="measuring time")
    return write_bundle(MANet(NetworkSpec()), card, path)


def int8(bundle: Bundle, path: Path) -> Bundle:
    """All of it in INT8; its agreement means nothing."""
    graph = Graph(bundle.onnx_path.read_bytes())
    ranges = measure_ranges(graph.observed(), graph.activations, bundle.reference_arrays().inputs, "minmax")
    parity = Parity(relative_tolerance=INT8_TOLERANCE)
    return bundle.derive(path, onnx=graph.quantised(ranges), name="int8", precision="int8", parity=parity)
