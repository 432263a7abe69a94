"""Limits of models that score every step, fitted for each class by itself: 52 actions, then 7 body parts.

Two kinds of evidence: simulated sessions, whose events are known to a step, and sequences of real people, of which only
a set of classes is known, any of which is right. An event counts as right where it overlaps a true one by half, or is
of a class in the sequence's set. Chosen is the largest F1 over both together, less λ times the false events an hour
where nothing happens at all; λ is the smallest that keeps all classes of a level together within a budget. Real
sequences weigh more, because there are few and because confidence on simulated people is not confidence on real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from events.scores import LEAST_TIOU, tiou
from events.types import BoolArray, Float32Array

ENTERS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4)  # strict first; lower ones fit chance
EXIT_SHARES = (0.7, 0.5, 0.35)  # of enter
DURATIONS_S = (0.5, 0.25, 0.125)
MERGE_S = 0.5  # the aggregator's own
REAL_WEIGHT = 2.0  # of a real sequence, of a simulated event
LAMBDAS = (0.0, *(10.0**power for power in np.arange(-4.0, 1.01, 0.1)))
NEIGHBOURS = np.array([0.25, 0.5, 0.25])  # F1 is smoothed along `ENTERS`: rare classes are noisy

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Span = tuple[int, int]  # steps [from, to)


@dataclass(frozen=True, slots=True, eq=False)
class KnownEvents:
    """A session whose events are known: (class, first step, step behind the last)."""

    probs: Float32Array  # (T, K)
    moved: BoolArray  # (T, K) whether the class' body part moves: no event begins where it does not
    events: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class KnownSet:
    """A sequence in which events of `right` may be seen, and of no other class that is not in `unknown`."""

    probs: Float32Array  # (T, K)
    moved: BoolArray  # (T, K)
    right: frozenset[int]
    unknown: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class StepLimits:
    """By class, (K,)."""

    enter: FloatArray
    exit: FloatArray
    duration_s: FloatArray
    f1: FloatArray  # on what they were chosen on, smoothed along `ENTERS`


def fit_step_limits(
    known: Sequence[KnownEvents], sets: Sequence[KnownSet], step_s: float, false_per_hour: float = np.inf
) -> StepLimits:
    """Choose enter, exit and minimum duration of each class; a class without any evidence gets the strictest.

    Args:
        known, sets: the evidence.
        step_s: between two steps.
        false_per_hour: budget of each level, all its classes together, where nothing happens: in sessions without an
            event and in sequences without a right class.
    """
    merge = round(MERGE_S / step_s)
    sessions, sequences = (_in_a_row(group, merge + 1) for group in (known, sets))
    starts = np.cumsum([0, *(len(one.probs) + merge + 1 for one in known)])
    quiet = np.array([not one.events for one in known], np.bool_)
    steps = sum(len(one.probs) for one in known if not one.events) + sum(
        len(one.probs) for one in sets if not one.right
    )
    hours = max(steps * step_s / 3600.0, 1e-9)
    evidence = _Evidence(starts, quiet, sets, step_s)
    found = [
        evidence.counts(key, sessions[..., key], _truth(known, starts, key), sequences[..., key])
        for key in range(max(sessions.shape[-1], sequences.shape[-1]))
    ]
    f1, false = (np.stack(one) for one in zip(*found, strict=True))  # (K, combinations)
    best = np.concatenate(
        [_within_budget(f1[level], false[level] / hours, false_per_hour) for level in (slice(0, 52), slice(52, None))]
    )
    at, row, column = np.unravel_index(best, (len(ENTERS), len(EXIT_SHARES), len(DURATIONS_S)))
    enter = np.array(ENTERS)[at]
    return StepLimits(
        enter,
        enter * np.array(EXIT_SHARES)[row],
        np.array(DURATIONS_S)[column],
        np.take_along_axis(f1, best[:, None], axis=1)[:, 0],
    )


def _truth(known: Sequence[KnownEvents], starts: IntArray, key: int) -> list[Span]:
    """The events of one class, in steps of all sessions in a row."""
    return [
        (int(start) + a, int(start) + b)
        for start, one in zip(starts, known, strict=False)
        for other, a, b in one.events
        if other == key
    ]


def _within_budget(f1: FloatArray, false_per_hour: FloatArray, budget: float) -> IntArray:
    """(K,) which combination each class gets; the strictest weight where none keeps to the budget."""
    for weight in LAMBDAS:
        best: IntArray = (f1 - weight * false_per_hour).argmax(axis=1)
        if np.take_along_axis(false_per_hour, best[:, None], axis=1).sum() <= budget:
            break
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _Evidence:
    """What events are compared with."""

    starts: IntArray  # (S + 1,) steps at which sessions begin, in a row
    quiet: BoolArray  # (S,) sessions without an event
    sets: Sequence[KnownSet]
    step_s: float

    def counts(
        self, key: int, session: Float32Array, truth: list[Span], sequence: Float32Array
    ) -> tuple[FloatArray, FloatArray]:
        """F1 and false events where nothing happens, of every combination of enter, exit and duration.

        session, sequence: (2, T), all of them in a row: probabilities that hold an event, and that begin one.
        """
        merge = round(MERGE_S / self.step_s)
        shape = (len(ENTERS), len(EXIT_SHARES), len(DURATIONS_S))
        f1, false = np.zeros(shape), np.zeros(shape)
        for at, row in np.ndindex(shape[:2]):
            enter, exit_ = ENTERS[at], ENTERS[at] * EXIT_SHARES[row]
            found, seen = (runs(one, enter, exit_, merge) for one in (session, sequence))
            for column, seconds in enumerate(DURATIONS_S):
                least = round(seconds / self.step_s)
                lasting = [[one for one in group if one[1] - one[0] >= least] for group in (found, seen)]
                right, wrong, missed, idle = _of_sets(key, lasting[1], self.sets, merge + 1)
                counts = zip(_of_sessions(lasting[0], truth), (right, wrong, missed), strict=True)
                hits, errors, rest = (a + REAL_WEIGHT * b for a, b in counts)
                whole = 2.0 * hits + errors + rest
                f1[at, row, column] = 2.0 * hits / whole if whole else 0.0
                false[at, row, column] = idle + self._in_quiet(lasting[0])
        padded = np.concatenate([f1[:1], f1, f1[-1:]])
        smooth = np.sum([weight * padded[at : at + len(f1)] for at, weight in enumerate(NEIGHBOURS)], axis=0)
        return smooth.reshape(-1), false.reshape(-1)

    def _in_quiet(self, found: list[Span]) -> int:
        where = np.searchsorted(self.starts, [run[0] for run in found], side="right") - 1
        return int(self.quiet[where].sum()) if found else 0


def runs(both: Float32Array, enter: float, exit_: float, merge: int) -> list[Span]:
    """Steps [from, to) at or above `exit_` that reach `enter` somewhere, pauses shorter than `merge` included.

    both: (2, T), what is compared with `exit_` and what with `enter`.
    """
    probs, opening = both
    above = np.flatnonzero(probs >= exit_)
    if not len(above):
        return []
    cuts = np.flatnonzero(np.diff(above) > merge)
    firsts, lasts = above[np.r_[0, cuts + 1]], above[np.r_[cuts, len(above) - 1]]
    return [(int(a), int(b) + 1) for a, b in zip(firsts, lasts, strict=True) if opening[a : b + 1].max() >= enter]


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


def _of_sets(key: int, found: list[Span], sets: Sequence[KnownSet], gap: int) -> tuple[float, float, float, float]:
    """(right, wrong, missed, where nothing happens): missed only where no other class would be right."""
    edges = np.cumsum([0, *(len(one.probs) + gap for one in sets)])
    where = np.searchsorted(edges, [run[0] for run in found], side="right") - 1
    counts = np.bincount(where, minlength=len(sets)) if len(where) else np.zeros(len(sets), np.int64)
    right = wrong = missed = idle = 0.0
    for one, events in zip(sets, counts.tolist(), strict=True):
        if key in one.right:
            right += events > 0
            missed += events == 0 and sum((key < 52) == (other < 52) for other in one.right) == 1
        elif key not in one.unknown:
            wrong += events
            idle += 0 if one.right else events
    return right, wrong, missed, idle


def _in_a_row(group: Sequence[KnownEvents] | Sequence[KnownSet], gap: int) -> Float32Array:
    """(2, T, K): probabilities of all, `gap` steps of nothing behind each; the same where the part moves, else 0."""
    if not group:
        return np.zeros((2, 0, 59), np.float32)
    pause = np.zeros((2, gap, group[0].probs.shape[1]), np.float32)
    both = [np.stack([one.probs, one.probs * one.moved]) for one in group]
    return np.concatenate([part for one in both for part in (one, pause)], axis=1)
