"""Scores of clip classification (MANet paper, section V-A), from numbers alone.

Macro F1 comes in two kinds. Its usual definition, the mean of the classes' F1, is what MA-52's evaluation uses and what
`f1_macro` gives. The paper's Eq. 5 writes the harmonic mean of the mean precision and the mean recall;
`f1_macro_of_means` gives that. Classes in neither truth nor prediction are left out of both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from engines.taxonomy import ACTIONS, BODY_PARTS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Index of the body part of each action, (52,).
PART_OF: IntArray = np.array([action.part_index for action in ACTIONS], np.int64)
BodyRule = Literal["mapping", "sum"]


def confusion_matrix(true: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """(C, C) counts: row the true class, column the predicted one."""
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def f1_per_class(confusion: IntArray) -> FloatArray:
    """(C,) F1 = 2TP / (2TP + FP + FN); NaN for a class in neither truth nor prediction."""
    true_positives = np.diag(confusion).astype(np.float64)
    support = confusion.sum(axis=0) + confusion.sum(axis=1)  # 2TP + FP + FN
    return _ratio(2.0 * true_positives, support)


def f1_macro(confusion: IntArray) -> float:
    """Mean of the classes' F1."""
    return float(np.nanmean(f1_per_class(confusion)))


def f1_macro_of_means(confusion: IntArray) -> float:
    """Harmonic mean of mean precision and mean recall (MANet paper, Eq. 5); 0 / 0 counts as 0."""
    hits = np.diag(confusion).astype(np.float64)
    present = confusion.sum(axis=0) + confusion.sum(axis=1) > 0
    precision = np.nan_to_num(_ratio(hits, confusion.sum(axis=0)))[present].mean()
    recall = np.nan_to_num(_ratio(hits, confusion.sum(axis=1)))[present].mean()
    return float(2.0 * precision * recall / (precision + recall)) if precision + recall > 0.0 else 0.0


def f1_micro(confusion: IntArray) -> float:
    """F1 of all decisions together (MANet paper, Eq. 4); with one label each it equals the accuracy."""
    return float(np.trace(confusion) / confusion.sum())


def f1_mean(macro_coarse: float, micro_coarse: float, macro_fine: float, micro_fine: float) -> float:
    """F1_mean (MANet paper, Eq. 6)."""
    return (macro_coarse + micro_coarse + macro_fine + micro_fine) / 4.0


def top_k(scores: FloatArray, true: IntArray, k: int) -> float:
    """Share of the N examples whose true class is among the k highest of `scores` (N, C); ties go to lower indices."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # (N, k)
    return float((best == true[:, None]).any(axis=1).mean())


def body_scores(probs: FloatArray, rule: BodyRule) -> FloatArray:
    """(N, 52) probabilities of actions to (N, 7) scores of body parts.

    mapping: a part scores as its likeliest action, so that the part of the top action wins (MANet paper, section IV-A).
    sum: a part scores the sum of its actions' probabilities.
    """
    parts = [probs[:, part == PART_OF] for part in range(len(BODY_PARTS))]
    return np.stack([part.max(axis=1) if rule == "mapping" else part.sum(axis=1) for part in parts], axis=1)


@dataclass(frozen=True, slots=True)
class ClipScores:
    """All the paper reports (Table II), 0..1. Coarse: 7 body parts; fine: 52 actions."""

    f1_mean: float
    f1_macro_coarse: float
    f1_macro_fine: float
    f1_micro_coarse: float
    f1_micro_fine: float
    top1_coarse: float
    top1_fine: float
    top5_fine: float
    f1_macro_of_means_coarse: float  # Eq. 5 as written; not part of f1_mean
    f1_macro_of_means_fine: float
    clips: int

    def rows(self) -> list[tuple[str, float]]:
        """Name and value of each score."""
        return [(field.name, getattr(self, field.name)) for field in fields(self) if field.name != "clips"]


def score_clips(probs: FloatArray, true: IntArray, body_rule: BodyRule = "mapping") -> ClipScores:
    """Score predictions.

    Args:
        probs: (N, 52), N at least 1.
        true: (N,) action indices.
        body_rule: how the body part is predicted (`body_scores`).

    Raises:
        ValueError: wrong shapes.
    """
    if probs.shape != (len(true), len(ACTIONS)) or true.ndim != 1 or not len(true):
        raise ValueError(f"expected (N, {len(ACTIONS)}) and (N,), got {probs.shape} and {true.shape}")
    parts = body_scores(probs, body_rule)
    fine = confusion_matrix(true, probs.argmax(axis=1), len(ACTIONS))
    coarse = confusion_matrix(PART_OF[true], parts.argmax(axis=1), len(BODY_PARTS))
    macro_coarse, micro_coarse = f1_macro(coarse), f1_micro(coarse)
    macro_fine, micro_fine = f1_macro(fine), f1_micro(fine)
    return ClipScores(
        f1_mean=f1_mean(macro_coarse, micro_coarse, macro_fine, micro_fine),
        f1_macro_coarse=macro_coarse,
        f1_macro_fine=macro_fine,
        f1_micro_coarse=micro_coarse,
        f1_micro_fine=micro_fine,
        top1_coarse=top_k(parts, PART_OF[true], 1),
        top1_fine=top_k(probs, true, 1),
        top5_fine=top_k(probs, true, 5),
        f1_macro_of_means_coarse=f1_macro_of_means(coarse),
        f1_macro_of_means_fine=f1_macro_of_means(fine),
        clips=len(true),
    )


def average_precision(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> float:
    """Area under precision against recall as the sum of precision times recall step; NaN without any positive.

    Args:
        scores: (N,), equal scores are one step.
        positive: (N,).
    """
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = positive[order].cumsum().astype(np.float64)
    last_of_step = np.append(np.diff(scores[order]) != 0, True)
    precision = (hits / np.arange(1, len(hits) + 1))[last_of_step]
    recall = hits[last_of_step] / hits[-1]
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def mean_average_precision(scores: FloatArray, shares: FloatArray, least_share: float = 0.5) -> float:
    """Mean over the actions that occur of `average_precision`; NaN where none occurs.

    Args:
        scores: (N, 52).
        shares: (N, 52) share of each window that each action fills, 0..1.
        least_share: from this share on a window counts as showing the action.
    """
    positive = shares >= least_share
    each = [average_precision(scores[:, index], positive[:, index]) for index in np.flatnonzero(positive.any(axis=0))]
    return float(np.mean(each)) if each else float("nan")


def _ratio(part: FloatArray, whole: FloatArray | IntArray) -> FloatArray:
    """part / whole, NaN for 0 / 0."""
    ratio: FloatArray = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio
