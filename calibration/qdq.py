"""fp32 ONNX → INT8 ONNX with explicit symmetric Q/DQ nodes, in places where every runtime can use them.

Convolutions are quantised, and the residual streams between them. Weights: int8 per output channel. Activations: int8
per tensor, zero point 0, as TensorRT asks. Biases, normalisation of pixels, squeeze-and-excitation and heads stay fp32,
under 0.5 % of the work: what the heads round shows in the scores, and an excitation's error scales a whole channel.

Not `onnxruntime.quantization`: it puts Q/DQ on both inputs of a residual sum, so that no runtime can add in the
convolution's accumulators. Its largest error of the reference logits of `landmarks-small` is 1.5 %, 1.4 % here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from engines.bundle import Float32Array
from engines.common.errors import Failed
from engines.export.float16 import PREFIX

LARGEST = 127  # -128 is left out: symmetric
TINY = 1e-12  # ranges below it are those of tensors that are always zero


class QuantiseFailed(Failed):
    """The graph is not one that can be quantised."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What is quantised, or left alone, as one: weights with the activations that they meet, or a residual stream."""

    name: str  # as in the network's state_dict, without `.weight`; or the block whose sum it is, and `.sum`
    weight: str | None  # the initialiser; none of a residual stream
    activation: str  # the tensor that gets a Q/DQ pair


class Graph:
    """A network's fp32 ONNX graph and the layers in it that can be quantised."""

    def __init__(self, data: bytes) -> None:
        """`data`: an fp32 ONNX file, as `to_onnx` makes it today.

        Raises:
            QuantiseFailed: no layer was found in it.
        """
        self._model = onnx.load_from_string(data)
        self.layers = _layers(self._model.graph)
        if not self.layers:
            raise QuantiseFailed("a graph with convolutions was expected")

    @property
    def activations(self) -> list[str]:
        """Every tensor that a layer would quantise, each once."""
        return list(dict.fromkeys(layer.activation for layer in self.layers))

    @property
    def share(self) -> float:
        """Of all weights, those that would be int8, 0..1."""
        sizes = {tensor.name: math.prod(tensor.dims) for tensor in self._model.graph.initializer}
        quantised = sum(sizes[layer.weight] for layer in self.layers if layer.weight)
        return float(quantised / sum(sizes.values()))

    def observed(self) -> bytes:
        """The fp32 graph: what ranges are measured on."""
        data: bytes = self._model.SerializeToString(deterministic=True)
        return data

    def quantised(self, ranges: Mapping[str, float], left_alone: Collection[str] = ()) -> bytes:
        """The INT8 graph.

        Args:
            ranges: by activation, the magnitude that becomes 127.
            left_alone: names of layers that stay fp32.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        chosen = [layer for layer in self.layers if layer.name not in left_alone]
        _insert(model.graph, chosen, ranges)
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def weight_error(weight: Float32Array) -> float:
    """Signal-to-noise ratio of a weight (C, ...) in int8 per channel, dB."""
    codes, scales = _codes(weight)
    noise = weight - codes.astype(np.float32) * scales.reshape(-1, *[1] * (weight.ndim - 1))
    power = float(np.mean(weight.astype(np.float64) ** 2))
    return 10.0 * float(np.log10(max(power, TINY) / max(float(np.mean(noise.astype(np.float64) ** 2)), TINY**2)))


def _layers(graph: onnx.GraphProto) -> list[Layer]:
    weights = {tensor.name for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    found, sums = [], set()
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            activation = node.input[0]
            source = producers[activation]
            if source.op_type == "MaxPool":  # the maximum of what is quantised is quantised, and pools faster
                activation = source.input[0]
            found.append(Layer(_name(node), node.input[1], activation))
        elif node.op_type == "Add" and not weights.intersection(node.input):
            # One side is the branch's convolution, which runtimes add in its own accumulators. The other is read from
            # memory: the identity, or the projection of it.
            branch, identity = (producers[name] for name in node.input)
            if branch.op_type != "Conv":
                branch, identity = identity, branch
            if branch.op_type == "Conv" and identity.output[0] not in sums:
                sums.add(identity.output[0])
                found.append(Layer(_name(branch).rpartition(".")[0] + ".sum", None, identity.output[0]))
    return found


def _name(conv: onnx.NodeProto) -> str:
    return str(conv.input[1]).removeprefix(PREFIX).removesuffix(".weight").removesuffix(".conv")


def _insert(graph: onnx.GraphProto, layers: Collection[Layer], ranges: Mapping[str, float]) -> None:
    weights = {tensor.name: tensor for tensor in graph.initializer}
    new_weights: list[onnx.TensorProto] = []
    renamed: dict[str, str] = {}  # tensor → its dequantised version, which all its readers get
    before: dict[str, list[onnx.NodeProto]] = {}  # nodes that follow the tensor's producer
    gone: set[str] = set()
    first: list[onnx.NodeProto] = []

    def constant(name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        new_weights.append(numpy_helper.from_array(array, name))
        return name

    for layer in layers:
        if layer.weight is not None and layer.weight not in renamed:
            name = layer.weight
            codes, scales = _codes(numpy_helper.to_array(weights[name]))
            inputs = [
                constant(f"{name}.codes", codes),
                constant(f"{name}.scales", scales),
                constant(f"{name}.zeros", np.zeros(len(scales), np.int8)),
            ]
            renamed[name] = f"{name}.int8"
            first.append(helper.make_node("DequantizeLinear", inputs, [renamed[name]], axis=0))
            gone.add(name)
        if layer.activation not in renamed:
            name = layer.activation
            scale = np.float32(max(ranges[name], TINY) / LARGEST)
            pair = [constant(f"{name}.scale", np.array(scale)), constant(f"{name}.zero", np.array(0, np.int8))]
            renamed[name] = f"{name}.int8"
            before[name] = [
                helper.make_node("QuantizeLinear", [name, *pair], [f"{name}.code"]),
                helper.make_node("DequantizeLinear", [f"{name}.code", *pair], [renamed[name]]),
            ]
    nodes = list(first)
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in renamed:
                node.input[index] = renamed[name]
        nodes.append(node)
        for output in node.output:
            nodes += before.get(output, [])
    kept = [tensor for tensor in graph.initializer if tensor.name not in gone]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept + new_weights)
    graph.node.extend(nodes)


def _codes(weight: Float32Array) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int8]], Float32Array]:
    """int8 codes of a weight (C, ...) and their scales (C,)."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scales = (np.maximum(largest, TINY) / LARGEST).astype(np.float32)
    codes = np.rint(weight / scales.reshape(-1, *[1] * (weight.ndim - 1)))
    return np.clip(codes, -LARGEST, LARGEST).astype(np.int8), scales
