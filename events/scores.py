"""Scores of event detection in sessions: a detection counts if it overlaps a true event of its kind by enough."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.taxonomy import ACTIONS, BODY_PARTS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Event = tuple[int, float, float]  # action index, onset s, offset s
LEAST_TIOU = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class EventScores:
    """Counts per class, and what follows from them. C = 52 actions or 7 body parts."""

    true_positives: IntArray  # (C,)
    false_positives: IntArray  # (C,) detections without a true event
    false_negatives: IntArray  # (C,) true events without a detection
    hours: float

    @property
    def f1_per_class(self) -> FloatArray:
        """(C,) F1; NaN for a class that neither occurs nor is detected."""
        wrong = self.false_positives + self.false_negatives
        whole = 2 * self.true_positives + wrong
        each: FloatArray = np.divide(2 * self.true_positives, whole, out=np.full(len(whole), np.nan), where=whole > 0)
        return each

    @property
    def f1_macro(self) -> float:
        """Mean F1 of the classes that occur or are detected; NaN without any."""
        each = self.f1_per_class
        return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

    @property
    def f1_micro(self) -> float:
        """F1 of all events together; NaN without any."""
        whole = int((2 * self.true_positives + self.false_positives + self.false_negatives).sum())
        return 2.0 * int(self.true_positives.sum()) / whole if whole else float("nan")

    @property
    def false_per_hour(self) -> float:
        """Detections without a true event, per hour."""
        return float(self.false_positives.sum()) / self.hours


def score_events(
    sessions: Iterable[tuple[Sequence[Event], Sequence[Event]]],
    seconds: float,
    *,
    by_part: bool = False,
    least_tiou: float = LEAST_TIOU,
) -> EventScores:
    """Score the detections of one or more sessions.

    Args:
        sessions: of each session the true events and the detected ones.
        seconds: length of all sessions together.
        by_part: the 7 body parts are the classes: any action of the right part will do.
        least_tiou: overlap that a match needs (`tiou`).

    Raises:
        ValueError: `seconds` is not positive, an event's index is unknown or its offset is before its onset.
    """
    if not seconds > 0.0:
        raise ValueError(f"expected sessions longer than 0 s, got {seconds:g}")
    classes = len(BODY_PARTS) if by_part else len(ACTIONS)
    counts = np.zeros((3, classes), np.int64)  # TP, FP, FN
    for true, detected in sessions:
        truths, detections = _by_class(true, by_part, classes), _by_class(detected, by_part, classes)
        for at in range(classes):
            hits = len(match(truths[at], detections[at], least_tiou))
            counts[:, at] += hits, len(detections[at]) - hits, len(truths[at]) - hits
    return EventScores(counts[0], counts[1], counts[2], seconds / 3600.0)


def tiou(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Temporal intersection over union of two (onset, offset)."""
    common = min(first[1], second[1]) - max(first[0], second[0])
    return common / (max(first[1], second[1]) - min(first[0], second[0])) if common > 0.0 else 0.0


def match(
    true: Sequence[tuple[float, float]], detected: Sequence[tuple[float, float]], least_tiou: float = LEAST_TIOU
) -> dict[int, int]:
    """Pair events one to one, as many pairs as possible (maximum bipartite matching by augmenting paths, Kuhn 1955).

    SciPy's matching gives as many pairs, but takes 0.3 ms for three by three events instead of 0.04 ms, and fitting
    thresholds needs millions of them; the live path would need its 110 MB for this alone.

    No pair that greedy matching would find is lost to the order of events. Of equal candidates the one with the larger
    overlap is tried first.

    Args:
        true: (onset, offset) of one class.
        detected: the same.
        least_tiou: pairs with less are never made.

    Returns:
        Index of the true event → index of its detection.
    """
    return match_overlaps([[tiou(event, other) for other in detected] for event in true], least_tiou)


def match_overlaps(overlaps: Sequence[Sequence[float]], least_tiou: float) -> dict[int, int]:
    """`match` of events whose overlaps (true, detected) are given, 0 where two may not be paired."""
    candidates = [
        sorted((at for at, value in enumerate(row) if value >= least_tiou), key=lambda at: -row[at]) for row in overlaps
    ]
    owner: dict[int, int] = {}  # detection → true event

    def augment(event: int, tried: set[int]) -> bool:
        for at in candidates[event]:
            if at in tried:
                continue
            tried.add(at)
            if at not in owner or augment(owner[at], tried):
                owner[at] = event
                return True
        return False

    for event in range(len(overlaps)):
        augment(event, set())
    return {event: at for at, event in owner.items()}


def _by_class(events: Sequence[Event], by_part: bool, classes: int) -> list[list[tuple[float, float]]]:
    sorted_: list[list[tuple[float, float]]] = [[] for _ in range(classes)]
    for index, onset, offset in events:
        if not 0 <= index < len(ACTIONS) or not onset <= offset:
            raise ValueError(f"expected (index 0..{len(ACTIONS) - 1}, onset, offset), got {(index, onset, offset)}")
        sorted_[ACTIONS[index].part_index if by_part else index].append((onset, offset))
    return sorted_


def activity(events: Sequence[Event], starts: FloatArray, ends: FloatArray) -> FloatArray:
    """Share of each interval that each action fills.

    Args:
        events: may overlap; several of one action that overlap each other count once.
        starts: (K,) seconds.
        ends: (K,) seconds, after `starts`.

    Returns:
        (K, 52), 0..1.
    """
    shares = np.zeros((len(starts), len(ACTIONS)))
    for index, group in itertools.groupby(sorted(events), key=lambda event: event[0]):
        reached = -np.inf
        for _, onset, offset in group:
            onset, reached = max(onset, reached), max(offset, reached)
            shares[:, index] += np.clip(np.minimum(ends, offset) - np.maximum(starts, onset), 0.0, None)
    return shares / (ends - starts)[:, None]
