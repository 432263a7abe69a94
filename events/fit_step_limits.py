"""Limits of models that score every step, fitted for each class by itself: 52 actions, then 7 body parts.

Two kinds of evidence: simulated sessions, whose events are known to a step, and sequences of real people, of which only
a set of classes is known, any of which is right. An event counts as right where it overlaps a true one by half, or is
of a class in the sequence's set. Chosen is the largest F1 over both together; real sequences weigh more, because there
are few and because confidence on simulated people is not confidence on real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from events.scores import LEAST_TIOU, tiou
from events.types import Float32Array

ENTERS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2)  # strict first
EXIT_SHARES = (0.7, 0.5, 0.35)  # of enter
DURATIONS_S = (0.5, 0.25, 0.125)
MERGE_S = 0.5  # the aggregator's own
REAL_WEIGHT = 2.0  # of a real sequence, of a simulated event
NEIGHBOURS = np.array([0.25, 0.5, 0.25])  # F1 is smoothed along `ENTERS`: rare classes are noisy

FloatArray = npt.NDArray[np.float64]
Span = tuple[int, int]  # steps [from, to)


@dataclass(frozen=True, slots=True, eq=False)
class KnownEvents:
    """A session whose events are known: (class, first step, step behind the last)."""

    probs: Float32Array  # (T, K)
    events: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class KnownSet:
    """A sequence in which events of `right` may be seen, and of no other class that is not in `unknown`."""

    probs: Float32Array  # (T, K)
    right: frozenset[int]
    unknown: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class StepLimits:
    """By class, (K,)."""

    enter: FloatArray
    exit: FloatArray
    duration_s: FloatArray
    f1: FloatArray  # on what they were chosen on


def fit_step_limits(known: Sequence[KnownEvents], sets: Sequence[KnownSet], step_s: float) -> StepLimits:
    """Choose enter, exit and minimum duration of each class; a class without any evidence gets the strictest."""
    classes = next(one.probs.shape[1] for group in (known, sets) for one in group)
    merge = round(MERGE_S / step_s)
    sessions = _in_a_row([one.probs for one in known], merge + 1)
    sequences = _in_a_row([one.probs for one in sets], merge + 1)
    starts = np.cumsum([0, *(len(one.probs) + merge + 1 for one in known)])
    chosen = np.zeros((4, classes))
    for key in range(classes):
        truth = [
            (int(start) + a, int(start) + b)
            for start, one in zip(starts, known, strict=False)
            for other, a, b in one.events
            if other == key
        ]
        best = _best(key, sessions[:, key], truth, sequences[:, key], sets, step_s)
        chosen[:, key] = best
    return StepLimits(*chosen)


def _best(
    key: int, session: Float32Array, truth: list[Span], sequence: Float32Array, sets: Sequence[KnownSet], step_s: float
) -> tuple[float, float, float, float]:
    """(enter, exit, duration, F1) of one class."""
    merge = round(MERGE_S / step_s)
    f1 = np.zeros((len(EXIT_SHARES), len(DURATIONS_S), len(ENTERS)))
    for at, enter in enumerate(ENTERS):
        for row, share in enumerate(EXIT_SHARES):
            found = runs(session, enter, share * enter, merge)
            seen = runs(sequence, enter, share * enter, merge)
            for column, seconds in enumerate(DURATIONS_S):
                least = round(seconds / step_s)
                right, wrong, missed = _of_sessions([one for one in found if one[1] - one[0] >= least], truth)
                counts = _of_sets(key, [one for one in seen if one[1] - one[0] >= least], sets, merge + 1)
                right, wrong, missed = (
                    a + REAL_WEIGHT * b for a, b in zip((right, wrong, missed), counts, strict=True)
                )
                whole = 2.0 * right + wrong + missed
                f1[row, column, at] = 2.0 * right / whole if whole else 0.0
    padded = np.concatenate([f1[..., :1], f1, f1[..., -1:]], axis=-1)
    smooth = sum(weight * padded[..., first : first + len(ENTERS)] for first, weight in enumerate(NEIGHBOURS))
    order = np.moveaxis(np.asarray(smooth), -1, 0)  # the strictest of equally good ones
    best, row, column = (int(one) for one in np.unravel_index(int(order.argmax()), order.shape))
    enter = ENTERS[best]
    return enter, enter * EXIT_SHARES[row], DURATIONS_S[column], float(f1[row, column, best])


def runs(probs: Float32Array, enter: float, exit_: float, merge: int) -> list[Span]:
    """Steps [from, to) at or above `exit_` that reach `enter` somewhere, pauses shorter than `merge` included."""
    above = np.flatnonzero(probs >= exit_)
    if not len(above):
        return []
    cuts = np.flatnonzero(np.diff(above) > merge)
    firsts, lasts = above[np.r_[0, cuts + 1]], above[np.r_[cuts, len(above) - 1]]
    return [(int(a), int(b) + 1) for a, b in zip(firsts, lasts, strict=True) if probs[a : b + 1].max() >= enter]


def _of_sessions(found: list[Span], truth: list[Span]) -> tuple[float, float, float]:
    """(right, wrong, missed); each true event is matched once, in order of time."""
    hit = 0
    rest = sorted(truth)
    for run in found:
        match = next((one for one in rest if one[1] > run[0] and tiou(one, run) >= LEAST_TIOU), None)
        if match is not None:
            rest.remove(match)
            hit += 1
    return float(hit), float(len(found) - hit), float(len(rest))


def _of_sets(key: int, found: list[Span], sets: Sequence[KnownSet], gap: int) -> tuple[float, float, float]:
    """(right, wrong, missed) sequences: missed only where no other class would be right."""
    edges = np.cumsum([0, *(len(one.probs) + gap for one in sets)])
    where = np.searchsorted(edges, [run[0] for run in found], side="right") - 1
    counts = np.bincount(where, minlength=len(sets)) if len(where) else np.zeros(len(sets), np.int64)
    right = wrong = missed = 0.0
    for one, events in zip(sets, counts.tolist(), strict=True):
        if key in one.right:
            right += events > 0
            missed += events == 0 and sum((key < 52) == (other < 52) for other in one.right) == 1
        elif key not in one.unknown:
            wrong += events
    return right, wrong, missed


def _in_a_row(probs: Sequence[Float32Array], gap: int) -> Float32Array:
    """All of them behind each other (T, K), `gap` steps of nothing behind each."""
    if not probs:
        return np.zeros((0, 59), np.float32)
    pause = np.zeros((gap, probs[0].shape[1]), np.float32)
    return np.concatenate([part for one in probs for part in (one, pause)])
