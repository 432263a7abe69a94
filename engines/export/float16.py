"""fp32 ONNX → fp16 ONNX, with what must stay fp32 left so. Needs the `train` extra (onnx)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from engines.bundle import Bundle, Float32Array
from engines.common.errors import BadInput, Failed

HALF_TOLERANCE = 1e-2  # of fp16 against fp32, relative to the largest reference logit
HALF_MAX = float(np.finfo(np.float16).max)  # 65504
HEADS = ("network.classifier.", "network.embedding.", "network.encoder.", "network.actions.", "network.emotion.")


class HalfFailed(Failed):
    """The fp16 graph cannot be made, or does not answer as the fp32 graph does."""


def half_bundle(bundle: Bundle, path: Path, name: str, *, overwrite: bool = False) -> Bundle:
    """The bundle in fp16, checked on the CPU against the fp32 reference logits, which it keeps.

    Args:
        bundle: a verified fp32 bundle.
        path: the folder to make.
        name: the new bundle's name.

    Raises:
        BadInput: `bundle` is not fp32, or `path` is taken.
        HalfFailed: a weight does not fit fp16, or logits differ by more than `HALF_TOLERANCE`.
    """
    card = bundle.card
    if card.precision != "fp32":
        raise BadInput("an fp32 bundle to make an fp16 one from", card.precision, "give the fp32 bundle")
    data = to_half(bundle.onnx_path.read_bytes())
    _check(data, bundle)
    parity = type(card.parity)(relative_tolerance=HALF_TOLERANCE)
    return bundle.derive(path, onnx=data, name=name, precision="fp16", parity=parity, overwrite=overwrite)


def to_half(data: bytes) -> bytes:
    """The network of an fp32 ONNX file in fp16; same inputs and outputs, uint8 in and float32 out.

    Three things stay fp32, because fp16 has 11 significant bits and ends at 65504:

    * Batch norm is folded into its convolution in float64 before anything is rounded. Kept apart, its variances and
      its epsilon (1e-5) lie where fp16 is subnormal, and 1/sqrt of them loses all accuracy.
    * Means over space. They add up to 56·56 values: the sum may pass 65504, and long before that each addend is
      rounded to the last bits of the sum. So do means over frames.
    * Normalisation of the pixels before the first convolution, and the heads behind the last mean. They are under
      0.1 % of the work, and what they round shows in the scores unaveraged.

    Raises:
        HalfFailed: not a graph of this kind, or a weight beyond 65504.
    """
    model = onnx.load_from_string(data)
    fold_batch_norm(model.graph)
    model = shape_inference.infer_shapes(model, strict_mode=True)
    _Halver(model.graph).run()
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    halved: bytes = model.SerializeToString(deterministic=True)
    return halved


def fold_batch_norm(graph: onnx.GraphProto) -> None:
    """Convolution, then batch norm in evaluation mode → one convolution with a bias; in place, computed in float64.

    Raises:
        HalfFailed: a batch norm elsewhere, or weights that are not fp32.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = producers.get(norm.input[0])
        if conv is None or conv.op_type != "Conv" or uses[conv.output[0]] != 1 or conv.input[1] not in weights:
            raise HalfFailed(f"{norm.name or norm.output[0]}: a batch norm that follows no convolution of its own")
        epsilon = next((item.f for item in norm.attribute if item.name == "epsilon"), 1e-5)
        scale, shift, mean, variance = (_array(weights, name) for name in norm.input[1:])  # (C,) each
        gain = scale / np.sqrt(variance + epsilon)
        kernel = _array(weights, conv.input[1])  # (C, C', h, w)
        bias = _array(weights, conv.input[2]) if len(conv.input) > 2 and conv.input[2] else np.zeros_like(mean)
        folded = {"weight": kernel * gain[:, None, None, None], "bias": shift + (bias - mean) * gain}
        del conv.input[1:]
        for part, array in folded.items():
            name = f"{norm.output[0]}.{part}"
            graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
            conv.input.append(name)
        conv.output[0] = norm.output[0]
        graph.node.remove(norm)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _array(weights: dict[str, onnx.TensorProto], name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if name not in weights or weights[name].data_type != TensorProto.FLOAT:
        raise HalfFailed(f"{name}: expected fp32 weights")
    return numpy_helper.to_array(weights[name]).astype(np.float64)


class _Halver:
    """Rewrites a graph node by node, in its (topological) order, and casts where the two precisions meet."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        typed = [*graph.input, *graph.output, *graph.value_info]
        self._types = {value.name: value.type.tensor_type.elem_type for value in typed}
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
        self._halved: set[str] = set()  # tensors whose producer now computes in fp16
        self._seen: set[str] = set()  # tensors behind the first convolution
        self._heads: set[str] = set()  # tensors behind the last mean over space
        self._new_weights: dict[str, onnx.TensorProto] = {}
        self._casts: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        for node in self._graph.node:
            self._place(node)
            half = self._is_half(node)
            for index, name in enumerate(node.input):
                if half and self._is_float(name):
                    node.input[index] = self._as_half(name)
                elif not half and name in self._halved:
                    node.input[index] = self._cast(name, TensorProto.FLOAT)
            self._nodes.append(node)
            if half:
                self._halved.update(name for name in node.output if self._is_float(name))
        if any(output.name in self._halved for output in self._graph.output) or not self._halved:
            raise HalfFailed("a graph whose convolutions lead to a mean and then to heads was expected")
        used = {name for node in self._nodes for name in node.input}
        weights = [tensor for name, tensor in (self._weights | self._new_weights).items() if name in used]
        outputs = {output.name for output in self._graph.output}
        nodes = [node for node in self._nodes if used.union(outputs).intersection(node.output)]
        del self._graph.initializer[:], self._graph.node[:]
        self._graph.initializer.extend(weights)
        self._graph.node.extend(nodes)

    def _place(self, node: onnx.NodeProto) -> None:
        """Is it behind the first convolution, and is it behind the last mean?"""
        if node.op_type == "Conv" or self._seen.intersection(node.input):
            self._seen.update(node.output)
        if any(name.startswith(HEADS) for name in node.input) or self._heads.intersection(node.input):
            self._heads.update(node.output)

    def _is_half(self, node: onnx.NodeProto) -> bool:
        (first, *_) = node.output
        return (
            first in self._seen
            and first not in self._heads
            and node.op_type not in ("ReduceMean", "GlobalAveragePool", "Cast", "Shape")
        )

    def _is_float(self, name: str) -> bool:
        if name in self._weights:
            return bool(self._weights[name].data_type == TensorProto.FLOAT)
        return bool(self._types.get(name) == TensorProto.FLOAT)

    def _as_half(self, name: str) -> str:
        """The name of an fp16 version of a float tensor."""
        if name in self._halved:
            return name
        if name not in self._weights and name not in self._constants:
            return self._cast(name, TensorProto.FLOAT16)
        new = f"{name}.half"
        if new not in self._new_weights:
            source = self._weights.get(name)
            if source is None:
                source = next(item.t for item in self._constants[name].attribute if item.name == "value")
            array: Float32Array = numpy_helper.to_array(source)
            if not np.abs(array).max(initial=0.0) <= HALF_MAX:
                raise HalfFailed(f"{name}: {np.abs(array).max():.3g} does not fit fp16")
            self._new_weights[new] = numpy_helper.from_array(array.astype(np.float16), new)
        return new

    def _cast(self, name: str, to: int) -> str:
        new = f"{name}.{'half' if to == TensorProto.FLOAT16 else 'float'}"
        if new not in self._casts:
            self._casts.add(new)
            self._nodes.append(helper.make_node("Cast", [name], [new], name=f"cast_{new}", to=to))
        return new


def _check(data: bytes, bundle: Bundle) -> None:
    """ONNX Runtime on the fp16 graph against the reference; it computes with the same rounded weights."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    reference = bundle.reference_arrays()
    for count in (1, len(reference)):  # the batch axis is still dynamic
        inputs = {name: array[:count] for name, array in reference.inputs.items()}
        for name, logits in reference.outputs.items():
            allowed = HALF_TOLERANCE * float(np.abs(logits).max())
            difference = float(np.abs(session.run([name], inputs)[0] - logits[:count]).max())
            if not difference <= allowed:
                raise HalfFailed(f"fp16 {name} differ from fp32 by {difference:.3g}, allowed {allowed:.3g}")
