"""Scores of emotion recognition and of micro-actions that occur together (MANet paper, section VI-B, Table VI).

Acc        share of stretches whose likeliest emotion is the true one
F1_weight  mean of the emotions' F1 = 2TP / (2TP + FP + FN), weighted by how often each is true
UF1        the same mean, unweighted; emotions in neither truth nor answer are left out
UAR        mean of the recalls of the emotions that occur
mAP        mean over the actions that occur of the area under precision against recall; the paper's words ("average
           multi-label action classification accuracy for each video instance") leave open whether actions or instances
           are averaged, so the mean over instances stands beside it
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.taxonomy import EMOTIONS
from training.metrics import FloatArray, IntArray, average_precision, confusion_matrix, f1_macro, f1_per_class


@dataclass(frozen=True, slots=True, eq=False)
class EmotionScores:
    """All that Table VI and Table VII report, 0..1; NaN where nothing can be said."""

    accuracy: float
    f1_weighted: float
    uf1: float
    uar: float
    map: float  # mean over actions
    map_instances: float  # mean over stretches with at least one action
    recall: FloatArray  # (5,) Acc of each emotion in Table VII; NaN where it never occurs
    confusion: IntArray  # (5, 5): row the true emotion, column the answer
    stretches: int

    def rows(self) -> list[tuple[str, float]]:
        """Name and value of each score."""
        names = ("accuracy", "f1_weighted", "uf1", "uar", "map", "map_instances")
        each = [(f"recall_{name}", float(value)) for name, value in zip(EMOTIONS, self.recall, strict=True)]
        return [(name, float(getattr(self, name))) for name in names] + each


def score_emotions(emotion: FloatArray, true: IntArray, actions: FloatArray, done: FloatArray) -> EmotionScores:
    """Score N stretches.

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
    confusion = confusion_matrix(true[felt], emotion[felt].argmax(axis=1), len(EMOTIONS))
    support = confusion.sum(axis=1)
    recall = np.divide(np.diag(confusion), support, out=np.full(len(EMOTIONS), np.nan), where=support > 0)
    some = bool(felt.any())
    f1 = np.nan_to_num(f1_per_class(confusion))
    positive = done > 0.5
    by_action = [average_precision(actions[:, at], positive[:, at]) for at in np.flatnonzero(positive.any(axis=0))]
    by_instance = [average_precision(actions[at], positive[at]) for at in np.flatnonzero(positive.any(axis=1))]
    return EmotionScores(
        accuracy=float(np.trace(confusion) / support.sum()) if some else float("nan"),
        f1_weighted=float((f1 * support).sum() / support.sum()) if some else float("nan"),
        uf1=f1_macro(confusion) if some else float("nan"),
        uar=float(np.nanmean(recall)) if some else float("nan"),
        map=float(np.mean(by_action)) if by_action else float("nan"),
        map_instances=float(np.mean(by_instance)) if by_instance else float("nan"),
        recall=recall,
        confusion=confusion,
        stretches=len(true),
    )
