"""Per-action thresholds of the aggregator, fitted on judged sessions.

Actions are independent of each other in the aggregator, so each gets the pair (enter, exit) that is best for it alone.
Within a budget of false events, best is the largest event F1 minus λ times its false events in an hour of sitting
still. λ is the smallest that keeps all actions together within the budget, on sessions that the thresholds were not
chosen on: chosen on a part of the idle sessions, they are counted on the others, in turn. Counted where they were
chosen, fewer false events would be promised than come later.

For a chosen precision, best is the largest event F1 of the pairs with which at least that share of an action's events
are right.
"""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.card import Calibration
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.limits import limits
from events.offline import JudgedSession, session_events
from events.scores import EventScores, FloatArray, score_events
from events.settings import AggregatorSettings

# From strict to lenient: of equally good ones the first is taken.
ENTERS = (
    1.0,
    0.995,
    0.985,
    0.97,
    0.94,
    0.9,
    0.85,
    0.8,
    0.75,
    0.7,
    0.65,
    0.6,
    0.55,
    0.5,
    0.45,
    0.4,
    0.35,
    0.3,
    0.25,
    0.2,
    0.15,
    0.1,
)
EXIT_SHARES = (0.75, 0.5, 0.3, 0.15)  # of enter
PAIRS = len(ENTERS) * len(EXIT_SHARES)
LAMBDAS = (0.0, *(10.0**power for power in np.arange(-4.0, 3.01, 0.05)))
NEIGHBOURS = (0.25, 0.5, 0.25)  # F1 is smoothed along `ENTERS`: a few dozen events an action are noisy
INHERITED = 0.5  # of the false events of the next more lenient enter, feared of a pair that had fewer
FOLDS = 5  # parts of the idle sessions, each held out once


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The chosen thresholds and what they do on the sessions that they were chosen on."""

    enter: tuple[float, ...]  # (52,)
    exit: tuple[float, ...]  # (52,)
    busy: EventScores  # balanced and natural sessions
    idle: EventScores


def fit_thresholds(
    bundle: Bundle,
    busy: Sequence[JudgedSession],
    idle: Sequence[JudgedSession],
    false_per_hour: float,
    report: Callable[[int], None],
    workers: int = 0,
    precision: float | None = None,
) -> Fit:
    """Choose enter and exit for each action.

    Args:
        bundle: gives activation and temperature.
        busy, idle: sessions with and without actions.
        false_per_hour: budget on idle sessions, all actions together; without meaning where `precision` is given.
        report: called with how many of the `PAIRS` pairs are done.
        workers: processes that try pairs; 0: this one.
        precision: share of an action's events that are to be right on busy sessions, instead of the budget. An action
            that cannot be had so precise gets the most precise pair.

    Raises:
        BadInput: no thresholds keep to the budget.
    """
    folds = [idle[at :: min(FOLDS, len(idle))] for at in range(min(FOLDS, len(idle)))]
    shape = (len(ENTERS), len(EXIT_SHARES), len(ACTIONS))
    counts = np.zeros((3 + len(folds), *shape))
    trial = partial(_try, bundle, busy, folds)
    pairs = [(enter, share * enter) for enter in ENTERS for share in EXIT_SHARES]
    with _mapper(workers) as mapped:
        for number, scores in enumerate(mapped(trial, pairs)):
            counts[(slice(None), *divmod(number, len(EXIT_SHARES)))] = scores
            report(number + 1)
    f1, right, wrong = (_smooth(one).reshape(-1, len(ACTIONS)) for one in counts[:3])
    if precision is not None:
        share = np.divide(right, right + wrong, out=np.zeros_like(right), where=right + wrong > 0)
        best = np.where(share >= precision, f1, share - 2.0).argmax(axis=0)
    else:
        hours = np.array([sum(one.seconds for one in fold) / 3600.0 for fold in folds])
        best = _within_budget(f1, counts[3:], hours, false_per_hour)
    enter = np.array(ENTERS)[best // len(EXIT_SHARES)]
    exit_ = np.round(enter * np.array(EXIT_SHARES)[best % len(EXIT_SHARES)], 4)
    return Fit(
        tuple(enter.tolist()),
        tuple(exit_.tolist()),
        score_sessions(bundle, busy, enter, exit_),
        score_sessions(bundle, idle, enter, exit_),
    )


def _within_budget(f1: FloatArray, false: FloatArray, hours: FloatArray, budget: float) -> npt.NDArray[np.int64]:
    """(52,) which pair each action gets: f1 (E · X, 52), false events (folds, E, X, 52) in `hours` (folds,)."""

    def choose(weight: float, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        risk = _risk(false[kept].sum(axis=0)).reshape(f1.shape)
        return np.asarray((f1 - weight * risk / hours[kept].sum()).argmax(axis=0))

    false_of = false.reshape(len(hours), *f1.shape)

    everything = np.ones(len(hours), np.bool_)
    for weight in LAMBDAS:
        held_out = 0.0
        for fold in range(len(hours)):
            others = everything if len(hours) == 1 else np.arange(len(hours)) != fold
            held_out += float(np.take_along_axis(false_of[fold], choose(weight, others)[None], axis=0).sum())
        best = choose(weight, everything)
        seen = float(np.take_along_axis(false_of.sum(axis=0), best[None], axis=0).sum())
        if max(held_out, seen) / hours.sum() <= budget:
            return best
    raise BadInput(
        f"a model that can keep to {budget:g} false events an hour",
        "none of the thresholds do",
        "allow more (false_per_hour)",
    )


def _risk(false: FloatArray) -> FloatArray:
    """False events (E, X, 52) that are to be feared: a pair that had none, beside one that had some, was lucky."""
    risk = false.copy()
    for at in range(len(ENTERS) - 2, -1, -1):
        risk[at] = np.maximum(false[at], INHERITED * risk[at + 1])
    return risk


def _smooth(values: FloatArray) -> FloatArray:
    """Along `ENTERS`, the first of (E, X, 52)."""
    padded = np.concatenate((values[:1], values, values[-1:]))
    parts = [weight * padded[at : at + len(ENTERS)] for at, weight in enumerate(NEIGHBOURS)]
    smooth: FloatArray = np.sum(parts, axis=0)
    return smooth


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[FloatArray]]]:
    if workers < 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")  # runtimes have threads, which a fork would lose
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        yield partial(pool.map, chunksize=4)


def _try(
    bundle: Bundle, busy: Sequence[JudgedSession], folds: Sequence[Sequence[JudgedSession]], pair: tuple[float, float]
) -> FloatArray:
    """(3 + folds, 52): F1, 0 where there is none, right and wrong events when busy, false ones of each idle fold."""
    enter, exit_ = (np.full(len(ACTIONS), value) for value in pair)
    found = score_sessions(bundle, busy, enter, exit_)
    idle = [score_sessions(bundle, fold, enter, exit_).false_positives for fold in folds]
    return np.stack([np.nan_to_num(found.f1_per_class), found.true_positives, found.false_positives, *idle])


def score_sessions(
    bundle: Bundle, sessions: Sequence[JudgedSession], enter: FloatArray, exit_: FloatArray
) -> EventScores:
    """Scores of a model's events with thresholds (52,) each."""
    settings = AggregatorSettings()
    chosen = limits(settings, Calibration(enter=tuple(enter.tolist()), exit=tuple(exit_.tolist())))
    pairs = [(one.events, session_events(bundle, one, settings, chosen)) for one in sessions]
    return score_events(pairs, math.fsum(one.seconds for one in sessions))
