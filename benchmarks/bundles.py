"""Models to measure with: random weights, which cost the same time as trained ones."""

from __future__ import annotations

from pathlib import Path

import torch

from calibration.qdq import Graph
from calibration.quantize import INT8_TOLERANCE
from calibration.ranges import measure_ranges
from engines.bundle import Bundle
from engines.card import ModelCard, Parity, Provenance
from engines.export.onnx_export import write_bundle
from engines.networks.registry import build
from engines.specs.base import Spec


def random_weights(spec: Spec, path: Path) -> Bundle:
    """A network with torch's own random weights.

    Those of `engines init` are aimed at small differences: what INT8 rounds would drown them.
    """
    torch.manual_seed(0)
    provenance = Provenance(trained=False, trained_on="nothing: untrained", seed=0)
    card = ModelCard(name=path.name, network=spec, provenance=provenance, intended_use="measuring time")
    return write_bundle(build(spec), card, path)


def int8(bundle: Bundle, path: Path) -> Bundle:
    """All of it in INT8; its agreement means nothing."""
    graph = Graph(bundle.onnx_path.read_bytes())
    ranges = measure_ranges(graph.observed(), graph.activations, bundle.reference_arrays().inputs, "minmax")
    parity = Parity(relative_tolerance=INT8_TOLERANCE)
    return bundle.derive(path, onnx=graph.quantised(ranges), name="int8", precision="int8", parity=parity)
