"""A narrow network's weights for a wider one that answers the same (Net2WiderNet, Chen et al. 2016, section 3.2).

Every channel becomes `factor` copies next to each other, so that the groups of channels that are shifted in time stay
the groups they were, and what a channel's readers took from it they take from its copies together. Their shares differ
from reader to reader, or the copies would learn the same for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SPREAD = 0.5  # deviation of a copy's share, relative to an equal share


def widened(name: str, narrow: Mapping[str, Tensor], shape: torch.Size) -> Tensor:
    """A tensor of a narrow network in the shape that it has in a wider one; the same where its shape is the same.

    Args:
        name: of the tensor in `narrow`.
        narrow: state of the narrow network.
        shape: (outputs, inputs, ...) or (outputs,), wider by whole factors.

    Raises:
        ValueError: it is of another shape and cannot be widened into this one.
    """
    value = narrow[name]
    if value.ndim != len(shape) or value.shape[2:] != shape[2:]:
        raise ValueError(f"{tuple(value.shape)} does not widen to {tuple(shape)}")
    factors = [new // old for new, old in zip(shape[:2], value.shape[:2], strict=True)]
    if any(new != old * factor for new, old, factor in zip(shape[:2], value.shape[:2], factors, strict=True)):
        raise ValueError(f"{tuple(value.shape)} does not widen to {tuple(shape)}")
    if value.ndim > 0:
        value = value.repeat_interleave(factors[0], dim=0)
    if value.ndim > 1 and factors[1] > 1:
        shares = _shares(value.shape[0], value.shape[1], factors[1])
        value = value.repeat_interleave(factors[1], dim=1) * shares.reshape(*shape[:2], *[1] * (value.ndim - 2))
    return value.clone()


def _shares(outputs: int, inputs: int, factor: int) -> Tensor:
    """What each output takes of each input's copies (outputs, inputs, factor), adding up to 1 over the copies."""
    noise = SPREAD * torch.randn(outputs, inputs, factor)
    shares: Tensor = (1.0 + noise - noise.mean(dim=2, keepdim=True)) / factor
    return shares
