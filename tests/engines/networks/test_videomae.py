"""VideoMAE is not in the oracle: the library transformers gives the reference, on weights by the oracle's rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.networks.layouts import best_layout, load_pretrained
from engines.networks.videomae import VideoMAE, sinusoids
from engines.specs.video import VideoMAESpec
from tests.engines.networks import oracle

pytestmark = pytest.mark.slow

PARAMETERS = 86_267_188  # of transformers' VideoMAE-Base with 52 classes
SPEC = VideoMAESpec(size=64, layers=3)
# Logits of transformers 5.24: classes 0, 10, ... 50 of both clips.
RECORDED = np.array(
    [[-0.8827, 0.66186, 1.20216, -0.21156, -1.03281, 0.28479], [-1.1111, 0.53231, 1.19656, -0.52753, -0.53308, 0.32966]]
)


# The same at full size, one clip of random pixels and one of blocks.
FULL = np.array(
    [[1.3702, 0.21885, 0.89133, 0.05902, -0.23275, 0.62928], [0.9765, 0.39413, 0.56941, -0.24156, -0.21294, 0.79287]]
)


def transformers_weights(spec: VideoMAESpec = SPEC) -> dict[str, Tensor]:
    """By the oracle's rule, with the names of transformers 5."""
    network = VideoMAE(spec)
    layout = network.pretrained_layouts()["transformers"]
    found = {}
    for ours, value in network.state_dict().items():
        theirs = layout.theirs(ours)
        shape = (value.shape[0] // len(theirs), *value.shape[1:])
        found |= {key: oracle.filled(key, shape) for key in theirs}
    return found


def before_5(key: str) -> str:
    """A key of transformers 5 in earlier checkpoints."""
    return key.replace("query.bias", "q_bias").replace("value.bias", "v_bias")


@pytest.mark.parametrize("layout", ["transformers", "transformers, before 5"])
def test_equals_transformers(layout: str) -> None:
    weights = transformers_weights()
    if layout != "transformers":
        weights = {before_5(key): value for key, value in weights.items()}
    network = VideoMAE(SPEC).eval()
    layouts = network.pretrained_layouts()
    assert best_layout(network, weights, layouts) == layout
    assert load_pretrained(network, weights, layouts[layout]).fresh == ()
    with torch.inference_mode():
        got = network(oracle.clips(2, *SPEC.clip_shape))["logits"]
    assert np.abs(got[:, ::10].numpy() - RECORDED).max() <= 1e-4


def full_clips() -> Tensor:
    shape = VideoMAESpec().clip_shape
    return torch.cat((oracle.clips(1, *shape), oracle.coarse_clips(1, *shape[:3])))


@pytest.mark.large
def test_full_size() -> None:
    network = VideoMAE(VideoMAESpec()).eval()
    weights = transformers_weights(VideoMAESpec())
    load_pretrained(network, weights, network.pretrained_layouts()["transformers"])
    with torch.inference_mode():
        got = torch.cat([network(clip[None])["logits"] for clip in full_clips()])
    assert np.abs(got[:, ::10].numpy() - FULL).max() <= 1e-4


@pytest.mark.parametrize("full", [False, pytest.param(True, marks=pytest.mark.large)])
def test_the_recorded_logits_are_those_of_transformers(full: bool) -> None:
    transformers = pytest.importorskip("transformers")
    spec, clips, recorded = SPEC, oracle.clips(2, *SPEC.clip_shape), RECORDED
    if full:
        spec, clips, recorded = VideoMAESpec(), full_clips(), FULL
    settings = transformers.VideoMAEConfig(num_labels=52, image_size=spec.size, num_hidden_layers=spec.layers)
    theirs = transformers.VideoMAEForVideoClassification(settings).eval()
    theirs.load_state_dict(transformers_weights(spec))
    with torch.inference_mode():
        logits = theirs(VideoMAE(spec).pixels(clips)).logits
    assert np.abs(logits[:, ::10].numpy() - recorded).max() <= 1e-4, logits[:, ::10].tolist()


def test_features_and_sums_of_the_layers() -> None:
    """Behind the last layer and each one before it, against transformers' own where it is installed."""
    transformers = pytest.importorskip("transformers")
    settings = transformers.VideoMAEConfig(num_labels=52, image_size=SPEC.size, num_hidden_layers=SPEC.layers)
    theirs = transformers.VideoMAEForVideoClassification(settings).eval()
    weights = transformers_weights()
    theirs.load_state_dict(weights)
    network = VideoMAE(SPEC).eval()
    load_pretrained(network, weights, network.pretrained_layouts()["transformers"])
    clips, found = oracle.clips(2, *SPEC.clip_shape), list[Tensor]()
    for block in network.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    with torch.inference_mode():
        network(clips)
        wanted = theirs.videomae(network.pixels(clips), output_hidden_states=True).hidden_states
    assert len(wanted) == len(found) + 1 == SPEC.layers + 1
    for ours, other in zip(found, wanted[1:], strict=True):
        torch.testing.assert_close(ours, other, atol=1e-4, rtol=0)


def test_parameters() -> None:
    with torch.device("meta"):
        network = VideoMAE(VideoMAESpec())
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS


def test_positions_are_sines_and_cosines() -> None:
    """As in the attention paper: columns 2k and 2k + 1 have the same wavelength."""
    table = sinusoids(5, 8)
    angles = torch.arange(5)[:, None] / 10_000 ** (torch.arange(4) / 4)
    torch.testing.assert_close(table[:, ::2], angles.sin(), atol=1e-6, rtol=0)
    torch.testing.assert_close(table[:, 1::2], angles.cos(), atol=1e-6, rtol=0)
