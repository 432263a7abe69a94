"""torch → ONNX, and both into a bundle."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn

from engines.bundle import AnyArray, Bundle, Float32Array, Reference, check_target
from engines.card import ModelCard, Parity
from engines.common.errors import BadInput, Failed
from engines.export.float16 import to_half
from engines.export.operators import TRANSLATIONS
from engines.export.weights import read_network, weights_of
from engines.networks.contract import Network
from engines.patterns import example_inputs
from engines.specs.base import Spec
from engines.specs.streaming import frame_by_frame

OPSET = 20
REFERENCE_SEED = 52
REFERENCE_INPUTS = 2
UNCHECKED = "embedding"  # not used by the live path
# Largest difference from torch in float32, relative to the largest score.
TOLERANCES = {"fp32": 1e-4, "fp16": 1e-2}


class ExportFailed(Failed):
    """The exported graph does not give what the network gives."""


class ExportGraph(nn.Module):
    """A network with its outputs in the order of its spec, as graphs have them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Tensors of `spec.graph_inputs` → those of `spec.graph_outputs`."""
        spec = self.network.spec
        if not spec.states:
            outputs = self.network(*inputs)
            return tuple(outputs[name] for name in spec.outputs)
        outputs, states = self.network.predict(inputs[0], dict(zip(spec.states, inputs[1:], strict=True)))
        return *(outputs[name] for name in spec.outputs), *(states[name] for name in spec.states)


def write_bundle(network: Network, card: ModelCard, path: Path, *, overwrite: bool = False) -> Bundle:
    """Export a network in the card's precision, fp32 or fp16, check the graph against it and seal both into a bundle.

    Raises:
        BadInput: `path` is taken.
        ExportFailed: ONNX Runtime and torch disagree on the exported graph.
        HalfFailed: a weight does not fit fp16.
    """
    check_target(path, overwrite)
    if card.network != network.spec:
        raise ValueError(f"card and network differ: {card.network} and {network.spec}")
    network.eval()
    data = to_onnx(network)
    if card.precision == "fp16":
        data = to_half(data, network.keep_fp32())
    inputs = example_inputs(network.spec, REFERENCE_SEED, REFERENCE_INPUTS)
    with torch.inference_mode():
        scores = network(*map(torch.from_numpy, inputs.values()))
    outputs = {name: scores[name].numpy() for name in network.spec.outputs if name != UNCHECKED}
    _check_export(network.spec, data, inputs, outputs, TOLERANCES[card.precision])
    return Bundle.write(path, card, data, Reference(inputs, outputs), weights_of(network), overwrite=overwrite)


def half_bundle(bundle: Bundle, path: Path, name: str, *, overwrite: bool = False) -> Bundle:
    """The bundle in fp16; see `write_bundle`.

    Raises:
        BadInput: `bundle` is not fp32 or has no weights, or `path` is taken.
    """
    card = bundle.card
    if card.precision != "fp32":
        raise BadInput("an fp32 bundle to make an fp16 one from", card.precision, "give the fp32 bundle")
    card = msgspec.structs.replace(card, name=name, precision="fp16", parity=Parity(TOLERANCES["fp16"]))
    return write_bundle(read_network(bundle), card, path, overwrite=overwrite)


def to_onnx(network: Network) -> bytes:
    """One self-contained ONNX file, with the inputs and outputs that the network's spec names."""
    spec = network.spec
    dtypes = {
        name: torch.float32 if name in spec.states else getattr(torch, spec.input_dtype) for name in spec.graph_inputs
    }
    examples = tuple(torch.ones(2, *shape, dtype=dtypes[name]) for name, shape in spec.graph_inputs.items())
    batch = {0: torch.export.Dim("N", min=1, max=4096)}
    with _quiet():
        program = torch.onnx.export(
            ExportGraph(network).eval(),
            examples,
            dynamo=True,
            optimize=False,
            verbose=False,
            opset_version=OPSET,
            input_names=list(spec.graph_inputs),
            output_names=list(spec.graph_outputs),
            custom_translation_table=TRANSLATIONS,
            dynamic_shapes=(tuple(batch for _ in examples),),  # the inputs of any number are one tuple to the exporter
        )
        if program is None:
            raise ExportFailed("the exporter gave no graph")
        optimizer.optimize(program.model)  # batch norm goes into the convolutions, whose weights keep their names
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


def _check_export(
    spec: Spec, data: bytes, inputs: Mapping[str, AnyArray], outputs: Mapping[str, Float32Array], tolerance: float
) -> None:
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    for count in (1, REFERENCE_INPUTS):  # the batch axis is really dynamic
        found = run_graph(spec, data)({name: array[:count] for name, array in inputs.items()})
        for name, wanted in outputs.items():
            allowed = tolerance * float(np.abs(wanted).max())
            difference = float(np.abs(found[name] - wanted[:count]).max())
            if not difference <= allowed:
                raise ExportFailed(
                    f"ONNX Runtime differs from torch by {difference:.3g} in {name}, allowed {allowed:.3g}"
                )


def run_graph(spec: Spec, data: bytes) -> Callable[[Mapping[str, AnyArray]], Mapping[str, AnyArray]]:
    """What an exported graph gives to arrays of `spec.inputs`, in ONNX Runtime; frame by frame where it takes those."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, AnyArray]) -> Mapping[str, AnyArray]:
        return dict(zip(spec.graph_outputs, session.run(list(spec.graph_outputs), dict(inputs)), strict=True))

    return partial(frame_by_frame, spec, run) if spec.states else run


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
