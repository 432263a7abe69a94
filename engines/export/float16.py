"""fp32 ONNX → fp16 ONNX, with what must stay fp32 left so. Needs the `train` extra (onnx)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir
from onnx import TensorProto, numpy_helper

from engines.common.errors import Failed

PREFIX = "network."  # of initialisers: then the name in the network's state_dict
HALF_MAX = float(np.finfo(np.float16).max)  # 65504
HALF_TINY = 5.97e-8  # the converter asks for a least magnitude above fp16's smallest
MEANS = ("ReduceMean", "GlobalAveragePool")


class HalfFailed(Failed):
    """The fp16 graph cannot be made."""


def to_half(data: bytes, keep_fp32: Sequence[str] = ()) -> bytes:
    """The network of an fp32 ONNX file in fp16; same inputs and outputs, float32 out.

    ONNX Runtime converts; its largest difference from the fp32 logits of the shipped models is 0.06 % of them. Three
    things stay fp32, because fp16 has 11 significant bits and ends at 65504:

    * What comes before the first weights: pixels or landmarks are normalised there.
    * Means over space. They add up to 56·56 values: the sum may pass 65504, and long before that each addend is
      rounded to the last bits of the sum. So do means over frames.
    * The modules `keep_fp32` and all behind them. They are little work, and their rounding shows in the scores.

    Raises:
        HalfFailed: a weight beyond 65504.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        largest = np.abs(numpy_helper.to_array(tensor)).max(initial=0.0) if tensor.data_type == TensorProto.FLOAT else 0
        if not largest <= HALF_MAX:
            raise HalfFailed(f"{tensor.name}: {largest:.3g} does not fit fp16")
    model = convert_float_to_float16(
        model,
        min_positive_val=HALF_TINY,
        max_finite_val=HALF_MAX,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *MEANS],
        node_block_list=_kept(model.graph, keep_fp32),
    )
    _join_casts(model.graph)
    del model.graph.value_info[:]
    model = _sorted(model)
    onnx.checker.check_model(model, full_check=True)
    halved: bytes = model.SerializeToString(deterministic=True)
    return halved


def _kept(graph: onnx.GraphProto, modules: Sequence[str]) -> list[str]:
    """Nodes that no weights come before, and those that read the weights of some modules or come behind them."""
    weights = {tensor.name for tensor in graph.initializer if tensor.name.startswith(PREFIX)}
    prefixes = tuple(f"{PREFIX}{module}." for module in modules)
    weighed: set[str] = set()
    heads: set[str] = set()
    kept = []
    for node in graph.node:
        read = {*node.input}
        if read & (weights | weighed):
            weighed.update(node.output)
        if any(name.startswith(prefixes) for name in read & weights) or read & heads:
            heads.update(node.output)
        if not weighed.intersection(node.output) or heads.intersection(node.output):
            kept.append(node.name)
    return kept


def _join_casts(graph: onnx.GraphProto) -> None:
    """Between two fp32 nodes the converter rounds to fp16 and back: the second then reads the first.

    An output that is rounded and back keeps the second cast as an identity of its source.
    """
    halved = {node.output[0]: node.input[0] for node in graph.node if _casts(node, TensorProto.FLOAT16)}
    exact: dict[str, str] = {}
    for node in graph.node:
        if _casts(node, TensorProto.FLOAT) and node.input[0] in halved:
            node.input[0] = halved[node.input[0]]
            exact[node.output[0]] = node.input[0]
    for node in graph.node:
        node.input[:] = [exact.get(name, name) for name in node.input]
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for node in [node for node in graph.node if not used.intersection(node.output)]:
        graph.node.remove(node)


def _sorted(model: onnx.ModelProto) -> onnx.ModelProto:
    """With every node behind those that it reads: the converter appends its casts at the end."""
    graph = onnx_ir.from_proto(model)
    graph.graph.sort()
    return onnx_ir.to_proto(graph)


def _casts(node: onnx.NodeProto, to: int) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == to
