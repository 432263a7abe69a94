"""What training minimises (MANet paper, Eqs. 2 and 3 for micro-actions, section VI-A for emotions)."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn import functional

from engines.taxonomy import BODY_PARTS
from training.metrics import PART_OF
from training.recipe import Strict

ARC_SCALE, ARC_MARGIN = 30.0, 0.5  # Deng et al. 2019, section 3; the scale for features of few classes

Activation = Literal["softmax", "sigmoid"]
EmbeddingForm = Literal["squared_distance", "mean_square"]
Weight = Annotated[float, Meta(ge=0.0)]


class ActionLosses(Strict, frozen=True):
    """L = L_cls + α · L_emb (Eq. 3). Paper and released code differ in L_emb and α."""

    activation: Activation = "softmax"
    # squared_distance: ‖X_q − X_z‖², summed over the 300 dimensions (Eq. 2). mean_square: their mean (released code).
    embedding: EmbeddingForm = "squared_distance"
    alpha: Weight = 5.0  # of networks with an embedding
    # Weights of what later papers on MA-52 add, of any network.
    f1: Weight = 0.0  # 1 - macro F1 of the batch, with probabilities for counts
    parts: Weight = 0.0  # cross-entropy of the 7 body parts, each the sum of its actions' probabilities
    margin: Weight = 0.0  # ArcFace on the classifier's input and rows (Deng et al. 2019)
    auxiliary: Weight = 0.0  # cross-entropy of body parts by a head of its own, which the model does without
    moments: Weight = 0.0  # cross-entropy of the actions at every moment of the last maps, by such a head


class EmotionLosses(Strict, frozen=True):
    """L = L_act + β · L_emo (section VI-A)."""

    beta: Weight = 0.03  # section VI-B
    class_weights: bool = True  # against a long tail, see `class_weights`


class Head(NamedTuple):
    """What a network's classifier reads and is, in a batch."""

    features: Tensor  # (B, C)
    rows: Tensor  # (52, C)
    parts: Tensor | None = None  # (B, 7), logits of the auxiliary head
    moments: Tensor | None = None  # (B, M, 52), of the other one


def action_losses(
    outputs: dict[str, Tensor],
    targets: Tensor,
    label_vectors: Tensor | None,
    settings: ActionLosses,
    head: Head | None = None,
) -> dict[str, Tensor]:
    """Losses of a batch, means over it.

    Args:
        outputs: logits (B, 52) and maybe embedding (B, 300).
        targets: (B, 52), 0..1. One-hot for clips; for windows the share of each action.
        label_vectors: (52, 300), of networks with an embedding.
        settings: which losses.
        head: for `margin`, `auxiliary` and `moments`.

    Returns:
        loss, and what it is the weighted sum of: classification, and the others that have a weight.
    """
    logits = outputs["logits"].to(targets.dtype)
    terms = {"classification": (1.0, classification_loss(logits, targets, settings.activation))}
    if label_vectors is not None and settings.alpha > 0.0 and "embedding" in outputs:
        with torch.autocast(targets.device.type, enabled=False):
            embedding = outputs["embedding"].to(targets.dtype)
            terms["embedding"] = settings.alpha, embedding_loss(embedding, targets, label_vectors, settings.embedding)
    probs = logits.softmax(dim=1) if settings.activation == "softmax" else logits.sigmoid()
    if settings.f1 > 0.0:
        terms["f1"] = settings.f1, f1_loss(probs, targets)
    if settings.parts > 0.0:
        terms["parts"] = settings.parts, part_loss(probs, targets)
    if settings.margin > 0.0 and head is not None:
        terms["margin"] = settings.margin, margin_loss(head.features.to(targets.dtype), head.rows, targets)
    if settings.auxiliary > 0.0 and head is not None and head.parts is not None:
        own = functional.cross_entropy(head.parts.to(targets.dtype), parts_of(targets))
        terms["auxiliary"] = settings.auxiliary, own
    if settings.moments > 0.0 and head is not None and head.moments is not None:
        each = targets[:, None].expand(-1, head.moments.shape[1], -1)
        own = functional.cross_entropy(head.moments.to(targets.dtype).flatten(0, 1), each.flatten(0, 1))
        terms["moments"] = settings.moments, own
    total = sum((weight * value for weight, value in terms.values()), targets.new_zeros(()))
    return {"loss": total} | {name: value for name, (_, value) in terms.items()}


def f1_loss(probs: Tensor, targets: Tensor) -> Tensor:
    """1 - the mean F1 of the classes of a batch, its counts sums of probabilities (B, C); `targets` (B, C), 0..1."""
    right = (probs * targets).sum(dim=0)
    f1 = 2.0 * right / (probs.sum(dim=0) + targets.sum(dim=0)).clamp_min(1e-6)  # (C,)
    there = targets.sum(dim=0) > 0.0
    return 1.0 - f1[there].mean() if there.any() else probs.sum() * 0.0


def parts_of(probs: Tensor) -> Tensor:
    """(B, 52) of actions → (B, 7) of body parts: sums."""
    part = torch.as_tensor(PART_OF, device=probs.device)
    return probs.new_zeros(len(probs), len(BODY_PARTS)).index_add_(1, part, probs)


def part_loss(probs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the body parts, from probabilities (B, 52) of actions."""
    return -(parts_of(targets) * parts_of(probs).clamp_min(1e-8).log()).sum(dim=1).mean()


def margin_loss(features: Tensor, rows: Tensor, targets: Tensor) -> Tensor:
    """ArcFace: cross-entropy of scaled cosines, the true class's angle enlarged by a margin.

    Args:
        features: (B, C), what the classifier reads.
        rows: (52, C), its weights.
        targets: (B, 52), one-hot.
    """
    cosines = functional.normalize(features) @ functional.normalize(rows).T
    angles = torch.acos(cosines.clamp(-1.0 + 1e-6, 1.0 - 1e-6))
    return functional.cross_entropy(
        ARC_SCALE * torch.where(targets > 0.5, (angles + ARC_MARGIN).cos(), cosines), targets
    )


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
