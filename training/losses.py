"""What training minimises: a classification loss and the distance to the label's vector (MANet paper, Eqs. 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Activation = Literal["softmax", "sigmoid"]
EmbeddingForm = Literal["squared_distance", "mean_square"]


@dataclass(frozen=True, slots=True)
class LossSettings:
    """L = L_cls + α · L_emb (Eq. 3). Paper and released code differ in L_emb and α."""

    activation: Activation = "softmax"
    # squared_distance: ‖X_q − X_z‖², summed over the 300 dimensions (Eq. 2). mean_square: their mean (released code).
    embedding: EmbeddingForm = "squared_distance"
    alpha: float = 5.0  # 0: without


PAPER_LOSS = LossSettings()  # section V-B
CODE_LOSS = LossSettings(embedding="mean_square", alpha=50.0)


class Losses(NamedTuple):
    """Scalars, means over the batch."""

    total: Tensor
    classification: Tensor
    embedding: Tensor  # before α; 0 where the network has no embedding head, or α is 0


def losses(
    heads: Mapping[str, Tensor], targets: Tensor, label_vectors: Tensor | None, settings: LossSettings
) -> Losses:
    """Loss of a batch.

    Args:
        heads: logits (B, 52) and maybe embedding (B, 300).
        targets: (B, 52), 0..1. One-hot for clips; for windows the share of each action.
        label_vectors: (52, 300), or none where there is nothing to embed into.
        settings: which loss.

    Raises:
        ValueError: α is above 0, the network has an embedding head, and there are no label vectors.
    """
    classification = classification_loss(heads["logits"].float(), targets, settings.activation)
    if settings.alpha == 0.0 or "embedding" not in heads:
        return Losses(classification, classification, classification.new_zeros(()))
    if label_vectors is None:
        raise ValueError("expected label vectors for the embedding loss, got none")
    embedding = embedding_loss(heads["embedding"].float(), targets, label_vectors, settings.embedding)
    return Losses(classification + settings.alpha * embedding, classification, embedding)


def classification_loss(logits: Tensor, targets: Tensor, activation: Activation) -> Tensor:
    """Softmax: cross-entropy. Sigmoid: binary cross-entropy, summed over the 52 actions. Mean over the batch."""
    if activation == "softmax":
        return functional.cross_entropy(logits, targets)
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)


def embedding_loss(embedding: Tensor, targets: Tensor, label_vectors: Tensor, form: EmbeddingForm) -> Tensor:
    """L_emb (Eq. 2) between X_z = `embedding` (B, 300) and X_q, the label's vector; mean over the batch.

    Several actions at once: X_q is the mean of their vectors, weighted by their shares. Examples without any action
    have no X_q and count as 0.
    """
    total = targets.sum(dim=1, keepdim=True)  # (B, 1)
    label = targets @ label_vectors / total.clamp_min(1e-6)  # (B, 300)
    squares = (label - embedding).square()
    each = squares.sum(dim=1) if form == "squared_distance" else squares.mean(dim=1)  # (B,)
    return torch.where(total[:, 0] > 0, each, 0.0).mean()
