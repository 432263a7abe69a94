"""What the emotion network minimises: L = L_act + β · L_emo (MANet paper, section VI-A)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

BETA = 0.03  # MANet paper, section VI-B


class EmotionLosses(NamedTuple):
    """Scalars, means over the batch."""

    total: Tensor
    actions: Tensor
    emotion: Tensor  # before β


def emotion_losses(
    answer: Mapping[str, Tensor], emotion: Tensor, actions: Tensor, beta: float = BETA, weights: Tensor | None = None
) -> EmotionLosses:
    """Loss of a batch.

    Args:
        answer: logits (B, 5) and (B, A).
        emotion: (B, 5), 0..1, rows that sum to one.
        actions: (B, A), 0..1.
        beta: weight of the emotion loss.
        weights: (5,) of the emotions, see `class_weights`.
    """
    act = functional.binary_cross_entropy_with_logits(answer["actions"].float(), actions)
    emo = functional.cross_entropy(answer["emotion"].float(), emotion, weight=weights)
    return EmotionLosses(act + beta * emo, act, emo)


def class_weights(counts: Tensor) -> Tensor:
    """(5,) weights against a long tail: N / (K · n_c) for n_c examples of class c, so that classes weigh alike.

    Classes without examples get 0.
    """
    counts = counts.float()
    there = int((counts > 0).sum())
    return torch.where(counts > 0, counts.sum() / (there * counts.clamp_min(1e-9)), torch.zeros_like(counts))
