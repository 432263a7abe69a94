"""What training minimises (MANet paper, Eqs. 2 and 3 for micro-actions, section VI-A for emotions)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn import functional

from training.recipe import Strict

Activation = Literal["softmax", "sigmoid"]
EmbeddingForm = Literal["squared_distance", "mean_square"]
Weight = Annotated[float, Meta(ge=0.0)]


class ActionLosses(Strict, frozen=True):
    """L = L_cls + α · L_emb (Eq. 3). Paper and released code differ in L_emb and α."""

    activation: Activation = "softmax"
    # squared_distance: ‖X_q − X_z‖², summed over the 300 dimensions (Eq. 2). mean_square: their mean (released code).
    embedding: EmbeddingForm = "squared_distance"
    alpha: Weight = 5.0  # of networks with an embedding


class EmotionLosses(Strict, frozen=True):
    """L = L_act + β · L_emo (section VI-A)."""

    beta: Weight = 0.03  # section VI-B
    class_weights: bool = True  # against a long tail, see `class_weights`


def action_losses(
    outputs: dict[str, Tensor], targets: Tensor, label_vectors: Tensor | None, settings: ActionLosses
) -> dict[str, Tensor]:
    """Losses of a batch, means over it.

    Args:
        outputs: logits (B, 52) and maybe embedding (B, 300).
        targets: (B, 52), 0..1. One-hot for clips; for windows the share of each action.
        label_vectors: (52, 300), of networks with an embedding.
        settings: which loss.

    Returns:
        loss, classification, and embedding before α where there is one.
    """
    classification = classification_loss(outputs["logits"].to(targets.dtype), targets, settings.activation)
    if label_vectors is None or settings.alpha == 0.0 or "embedding" not in outputs:
        return {"loss": classification, "classification": classification}
    with torch.autocast(targets.device.type, enabled=False):
        embedding = embedding_loss(outputs["embedding"].to(targets.dtype), targets, label_vectors, settings.embedding)
    return {
        "loss": classification + settings.alpha * embedding,
        "classification": classification,
        "embedding": embedding,
    }


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


def emotion_losses(
    outputs: dict[str, Tensor], felt: Tensor, done: Tensor | None, settings: EmotionLosses, weights: Tensor | None
) -> dict[str, Tensor]:
    """Losses of a batch, means over it.

    Args:
        outputs: logits emotion (B, 5) and maybe actions (B, A).
        felt: (B, 6), shares of each emotion and of none.
        done: (B, A), 0..1, of networks with actions.
        settings: weights of the terms.
        weights: (5,) of the emotions, see `class_weights`.

    Returns:
        loss, emotion before β, and actions where there are some.
    """
    emotion = functional.cross_entropy(outputs["emotion"].float(), emotion_target(felt), weight=weights)
    if done is None:
        return {"loss": emotion, "emotion": emotion}
    actions = functional.binary_cross_entropy_with_logits(outputs["actions"].float(), done)
    return {"loss": actions + settings.beta * emotion, "actions": actions, "emotion": emotion}


def emotion_target(felt: Tensor) -> Tensor:
    """(B, 6) → (B, 5): shares of the emotions; the share of none is spread evenly: there is nothing to see."""
    return felt[:, :-1] + felt[:, -1:] / (felt.shape[1] - 1)


def class_weights(counts: Tensor) -> Tensor:
    """(5,) weights against a long tail: N / (K · n_c) for n_c examples of class c, so that classes weigh alike.

    Classes without examples get 0.
    """
    counts = counts.float()
    present = int((counts > 0).sum())
    return torch.where(counts > 0, counts.sum() / (present * counts.clamp_min(1e-9)), torch.zeros_like(counts))
