"""A wider network that begins with a narrow one's weights answers as it did, and can learn more than it did."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engines.common.errors import BadInput
from engines.networks.manet import MANet
from engines.specs.manet import MANetSpec
from training.models import start_from


def network(width: int, depth: int = 18) -> MANet:
    """A network whose batch norms have seen something."""
    made = MANet(MANetSpec(depth=depth, width=width, size=32, length=4))  # type: ignore[arg-type]
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean = 0.1 * torch.randn(module.num_features)
            module.running_var = 0.5 + torch.rand(module.num_features)
    return made.eval()


@pytest.mark.parametrize(("depth", "factor"), [(18, 2), (18, 3), (34, 2), (50, 2)])
def test_answers_stay(depth: int, factor: int) -> None:
    torch.manual_seed(5)
    narrow, wide = network(8, depth), network(8 * factor, depth)
    start_from(wide, narrow)
    clips = torch.randn(3, 4, 3, 32, 32)
    with torch.inference_mode():
        before, after = narrow(clips), wide(clips)
    scale = before.logits.abs().max()
    assert (after.logits - before.logits).abs().max() < 1e-4 * scale
    assert before.embedding is not None
    assert (after.embedding - before.embedding).abs().max() < 1e-4 * before.embedding.abs().max()


def test_copies_of_a_channel_learn_apart() -> None:
    torch.manual_seed(6)
    wide = network(16)
    start_from(wide, network(8))
    wide(torch.randn(2, 4, 3, 32, 32)).logits.square().sum().backward()
    gradient = wide.get_submodule("layer2.0.conv1.conv").weight.grad
    assert isinstance(gradient, torch.Tensor)
    assert (gradient[0::2] - gradient[1::2]).abs().mean() > 0.1 * gradient.abs().mean()


def test_what_does_not_widen_is_refused() -> None:
    for mine, theirs in ((network(24), network(16)), (network(8), network(16)), (network(16, 34), network(16, 18))):
        with pytest.raises(BadInput, match="a multiple"):
            start_from(mine, theirs)
