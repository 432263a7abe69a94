"""What a bare .tflite lacks for MediaPipe's runtime, image metadata and an older face network's irises; and what a pose
network has that nobody asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_NAME = b"TFLITE_METADATA"
_ALIGNMENT = 16  # bytes; weights are mapped, not copied
FACE_VALUES = 468 * 3  # x, y, z of each point
IRIS_VALUES = 10 * 3
MASK_SHAPE = [1, 256, 256, 1]
_RESERVE = 1 << 16  # bytes for the metadata, so that the builder need not grow


class Bytes:
    """Stands in for the generated buffer class, which packs weights one byte at a time."""

    def __init__(self, data: npt.NDArray[np.uint8] | None) -> None:
        self.data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the schema's name
        from mediapipe.tasks.metadata import schema_py_generated as schema

        vector = None
        if self.data is not None and len(self.data):
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            start = builder.Head() - len(self.data)
            builder.head = start
            builder.Bytes[start : start + len(self.data)] = self.data.tobytes()
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def with_image_metadata(model: bytes, mean: float, std: float) -> bytes:
    """The model with its inputs described as RGB images normalised by (pixel - mean) / std, pixel in 0..255.

    A model that has metadata is returned as it is.
    """
    from mediapipe.tasks.metadata import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    entries = list(tree.metadata or [])
    if any(entry.name == _NAME for entry in entries):
        return model
    graph = tree.subgraphs[0]
    tree.buffers = [Bytes(buffer.data) for buffer in tree.buffers]
    tree.buffers.append(Bytes(np.frombuffer(_describe(len(graph.inputs), len(graph.outputs), mean, std), np.uint8)))
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME.decode(), len(tree.buffers) - 1
    tree.metadata = [*entries, entry]
    return packed(tree, len(model))


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


def without_mask(model: bytes) -> bytes:
    """A pose network whose mask of the person, which nobody asks for, is zeros: a quarter of its work is left out.

    A model without such an output is returned as it is.
    """
    from mediapipe.tasks.metadata import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = tree.subgraphs[0]
    masks = [at for at in graph.outputs if list(graph.tensors[at].shape) == MASK_SHAPE]
    if len(masks) != 1:
        return model
    needed = set(graph.outputs) - set(masks)
    kept = []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs):
            needed.update(operator.inputs)
            kept.append(operator)
    graph.operators = kept[::-1]
    tree.buffers = [Bytes(buffer.data) for buffer in tree.buffers]
    mask = graph.tensors[masks[0]]
    mask.buffer = len(tree.buffers)
    mask.type = schema.TensorType.FLOAT32
    tree.buffers.append(Bytes(np.zeros(4 * int(np.prod(MASK_SHAPE)), np.uint8)))
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


def packed(tree: Any, size: int) -> bytes:
    """A model's object tree as a file; size: of the model it was read from, bytes."""
    import flatbuffers

    builder = flatbuffers.Builder(size + _RESERVE)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _describe(inputs: int, outputs: int, mean: float, std: float) -> bytes:
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    def image() -> Any:
        properties = schema.ImagePropertiesT()
        properties.colorSpace = schema.ColorSpaceType.RGB
        content = schema.ContentT()
        content.contentPropertiesType = schema.ContentProperties.ImageProperties
        content.contentProperties = properties
        normalization = schema.NormalizationOptionsT()
        normalization.mean, normalization.std = [mean], [std]
        unit = schema.ProcessUnitT()
        unit.optionsType = schema.ProcessUnitOptions.NormalizationOptions
        unit.options = normalization
        stats = schema.StatsT()
        stats.min, stats.max = [(0.0 - mean) / std], [(255.0 - mean) / std]
        tensor = schema.TensorMetadataT()
        tensor.name, tensor.content, tensor.processUnits, tensor.stats = "image", content, [unit], stats
        return tensor

    def output(index: int) -> Any:
        tensor = schema.TensorMetadataT()
        tensor.name = f"output {index}"
        return tensor

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [image() for _ in range(inputs)]
    graph.outputTensorMetadata = [output(index) for index in range(outputs)]
    metadata = schema.ModelMetadataT()
    metadata.subgraphMetadata = [graph]
    builder = flatbuffers.Builder(0)
    builder.Finish(metadata.Pack(builder), b"M001")
    return bytes(builder.Output())
