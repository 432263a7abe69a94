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


def transformers_weights() -> dict[str, Tensor]:
    """By the oracle's rule, with the names of transformers 5."""
    network = VideoMAE(SPEC)
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


def test_the_recorded_logits_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    settings = transformers.VideoMAEConfig(num_labels=52, image_size=64, num_hidden_layers=3)
    theirs = transformers.VideoMAEForVideoClassification(settings).eval()
    theirs.load_state_dict(transformers_weights())
    with torch.inference_mode():
        logits = theirs(VideoMAE(SPEC).pixels(oracle.clips(2, *SPEC.clip_shape))).logits
    assert np.abs(logits[:, ::10].numpy() - RECORDED).max() <= 1e-4, logits[:, ::10].tolist()


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
