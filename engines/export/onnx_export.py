"""torch → ONNX and back. The weights stay named initialisers, so that a bundle needs no second copy of them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxscript import optimizer

from engines.bundle import Bundle, Float32Array, Reference, UInt8Array, check_target
from engines.card import ModelCard
from engines.common.errors import BadInput, Failed
from engines.networks.maenet import EmotionGraph, MAENet
from engines.networks.manet import InferenceGraph, MANet, PixelGraph
from engines.patterns import example_inputs
from engines.spec import AnySpec, EmotionSpec, NetworkSpec

OPSET = 20
PREFIX = "network."  # a graph's attribute: initialisers are named as the network's state_dict behind it
UNEXPORTED = ".num_batches_tracked"  # matters to training alone
REFERENCE_SEED = 52
REFERENCE_CLIPS = 2
EXPORT_TOLERANCE = 1e-4  # relative; both sides compute in float32


class ExportFailed(Failed):
    """The exported graph does not answer as the network does."""


def write_bundle(network: MANet | MAENet, card: ModelCard, path: Path, *, overwrite: bool = False) -> Bundle:
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
    inputs = example_inputs(network.spec, REFERENCE_SEED, REFERENCE_CLIPS)
    with torch.inference_mode():
        answers = graph_of(network)(*map(torch.from_numpy, inputs.values()))
    outputs = {
        name: answer.numpy() for name, answer in zip(network.spec.outputs, answers, strict=True) if name != "embedding"
    }  # of no use to the live path
    _check_export(data, inputs, outputs)
    return Bundle.write(path, card, data, Reference(inputs, outputs), overwrite=overwrite)


def graph_of(network: MANet | MAENet) -> PixelGraph:
    """The network behind its pixel normalisation, in evaluation mode."""
    graph = EmotionGraph(network) if isinstance(network, MAENet) else InferenceGraph(network)
    return graph.eval()


def to_onnx(network: MANet | MAENet) -> bytes:
    """One self-contained ONNX file, with the inputs and outputs that the network's spec names."""
    spec = network.spec
    examples = tuple(torch.ones(2, *shape, dtype=torch.uint8) for shape in spec.inputs.values())
    batch = {0: torch.export.Dim("N", min=1, max=4096)}
    # An EmotionGraph takes any number of inputs, which the exporter sees as one tuple.
    shapes = (tuple(batch for _ in examples),) if isinstance(network, MAENet) else (batch,)
    with _quiet():
        program = torch.onnx.export(
            graph_of(network),
            examples,
            dynamo=True,
            optimize=False,
            verbose=False,
            opset_version=OPSET,
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            dynamic_shapes=shapes,
        )
        if program is None:
            raise ExportFailed("the exporter gave no graph")
        # The full optimiser would fold batch norm into the convolutions, and the weights could not be read back.
        # Runtimes fold it anyway when they load the file.
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    _strip(model)
    lost = [name for name in network.state_dict().keys() - _weights(model).keys() if not name.endswith(UNEXPORTED)]
    if lost:
        raise ExportFailed(f"weights lost on export: {', '.join(sorted(lost)[:4])}")
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def network_from_onnx(spec: NetworkSpec, path: Path) -> MANet:
    """Rebuild a micro-action network from a bundle's ONNX file, in evaluation mode.

    Raises:
        BadInput: the file is not an fp32 export of this network (quantised files are not).
    """
    network = MANet(spec)
    load_weights(network, path)
    return network.eval()


def graph_from_onnx(spec: AnySpec, path: Path) -> PixelGraph:
    """Rebuild any network, behind its pixel normalisation; see `network_from_onnx`."""
    return graph_of(_rebuilt(spec, path))


def export_anew(spec: AnySpec, path: Path) -> bytes:
    """Any network's ONNX file as it would be exported today; see `network_from_onnx`."""
    return to_onnx(_rebuilt(spec, path).eval())


def _rebuilt(spec: AnySpec, path: Path) -> MANet | MAENet:
    network = MAENet(spec) if isinstance(spec, EmotionSpec) else MANet(spec)
    load_weights(network, path)
    return network


def load_weights(network: MANet | MAENet, path: Path) -> None:
    """Read the weights of a bundle's ONNX file back into a network.

    Raises:
        BadInput: the file is not an fp32 export of this network (quantised files are not).
    """
    try:
        # Never follow references to other files: a bundle's hashes cover this one alone.
        model = onnx.load(str(path), load_external_data=False)
        weights = {name: torch.from_numpy(array.copy()) for name, array in _weights(model).items()}
    except Exception as error:  # protobuf's DecodeError has no public home and moves between versions
        raise BadInput("an ONNX file", f"{path} ({type(error).__name__})", "make the bundle again") from error
    expected = network.state_dict()
    for name, value in expected.items():
        if name.endswith(UNEXPORTED):
            weights[name] = torch.zeros_like(value)
        got = tuple(weights[name].shape) if name in weights else "nothing"
        if got != tuple(value.shape):
            raise BadInput(
                f"weights {name} {tuple(value.shape)} in {path}",
                str(got),
                "only bundles with fp32 weights can be read back",
            )
    network.load_state_dict({name: weights[name] for name in expected})


def _weights(model: onnx.ModelProto) -> dict[str, Float32Array]:
    """The network's weights by state_dict name."""
    found = {}
    for tensor in model.graph.initializer:
        if tensor.name.startswith(PREFIX) and tensor.data_type == onnx.TensorProto.FLOAT:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise ValueError(f"{tensor.name} lies outside the file")
            found[tensor.name.removeprefix(PREFIX)] = numpy_helper.to_array(tensor)
    return found


def _strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes: traces with this machine's paths, and shapes that any reader infers again."""
    graph = model.graph
    items = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    for item in items:
        del item.metadata_props[:]
        item.doc_string = ""
    del graph.value_info[:]


def _check_export(data: bytes, inputs: Mapping[str, UInt8Array], outputs: Mapping[str, Float32Array]) -> None:
    import onnxruntime

    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for count in (1, REFERENCE_CLIPS):  # the batch axis is really dynamic
        got = session.run(list(outputs), {name: array[:count] for name, array in inputs.items()})
        for (name, wanted), answer in zip(outputs.items(), got, strict=True):
            allowed = EXPORT_TOLERANCE * float(np.abs(wanted).max())
            difference = float(np.abs(answer - wanted[:count]).max())
            if not difference <= allowed:
                raise ExportFailed(
                    f"ONNX Runtime differs from torch by {difference:.3g} in {name}, allowed {allowed:.3g}"
                )


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's progress and deprecation notes are of no use to who runs it."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
