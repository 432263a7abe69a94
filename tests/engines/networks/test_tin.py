"""Interlacing: shifts by fractions of a frame, with their true gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.networks.tin import Interlace, interlace
from tests.engines.networks import oracle


def recorded(name: str) -> Tensor:
    return torch.from_numpy(oracle.recorded()[f"tin_op/{name}"])


def groups_of(frames: Tensor, count: int = 4) -> Tensor:
    """(N, T, C, X) → (N, G, T, C/G·X)."""
    return frames.unflatten(2, (count, -1)).transpose(1, 2).flatten(3)


@pytest.mark.parametrize(("offsets", "output"), [("shift", "output"), ("offset", "interlaced")])
def test_shifts_as_the_published_operation(offsets: str, output: str) -> None:
    got = interlace(groups_of(recorded("input")), recorded(offsets).float())
    assert (got - groups_of(recorded(output))).abs().max() <= 1e-6


def test_positive_is_later_and_a_fraction_is_shared() -> None:
    impulse = torch.zeros(1, 2, 5, 1)
    impulse[:, :, 2] = 1.0
    moved = interlace(impulse, torch.tensor([[1.25, -2.0]]))[0, :, :, 0]
    np.testing.assert_allclose(moved, [[0, 0, 0, 0.75, 0.25], [1, 0, 0, 0, 0]])


def test_gradients_are_the_true_ones() -> None:
    """Against differences, of frames and of offsets; the published kernel for GPUs moves the former the wrong way."""
    generator = torch.Generator().manual_seed(1)
    groups = torch.randn(2, 4, 8, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    offsets = torch.empty(2, 4, dtype=torch.float64).uniform_(-1.9, 1.9, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(interlace, (groups, offsets))
    moved = interlace(groups, torch.ones_like(offsets))
    weights = torch.arange(8.0, dtype=torch.float64)[:, None].expand_as(groups)
    (back,) = torch.autograd.grad((moved * weights).sum(), groups)
    np.testing.assert_allclose(back[0, 0, :, 0], [1, 2, 3, 4, 5, 6, 7, 0])  # frame t is read at t + 1


def test_begins_half_a_frame_apart() -> None:
    layer = Interlace(16, 8)
    torch.nn.init.zeros_(layer.offset.weight)
    offsets, weights = layer.plan(torch.zeros(1, 8, 4))
    np.testing.assert_allclose(offsets.detach(), [[0.5, 0.5, -0.5, -0.5]], atol=1e-6)
    np.testing.assert_allclose(weights.detach(), np.ones((1, 4, 8)), atol=1e-6)
