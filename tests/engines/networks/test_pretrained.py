from __future__ import annotations

import ast
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.common.errors import BadInput
from engines.networks.manet import MANet
from engines.networks.pretrained import Checkpoint, load_checkpoint, read_checkpoint, write_checkpoint
from engines.specs.manet import MANetSpec
from tests.conftest import ROOT
from tests.engines.conftest import official_shapes

pytestmark = pytest.mark.slow

Weights = dict[str, torch.Tensor]
OFFICIAL = MANetSpec()


def loaded(weights: Weights, spec: MANetSpec = OFFICIAL) -> MANet:
    network = MANet(spec)
    assert load_checkpoint(network, Checkpoint(weights, "", True))[0] == "official"
    return network


def test_names_and_shapes_are_the_official_ones() -> None:
    path = ROOT.parent / "shared" / "data" / "official_manet_keys.txt"
    if not path.exists():
        pytest.skip("the official key list is not beside this checkout")
    lines = path.read_text(encoding="utf-8").splitlines()
    want = {line.split()[0]: tuple(ast.literal_eval(line[line.index("[") : line.index("]") + 1])) for line in lines}
    assert official_shapes() == want


@pytest.mark.parametrize("embedding", [True, False])
def test_there_and_back_is_identical(official_weights: Weights, tmp_path: Path, embedding: bool) -> None:
    network = loaded(official_weights, MANetSpec(embedding=embedding))
    write_checkpoint(network, "official", tmp_path / "back.pth")
    back = read_checkpoint(tmp_path / "back.pth").weights
    assert back.keys() == official_weights.keys() == official_shapes().keys()
    assert len(back) == 404
    for name, value in back.items():
        lost = "action_p2_" in name or (not embedding and "fc_emb" in name)
        assert torch.equal(value, torch.zeros_like(value) if lost else official_weights[name]), name


def test_numpy_scalars_are_read_and_code_is_not_run(official_weights: Weights, tmp_path: Path) -> None:
    path = tmp_path / "scalars.pth"
    some = {name: official_weights[name] for name in list(official_weights)[:3]}
    meta = {"lr": np.float64(0.00125), "epoch": np.int64(80), "best": [np.float32(0.61), np.bool_(True)]}
    torch.save({"state_dict": some, "meta": meta, "optimizer": {"lr": np.float64(1)}}, path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.weights.keys() == some.keys()
    assert checkpoint.trained
    old = path.read_bytes()  # as written by NumPy 1, whose module had another name
    torch.save({"state_dict": some, "meta": meta}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert path.read_bytes() != old
    assert read_checkpoint(path).weights.keys() == some.keys()


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("how", ["zip", "legacy", "bare"])
def test_malicious_content_is_refused_in_one_line(tmp_path: Path, how: str) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "owned"
    content = {"state_dict": {}, "meta": Malicious(marker)}
    if how == "bare":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(BadInput) as caught:
        read_checkpoint(path)
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    if how != "bare":
        assert f"{os.mkdir.__module__}.mkdir" in str(caught.value)


def test_what_is_no_checkpoint_is_refused(official_file: Path, tmp_path: Path) -> None:
    whole = official_file.read_bytes()
    path = tmp_path / "spoilt.pth"
    for data in (b"", b"PK\x03\x04", b"hello", whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(data)
        with pytest.raises(BadInput) as caught:
            read_checkpoint(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    for content in ([1], {"model": {}}, {"state_dict": {"a": 1}}, {"state_dict": torch.zeros(1)}):
        torch.save(content, path)
        with pytest.raises(BadInput, match="state_dict"):
            read_checkpoint(path)
    for missing in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(BadInput, match=r"a checkpoint file|torch checkpoint"):
            read_checkpoint(missing)


@pytest.mark.parametrize(
    "name",
    [
        "backbone.conv1.conv.weight",
        "backbone.layer3.4.conv1.conv.fcce.2.weight",
        "cls_head.fc_emb_t.bias",
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(official_weights: Weights, name: str) -> None:
    without = {key: value for key, value in official_weights.items() if key != name}
    with pytest.raises(BadInput, match=name):
        loaded(without)
    shape = tuple(official_weights[name].shape)
    with pytest.raises(BadInput) as caught:
        loaded(official_weights | {name: torch.zeros(3, 2)})
    assert f"expected {name} {shape}, got (3, 2)" in str(caught.value)
    with pytest.raises(BadInput, match=r"got backbone\.layer5\.0"):
        loaded(official_weights | {"backbone.layer5.0": torch.zeros(1)})


def test_untrained_weights_stay_untrained_through_the_official_layout(tmp_path: Path) -> None:
    network = MANet(MANetSpec(embedding=False))
    for trained in (False, True):
        path = tmp_path / f"{trained}.pth"
        write_checkpoint(network, "official", path, trained=trained)
        checkpoint = read_checkpoint(path)
        assert checkpoint.trained is trained
        assert not checkpoint.weights["cls_head.fc_emb.weight"].any()
    with pytest.raises(BadInput, match="which exists"):
        write_checkpoint(network, "official", path)
    with pytest.raises(BadInput, match="can be written"):
        write_checkpoint(network, "official", tmp_path / "absent" / "x.pth")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["False.pth", "True.pth"]
    with pytest.raises(BadInput, match="a layout of official, torchvision, got 'caffe'"):
        write_checkpoint(network, "caffe", tmp_path / "x.pth")
