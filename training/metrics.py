"""Scores of clips (MANet paper, section V-A) and of emotion windows (section VI-B, Table VI), by scikit-learn.

Macro F1 of clips comes in two kinds. Its usual definition, the mean of the classes' F1, is what MA-52's evaluation
uses. The paper's Eq. 5 writes the harmonic mean of the mean precision and the mean recall: `f1_macro_of_means`.
Classes in neither truth nor prediction are left out of both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Index of the body part of each action, (52,).
PART_OF: IntArray = np.array([action.part_index for action in ACTIONS], np.int64)
BodyRule = Literal["mapping", "sum"]
PURE = 0.9  # share of an emotion window that one emotion, or none, must fill for the window to be scored


def confusion_matrix(true: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """(C, C) counts: row the true class, column the predicted one."""
    if not len(true):
        return np.zeros((classes, classes), np.int64)
    return np.asarray(metrics.confusion_matrix(true, predicted, labels=range(classes)), np.int64)


def f1_macro_of_means(true: IntArray, predicted: IntArray) -> float:
    """Harmonic mean of mean precision and mean recall (MANet paper, Eq. 5); 0 / 0 counts as 0."""
    precision, recall, _, _ = metrics.precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)
    return float(2.0 * precision * recall / (precision + recall)) if precision + recall > 0.0 else 0.0


def f1_mean(macro_coarse: float, micro_coarse: float, macro_fine: float, micro_fine: float) -> float:
    """F1_mean (MANet paper, Eq. 6)."""
    return (macro_coarse + micro_coarse + macro_fine + micro_fine) / 4.0


def top_k(scores: FloatArray, true: IntArray, k: int) -> float:
    """Share of the N examples whose true class is among the k highest of `scores` (N, C)."""
    return float(metrics.top_k_accuracy_score(true, scores, k=k, labels=range(scores.shape[1])))


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
    kinds = ((PART_OF[true], parts.argmax(axis=1)), (true, probs.argmax(axis=1)))  # coarse, fine
    macro = [float(metrics.f1_score(*kind, average="macro", zero_division=0)) for kind in kinds]
    micro = [float(metrics.f1_score(*kind, average="micro")) for kind in kinds]
    return ClipScores(
        f1_mean=f1_mean(macro[0], micro[0], macro[1], micro[1]),
        f1_macro_coarse=macro[0],
        f1_macro_fine=macro[1],
        f1_micro_coarse=micro[0],
        f1_micro_fine=micro[1],
        top1_coarse=top_k(parts, PART_OF[true], 1),
        top1_fine=top_k(probs, true, 1),
        top5_fine=top_k(probs, true, 5),
        f1_macro_of_means_coarse=f1_macro_of_means(*kinds[0]),
        f1_macro_of_means_fine=f1_macro_of_means(*kinds[1]),
        clips=len(true),
    )


def average_precision(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> float:
    """Area under precision against recall of `scores` (N,) for `positive` (N,); NaN without any positive."""
    return float(metrics.average_precision_score(positive, scores)) if positive.any() else float("nan")


def mean_average_precision(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> float:
    """Mean of `average_precision` over the columns of (N, C) with a positive; NaN where none has one."""
    each = [average_precision(scores[:, at], positive[:, at]) for at in np.flatnonzero(positive.any(axis=0))]
    return float(np.mean(each)) if each else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class EmotionScores:
    """All that Tables VI and VII report, 0..1; NaN where nothing can be said."""

    accuracy: float  # share of windows whose likeliest emotion is the true one
    f1_weighted: float  # mean of the emotions' F1, weighted by how often each is true
    uf1: float  # the same mean, unweighted; emotions in neither truth nor answer are left out
    uar: float  # mean of the recalls of the emotions that occur
    # Mean average precision over actions; the paper's words ("average multi-label action classification accuracy for
    # each video instance") leave open whether actions or instances are averaged, so that over instances stands beside.
    map: float
    map_instances: float  # over windows with at least one action
    recall: FloatArray  # (5,) Acc of each emotion in Table VII; NaN where it never occurs
    confusion: IntArray  # (5, 5): row the true emotion, column the answer
    windows: int

    def rows(self) -> list[tuple[str, float]]:
        """Name and value of each score."""
        names = ("accuracy", "f1_weighted", "uf1", "uar", "map", "map_instances")
        each = [(f"recall_{name}", float(value)) for name, value in zip(EMOTIONS, self.recall, strict=True)]
        return [(name, float(getattr(self, name))) for name in names] + each


def score_emotions(emotion: FloatArray, true: IntArray, actions: FloatArray, done: FloatArray) -> EmotionScores:
    """Score N emotion windows.

    Args:
        emotion: (N, 5) scores, the highest is the answer.
        true: (N,) indices of EMOTIONS; -1 where no emotion is felt: counted for the actions alone.
        actions: (N, A) scores.
        done: (N, A) 0 or 1.

    Raises:
        ValueError: shapes that do not fit.
    """
    if emotion.shape != (len(true), len(EMOTIONS)) or actions.shape != done.shape or len(actions) != len(true):
        raise ValueError(
            f"expected (N, 5), (N,), (N, A) twice, got {emotion.shape}, {true.shape}, {actions.shape} and {done.shape}"
        )
    felt = true >= 0
    answers, right = emotion[felt].argmax(axis=1), true[felt]
    confusion = confusion_matrix(right, answers, len(EMOTIONS))
    support = confusion.sum(axis=1)
    recall = np.divide(np.diag(confusion), support, out=np.full(len(EMOTIONS), np.nan), where=support > 0)
    weighted, macro = (
        float(metrics.f1_score(right, answers, average=kind, zero_division=0)) if len(right) else float("nan")
        for kind in ("weighted", "macro")
    )
    positive = done > 0.5
    return EmotionScores(
        accuracy=float((right == answers).mean()) if len(right) else float("nan"),
        f1_weighted=weighted,
        uf1=macro,
        uar=float(np.nanmean(recall)) if len(right) else float("nan"),
        map=mean_average_precision(actions, positive),
        map_instances=mean_average_precision(actions.T, positive.T),
        recall=recall,
        confusion=confusion,
        windows=len(true),
    )


@dataclass(frozen=True, slots=True, eq=False)
class EmotionPredictions:
    """Answers of a network to N emotion windows, and the truth."""

    emotion: FloatArray  # (N, 5) logits
    actions: FloatArray  # (N, A) logits
    felt: FloatArray  # (N, 6)
    done: FloatArray  # (N, A)

    def per_video(self, windows: int) -> EmotionPredictions:
        """Logits averaged over each video's windows, which follow each other."""
        arrays = (self.emotion, self.actions, self.felt, self.done)
        return EmotionPredictions(*(one.reshape(-1, windows, one.shape[1]).mean(axis=1) for one in arrays))

    def scores(self) -> EmotionScores:
        """Windows of one emotion count for the emotions, all of them for the actions."""
        likeliest = self.felt.argmax(axis=1)
        pure = (self.felt.max(axis=1) >= PURE) & (likeliest < len(EMOTIONS))
        return score_emotions(self.emotion, np.where(pure, likeliest, -1), self.actions, self.done)
