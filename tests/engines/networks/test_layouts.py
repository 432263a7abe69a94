"""Other people's checkpoints: names, starts from networks on images, and what does not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.common.errors import BadInput
from engines.networks.contract import VideoNetwork
from engines.networks.layouts import Loaded, best_layout, load_pretrained
from engines.networks.registry import build, make_spec
from engines.networks.timesformer import AUTHORS_MEAN, AUTHORS_STD
from tests.engines.networks import oracle

COUNTER = "num_batches_tracked"


def read(network: VideoNetwork, weights: Mapping[str, Tensor], layout: str) -> Loaded:
    layouts = network.pretrained_layouts()
    assert best_layout(network, weights, layouts) == layout
    return load_pretrained(network.eval(), weights, layouts[layout])


@pytest.mark.parametrize(
    ("name", "layout", "prefix"),
    [("video_swin", "authors", ""), ("timesformer", "authors", "model."), ("uniformer", "authors", "")],
)
def test_names_and_shapes_are_the_authors(name: str, layout: str, prefix: str) -> None:
    with torch.device("meta"):
        network = build(make_spec(name))
    files = {"video_swin": "video_swin_tiny", "timesformer": "timesformer_divst", "uniformer": "uniformer_small"}
    wanted = {prefix + key: shape for key, shape in oracle.shapes(f"{files[name]}.original_author").items()}
    # The list has the authors' backbone, whose head is mmaction2's.
    got = {
        network.pretrained_layouts()[layout].theirs(ours)[0]: tuple(value.shape)
        for ours, value in network.state_dict().items()
    }
    assert got == {key: shape for key, shape in wanted.items() if "relative_position_index" not in key}


def torchvision_resnet50() -> dict[str, Tensor]:
    """ImageNet's, by the README's rule of names."""
    found = {}
    for key, shape in oracle.shapes("tsn_r50").items():
        theirs = key.removeprefix("backbone.").replace("downsample.conv", "downsample.0")
        theirs = re.sub(r"conv(\d)\.conv", r"conv\1", theirs.replace("downsample.bn", "downsample.1"))
        theirs = re.sub(r"conv(\d)\.bn", r"bn\1", theirs)
        if not key.startswith("cls_head"):
            found[theirs] = oracle.filled(key, shape)
    return found | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize("name", ["tsn", "tsm", "tin", "i3d", "manet"])
def test_starts_from_torchvision(name: str) -> None:
    weights = torchvision_resnet50()
    network = build(make_spec(name))
    loaded = read(network, weights, "torchvision")
    assert loaded.count == len(weights) - 2
    assert loaded.foreign_head == "fc.weight (1000, 2048)"
    assert all(re.search(r"\.mix\.|^classifier\.|^embedding\.", fresh) for fresh in loaded.fresh)
    stem = network.backbone.stem.conv.weight
    if name == "i3d":  # a kernel repeated over time gives of a still picture what the 2-D one gives
        assert torch.allclose(stem.sum(dim=2), weights["conv1.weight"], atol=1e-6)
        assert torch.equal(stem[:, :, 0], stem[:, :, 4])
        third = network.backbone.layer1[0].conv1.conv.weight
        assert torch.allclose(third * 3, weights["layer1.0.conv1.weight"][:, :, None].expand_as(third))
    else:
        assert torch.equal(stem, weights["conv1.weight"])
    assert torch.equal(network.backbone.layer2[0].downsample.bn.weight, weights["layer2.0.downsample.1.weight"])


def test_tin_starts_from_tsm() -> None:
    weights = oracle.weights("tsm_r50")
    network = build(make_spec("tin"))
    loaded = read(network, weights, "mmaction2 TSM")
    assert loaded.count == len(weights)
    assert loaded.fresh
    assert all(".mix." in name for name in loaded.fresh)
    assert torch.equal(network.classifier.weight, weights["cls_head.fc_cls.weight"])


def test_video_swin_starts_from_images() -> None:
    """One frame's table is repeated for the 15 distances in time, the patches' kernel for both frames."""
    network = build(make_spec("video_swin"))
    layout = network.pretrained_layouts()["authors' Swin on images"]
    weights = {layout.theirs(name)[0]: value.clone() for name, value in network.state_dict().items()}
    for key, value in weights.items():
        if key.endswith("bias_table"):
            weights[key] = torch.randn(169, value.shape[1])
    weights["patch_embed.proj.weight"] = torch.randn(96, 3, 4, 4)
    weights["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    weights["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49)
    weights["head.weight"], weights["head.bias"] = torch.zeros(1000, 768), torch.zeros(1000)
    loaded = read(network, weights, "authors' Swin on images")
    assert loaded.foreign_head == "head.weight (1000, 768)"
    table = network.stages[2][3].attention.table.reshape(15, 169, 12)
    assert torch.equal(table[0], table[14])
    assert torch.equal(table[7], weights["layers.2.blocks.3.attn.relative_position_bias_table"])
    assert torch.allclose(network.patch.weight[:, :, 1] * 2, weights["patch_embed.proj.weight"])


def image_transformer(layers: int) -> dict[str, Tensor]:
    """A ViT-Base on ImageNet, by its usual names."""
    shapes = {"cls_token": (1, 1, 768), "pos_embed": (1, 197, 768), "patch_embed.proj.weight": (768, 3, 16, 16)}
    shapes |= {"norm.weight": (768,), "norm.bias": (768,), "head.weight": (1000, 768), "head.bias": (1000,)}
    shapes["patch_embed.proj.bias"] = (768,)
    parts = {"norm1": (768,), "norm2": (768,), "attn.qkv": (2304, 768), "attn.proj": (768, 768)}
    parts |= {"mlp.fc1": (3072, 768), "mlp.fc2": (768, 3072)}
    for layer in range(layers):
        for part, shape in parts.items():
            shapes |= {f"blocks.{layer}.{part}.weight": shape, f"blocks.{layer}.{part}.bias": shape[:1]}
    return {key: oracle.filled(key, shape) for key, shape in shapes.items()}


def test_timesformer_starts_from_images() -> None:
    """Attention over time begins as a copy of that over space; places are those of the nearest patch."""
    network = build(make_spec("timesformer", ["layers=1", "size=112"]))
    loaded = read(network, image_transformer(1), "ViT on images")
    block = network.blocks[0]
    assert torch.equal(block.time_attention.qkv.weight, block.space_attention.qkv.weight)
    assert torch.equal(block.time_norm.bias, block.space_norm.bias)
    assert not block.time_output.weight.any()
    assert set(loaded.fresh) == {
        *("times", "blocks.0.time_output.weight", "blocks.0.time_output.bias", "classifier.weight", "classifier.bias")
    }
    grid = image_transformer(1)["pos_embed"][0, 1:].reshape(14, 14, 768)[::2, ::2].reshape(49, 768)
    assert torch.equal(network.places[0, 1:], grid)


def test_pixels_of_the_authors_timesformer_are_scaled_as_theirs() -> None:
    network = build(make_spec("timesformer", ["layers=1", "size=32"]))
    layout = network.pretrained_layouts()["authors"]
    weights = {layout.theirs(key)[0]: torch.randn(value.shape) for key, value in network.state_dict().items()}
    read(network, weights, "authors")
    clips = oracle.clips(1, 1, 32, 32, 3)
    theirs = (clips[0].float() - AUTHORS_MEAN) / AUTHORS_STD
    kernel, bias = weights["model.patch_embed.proj.weight"], weights["model.patch_embed.proj.bias"]
    wanted = torch.nn.functional.conv2d(theirs.permute(0, 3, 1, 2), kernel, bias, 16)
    with torch.inference_mode():
        got = network.patch(network.pixels(clips)[0])
    np.testing.assert_allclose(got, wanted, atol=1e-3)


def test_what_does_not_fit_is_named() -> None:
    network = build(make_spec("tsn", ["depth=18", "width=8"]))
    layout = network.pretrained_layouts()["mmaction2"]
    weights = {layout.theirs(name)[0]: value.clone() for name, value in network.state_dict().items()}
    name = "backbone.layer2.0.conv2.bn.running_var"
    missing = {key: value for key, value in weights.items() if key != name}
    with pytest.raises(BadInput, match=f"expected {name}, of .16,., got a checkpoint without it"):
        load_pretrained(network, missing, layout)
    with pytest.raises(BadInput, match=r"got \(3,\)"):
        load_pretrained(network, weights | {name: torch.zeros(3)}, layout)
    with pytest.raises(BadInput, match=r"got backbone\.layer5\.weight \(2,\)"):
        load_pretrained(network, weights | {"backbone.layer5.weight": torch.zeros(2)}, layout)
    counters = {key: value for key, value in weights.items() if COUNTER not in key}
    assert load_pretrained(network, counters, layout).fresh == ()
    other = {"cls_head.fc_cls.weight": torch.zeros(400, 64), "cls_head.fc_cls.bias": torch.zeros(400)}
    before = network.classifier.weight.clone()
    loaded = load_pretrained(network, weights | other | {"data_preprocessor.mean": torch.zeros(3, 1, 1)}, layout)
    assert loaded.foreign_head == "cls_head.fc_cls.weight (400, 64)"
    assert set(loaded.fresh) == {"classifier.weight", "classifier.bias"}
    assert torch.equal(network.classifier.weight, before)
