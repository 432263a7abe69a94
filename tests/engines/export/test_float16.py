from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from engines.__main__ import main
from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.export.float16 import HalfFailed, to_half
from engines.export.onnx_export import TOLERANCES, ExportFailed, half_bundle
from engines.patterns import moving_patterns
from engines.runtimes import open_runtime

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def halved(small_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("halved") / "small-fp16"
    assert main(["export", str(small_bundle.path), "--precision", "fp16", "--out", str(path)]) == 0
    return Bundle.load(path)


def types_of(graph: onnx.GraphProto) -> dict[str, int]:
    """Element type of every tensor, weights included."""
    typed = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph), strict_mode=True).graph
    found = {value.name: value.type.tensor_type.elem_type for value in (*typed.value_info, *typed.input, *typed.output)}
    return found | {tensor.name: tensor.data_type for tensor in graph.initializer}


def test_an_fp16_bundle_keeps_the_reference_and_says_so(halved: Bundle, small_bundle: Bundle) -> None:
    card = halved.card
    assert (card.precision, card.parity.relative_tolerance) == ("fp16", TOLERANCES["fp16"])
    assert card.provenance == small_bundle.card.provenance
    clips, logits = small_bundle.reference()
    assert np.array_equal(halved.reference()[0], clips)
    assert np.abs(halved.reference()[1] - logits).max() <= 1e-5 * np.abs(logits).max()  # of fp32, not of fp16
    assert halved.onnx_path.stat().st_size < 0.75 * small_bundle.onnx_path.stat().st_size  # heads stay


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_cpu_runtimes_answer_as_fp32_does(halved: Bundle, small_bundle: Bundle, runtime: str) -> None:
    clips = moving_patterns(41, 3, 8, 64)
    with open_runtime(small_bundle, "onnxruntime") as full, open_runtime(halved, runtime) as half:
        want, got = full.infer(clips), half.infer(clips)
    assert 0 < np.abs(got.logits - want.logits).max() <= TOLERANCES["fp16"] * np.abs(want.logits).max()
    assert got.embedding is not None
    assert np.abs(got.embedding - want.embedding).max() <= TOLERANCES["fp16"] * np.abs(want.embedding).max()


def test_what_must_stay_fp32_does(halved: Bundle) -> None:
    graph = onnx.load(str(halved.onnx_path)).graph
    types = types_of(graph)
    by_type: dict[str, set[int]] = {}
    for node in graph.node:
        by_type.setdefault(node.op_type, set()).add(types[node.output[0]])
    assert "BatchNormalization" not in by_type
    for name in ("Conv", "MaxPool", "Sigmoid", "Pad", "Concat", "Add"):
        halves = {types[node.output[0]] for node in graph.node if node.op_type == name} - {TensorProto.INT64}
        assert halves == {TensorProto.FLOAT16}, name
    for name in ("ReduceMean", "Div", "Tanh"):
        assert by_type[name] == {TensorProto.FLOAT}, name
    heads = [tensor for tensor in graph.initializer if "classifier" in tensor.name or "embedding" in tensor.name]
    weights = {tensor.name.removeprefix("network.") for tensor in heads if tensor.name.endswith(".weight")}
    assert weights == {"classifier.weight", "embedding.hidden.weight", "embedding.output.weight"}
    assert {tensor.data_type for tensor in heads} == {TensorProto.FLOAT}
    assert [types[output.name] for output in graph.output] == [TensorProto.FLOAT] * 2
    assert types["clips"] == TensorProto.UINT8


def edit(bundle: Bundle, change: Callable[[onnx.GraphProto], None]) -> bytes:
    model = onnx.load(str(bundle.onnx_path))
    change(model.graph)
    return bytes(model.SerializeToString())


def scale(graph: onnx.GraphProto, suffix: str, factor: float) -> None:
    for tensor in graph.initializer:
        if tensor.name.endswith(suffix):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))


def test_weights_beyond_fp16_are_named(small_bundle: Bundle) -> None:
    data = edit(small_bundle, lambda graph: scale(graph, "layer2.0.mix.squeeze.weight", 1e6))
    with pytest.raises(HalfFailed, match=r"layer2\.0\.mix\.squeeze\.weight: .* does not fit fp16"):
        to_half(data)


@pytest.mark.long
def test_a_bundle_that_fp16_changes_too_much_is_not_written(
    small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOLERANCES, "fp16", 1e-6)
    with pytest.raises(ExportFailed, match=r"differs from torch by .* in logits"):
        half_bundle(small_bundle, tmp_path / "half", "half")
    assert not (tmp_path / "half").exists()


def test_only_fp32_can_be_halved(halved: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected an fp32 bundle to make an fp16 one from, got fp16"):
        half_bundle(halved, tmp_path / "quarter", "quarter")
