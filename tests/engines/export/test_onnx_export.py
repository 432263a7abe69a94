from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.export import onnx_export as export
from engines.export.onnx_export import ExportFailed, write_bundle
from engines.export.weights import read_network
from engines.networks.initialise import initialise
from engines.runtimes import open_runtime
from tests.engines.conftest import SMALL


def test_the_graph_takes_pixels_and_holds_everything(small_bundle: Bundle) -> None:
    model = onnx.load(str(small_bundle.onnx_path), load_external_data=False)
    (clips,), outputs = model.graph.input, model.graph.output
    assert clips.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    dims = [dim.dim_param or dim.dim_value for dim in clips.type.tensor_type.shape.dim]
    assert dims == ["N", 8, 64, 64, 3]
    assert [output.name for output in outputs] == ["logits", "embedding"]
    assert not any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
    assert {node.domain for node in model.graph.node} == {""}


def test_weights_come_back_bit_by_bit(small_bundle: Bundle) -> None:
    back = read_network(small_bundle).state_dict()
    want = initialise(SMALL, 3).state_dict()
    assert all(torch.equal(back[name], want[name]) for name in want)


def test_the_head_can_be_left_out_on_reading(small_bundle: Bundle) -> None:
    spec = msgspec.structs.replace(SMALL, embedding=False)
    assert read_network(small_bundle, spec).embedding is None


def test_another_network_is_named(small_bundle: Bundle) -> None:
    spec = msgspec.structs.replace(SMALL, width=16)
    with pytest.raises(BadInput, match=r"weights classifier.weight \(52, 128\) .*got \(52, 64\)"):
        read_network(small_bundle, spec)


def test_a_bundle_of_an_earlier_version_runs_and_says_what_it_lacks(small_bundle: Bundle, tmp_path: Path) -> None:
    reference = small_bundle.reference_arrays()
    old = Bundle.write(tmp_path / "old", small_bundle.card, small_bundle.onnx_path, reference)
    with open_runtime(old, "onnxruntime", 1) as runtime:
        assert runtime.infer(reference.inputs["clips"]).logits.shape == (2, 52)
    assert old.derive(tmp_path / "again", name="again").weights_path is None
    with pytest.raises(BadInput, match=r"a bundle with weights\.safetensors, got .*, of an earlier version"):
        read_network(old)


def test_a_graph_that_answers_otherwise_is_not_written(
    small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "to_onnx", lambda network: small_bundle.onnx_path.read_bytes())
    network = initialise(SMALL, 3)
    with torch.no_grad():
        network.classifier.bias += 0.1
    with pytest.raises(ExportFailed, match=r"differs from torch by 0\.1"):
        write_bundle(network, small_bundle.card, tmp_path / "wrong")
    with pytest.raises(BadInput, match="holds a bundle"):
        write_bundle(network, small_bundle.card, small_bundle.path)
    with pytest.raises(ValueError, match="card and network differ"):
        write_bundle(initialise(msgspec.structs.replace(SMALL, size=32), 3), small_bundle.card, tmp_path / "wrong")
    assert not list(tmp_path.iterdir())


def test_reference_is_what_torch_said(small_bundle: Bundle) -> None:
    clips, logits = small_bundle.reference()
    with torch.inference_mode():
        want = initialise(SMALL, 3)(torch.from_numpy(clips))["logits"].numpy()
    assert np.abs(logits - want).max() <= 1e-5 * np.abs(want).max()
