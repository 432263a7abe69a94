"""torch → ONNX, and both into a bundle."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn

from engines.bundle import AnyArray, Bundle, Float32Array, Reference, check_target
from engines.card import ModelCard
from engines.common.errors import Failed
from engines.export.operators import TRANSLATIONS
from engines.export.weights import weights_of
from engines.networks.contract import Network
from engines.patterns import example_inputs

OPSET = 20
PREFIX = "network."  # initialisers are named as the network's state_dict behind it
REFERENCE_SEED = 52
REFERENCE_INPUTS = 2
UNCHECKED = "embedding"  # not used by the live path
EXPORT_TOLERANCE = 1e-4  # relative; both sides compute in float32


class ExportFailed(Failed):
    """The exported graph does not give what the network gives."""


class ExportGraph(nn.Module):
    """A network with its outputs in the order of its spec, as graphs have them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Tensors of `spec.inputs` → those of `spec.outputs`."""
        outputs = self.network(*inputs)
        return tuple(outputs[name] for name in self.network.spec.outputs)


def write_bundle(network: Network, card: ModelCard, path: Path, *, overwrite: bool = False) -> Bundle:
    """Export a network, check the graph against it and seal both into a bundle.

    Raises:
        BadInput: `path` is taken.
        ExportFailed: ONNX Runtime and torch disagree on the exported graph.
    """
    check_target(path, overwrite)
    if card.network != network.spec:
        raise ValueError(f"card and network differ: {card.network} and {network.spec}")
    network.eval()
    data = to_onnx(network)
    inputs = example_inputs(network.spec, REFERENCE_SEED, REFERENCE_INPUTS)
    with torch.inference_mode():
        scores = network(*map(torch.from_numpy, inputs.values()))
    outputs = {name: scores[name].numpy() for name in network.spec.outputs if name != UNCHECKED}
    _check_export(data, inputs, outputs)
    return Bundle.write(path, card, data, Reference(inputs, outputs), weights_of(network), overwrite=overwrite)


def to_onnx(network: Network) -> bytes:
    """One self-contained ONNX file, with the inputs and outputs that the network's spec names."""
    spec = network.spec
    dtype = getattr(torch, spec.input_dtype)
    examples = tuple(torch.ones(2, *shape, dtype=dtype) for shape in spec.inputs.values())
    batch = {0: torch.export.Dim("N", min=1, max=4096)}
    with _quiet():
        program = torch.onnx.export(
            ExportGraph(network).eval(),
            examples,
            dynamo=True,
            optimize=False,
            verbose=False,
            opset_version=OPSET,
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            custom_translation_table=TRANSLATIONS,
            dynamic_shapes=(tuple(batch for _ in examples),),  # the inputs of any number are one tuple to the exporter
        )
        if program is None:
            raise ExportFailed("the exporter gave no graph")
        # The full optimiser would fold batch norm into the convolutions, whose names then are lost. Runtimes fold it
        # anyway when they load the file.
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    _strip(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes: traces with this machine's paths, and shapes that any reader infers again."""
    graph = model.graph
    items = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    for item in items:
        del item.metadata_props[:]
        item.doc_string = ""
    del graph.value_info[:]


def _check_export(data: bytes, inputs: Mapping[str, AnyArray], outputs: Mapping[str, Float32Array]) -> None:
    import onnxruntime

    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for count in (1, REFERENCE_INPUTS):  # the batch axis is really dynamic
        found = session.run(list(outputs), {name: array[:count] for name, array in inputs.items()})
        for (name, wanted), got in zip(outputs.items(), found, strict=True):
            allowed = EXPORT_TOLERANCE * float(np.abs(wanted).max())
            difference = float(np.abs(got - wanted[:count]).max())
            if not difference <= allowed:
                raise ExportFailed(
                    f"ONNX Runtime differs from torch by {difference:.3g} in {name}, allowed {allowed:.3g}"
                )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress and deprecation notes."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
