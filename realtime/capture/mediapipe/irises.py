"""Gives the older face network, which knows no irises, the number of points that MediaPipe's runtime asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from realtime.capture.mediapipe.metadata import Bytes, packed

FACE_VALUES = 468 * 3  # x, y, z of each point
IRIS_VALUES = 10 * 3


def with_irises(model: bytes) -> bytes:
    """The face network with 478 points instead of 468: the first ten once more as irises, which nothing uses.

    Raises:
        ValueError: the network's first output is not 468 points.
    """
    from mediapipe.tasks.metadata import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = tree.subgraphs[0]
    face = graph.outputs[0]
    if list(graph.tensors[face].shape) != [1, 1, 1, FACE_VALUES]:
        raise ValueError(f"expected 468 face points, got an output of shape {list(graph.tensors[face].shape)}")
    kind = graph.tensors[face].type
    tree.buffers = [Bytes(buffer.data) for buffer in tree.buffers]

    def tensor(name: str, kind: int, shape: list[int], values: list[int] | None = None) -> int:
        made = schema.TensorT()
        made.name, made.type, made.shape, made.buffer = name.encode(), kind, shape, 0
        if values is not None:
            made.buffer = len(tree.buffers)
            tree.buffers.append(Bytes(np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)))
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(code: int, inputs: list[int], output: int, options_type: int, options: Any) -> None:
        made = schema.OperatorT()
        made.opcodeIndex = _opcode(tree, code)
        made.inputs, made.outputs = inputs, [output]
        made.builtinOptionsType, made.builtinOptions = options_type, options
        graph.operators.append(made)

    begin = tensor("iris_begin", schema.TensorType.INT32, [4], [0, 0, 0, 0])
    size = tensor("iris_size", schema.TensorType.INT32, [4], [1, 1, 1, IRIS_VALUES])
    irises = tensor("irises", kind, [1, 1, 1, IRIS_VALUES])
    whole = tensor("face_and_irises", kind, [1, 1, 1, FACE_VALUES + IRIS_VALUES])
    operators, kinds = schema.BuiltinOperator, schema.BuiltinOptions
    operator(operators.SLICE, [face, begin, size], irises, kinds.SliceOptions, schema.SliceOptionsT())
    joined = schema.ConcatenationOptionsT()
    joined.axis = 3
    operator(operators.CONCATENATION, [face, irises], whole, kinds.ConcatenationOptions, joined)
    graph.outputs = [whole, *graph.outputs[1:]]
    tree.signatureDefs = None  # they name the output that is no longer one
    tree.metadata = None
    return packed(tree, len(model))


def _opcode(tree: Any, code: int) -> int:
    """Index of an operator among those the model declares, declared now if need be."""
    from mediapipe.tasks.metadata import schema_py_generated as schema

    for index, known in enumerate(tree.operatorCodes):
        if max(known.deprecatedBuiltinCode, known.builtinCode) == code:
            return index
    made = schema.OperatorCodeT()
    made.deprecatedBuiltinCode = made.builtinCode = code
    made.version = 1
    tree.operatorCodes.append(made)
    return len(tree.operatorCodes) - 1
