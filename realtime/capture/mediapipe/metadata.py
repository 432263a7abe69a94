"""Adds to a bare .tflite the image metadata that MediaPipe's runtime asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_NAME = b"TFLITE_METADATA"
_ALIGNMENT = 16  # bytes; weights are mapped, not copied
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
