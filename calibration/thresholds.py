"""Per-action thresholds of the aggregator, fitted on simulated validation sessions.

Actions are independent of each other in the aggregator, so each gets the pair (enter, exit) that is best for it alone.
Best is the largest event F1 minus λ times its false events in an hour of sitting still. λ is the smallest that keeps
all actions together within the budget of false events.
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

from engines.bundle import Bundle
from engines.errors import BadInput
from engines.taxonomy import ACTIONS
from events.offline import detect
from events.scores import Event, EventScores, FloatArray, score_events
from events.settings import AggregatorSettings
from simulation.interview import BALANCED, IDLE, NATURAL
from simulation.windows import JudgedSession, judge_sessions, window_grid

# From strict to lenient: of equally good ones the first is taken.
ENTERS = (1.0, 0.995, 0.985, 0.97, 0.94, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25,
          0.2, 0.15, 0.1)  # fmt: skip
EXIT_SHARES = (0.75, 0.5, 0.3, 0.15)  # of enter
LAMBDAS = (0.0, *(10.0**power for power in np.arange(-4.0, 3.01, 0.05)))
NEIGHBOURS = (0.25, 0.5, 0.25)  # F1 is smoothed along `ENTERS`: a few dozen events an action are noisy
SPLIT = "validation"


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The chosen thresholds and what they do on the sessions that they were chosen on."""

    enter: tuple[float, ...]  # (52,)
    exit: tuple[float, ...]  # (52,)
    busy: EventScores  # balanced and natural sessions
    idle: EventScores


def simulated_sessions(bundle: Bundle, minutes: int, seed: int, threads: int,
                       report: Callable[[str, int], None]) -> tuple[list[JudgedSession], list[JudgedSession]]:
    """Sessions of one minute to fit on: (balanced and half as many natural ones, idle ones)."""
    def run(mode: str, count: int) -> list[JudgedSession]:
        found = []
        for number, one in enumerate(judge_sessions(bundle, SPLIT, mode, count, 60.0, seed, threads)):
            found.append(one)
            report(mode, number + 1)
        return found

    return run(BALANCED, minutes) + run(NATURAL, max(1, minutes // 2)), run(IDLE, minutes)


def fit_thresholds(bundle: Bundle, busy: Sequence[JudgedSession], idle: Sequence[JudgedSession],
                   false_per_hour: float, report: Callable[[int], None], workers: int = 0) -> Fit:
    """Choose enter and exit for each action.

    Args:
        bundle: gives activation and temperature.
        busy, idle: sessions with and without actions.
        false_per_hour: budget on idle sessions, all actions together.
        report: told how many of the `len(ENTERS) · len(EXIT_SHARES)` pairs are done.
        workers: processes that try pairs; 0: this one.

    Raises:
        BadInput: no thresholds keep to the budget.
    """
    shape = (len(ENTERS), len(EXIT_SHARES), len(ACTIONS))
    f1, false = np.zeros(shape), np.zeros(shape)
    trial = partial(_try, bundle, busy, idle)
    pairs = [(enter, share * enter) for enter in ENTERS for share in EXIT_SHARES]
    with _mapper(workers) as mapped:
        for number, scores in enumerate(mapped(trial, pairs)):
            place = divmod(number, len(EXIT_SHARES))
            f1[place], false[place] = scores
            report(number + 1)
    padded = np.concatenate((f1[:1], f1, f1[-1:]))
    smooth = sum(weight * padded[at : at + len(ENTERS)] for at, weight in enumerate(NEIGHBOURS))
    per_hour = false / (sum(one.seconds for one in idle) / 3600.0)
    for weight in LAMBDAS:
        best = np.reshape(smooth - weight * per_hour, (-1, len(ACTIONS))).argmax(axis=0)
        if np.take_along_axis(per_hour.reshape(-1, len(ACTIONS)), best[None], axis=0).sum() <= false_per_hour:
            break
    else:
        raise BadInput(f"a model that can keep to {false_per_hour:g} false events an hour", "none of the thresholds do",
                       "allow more with --false-per-hour")
    enter = np.array(ENTERS)[best // len(EXIT_SHARES)]
    exit_ = np.round(enter * np.array(EXIT_SHARES)[best % len(EXIT_SHARES)], 4)
    return Fit(tuple(enter.tolist()), tuple(exit_.tolist()), _score(bundle, busy, enter, exit_),
               _score(bundle, idle, enter, exit_))


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[tuple[FloatArray, FloatArray]]]]:
    if workers < 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")  # runtimes have threads, which a fork would lose
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        yield partial(pool.map, chunksize=4)


def _try(bundle: Bundle, busy: Sequence[JudgedSession], idle: Sequence[JudgedSession],
         pair: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """F1 of each action (52,), 0 where there is none, and its false events on idle sessions (52,)."""
    enter, exit_ = (np.full(len(ACTIONS), value) for value in pair)
    false = _score(bundle, idle, enter, exit_).false_positives.astype(np.float64)
    return np.nan_to_num(_score(bundle, busy, enter, exit_).f1_per_class), false


def _score(bundle: Bundle, sessions: Sequence[JudgedSession], enter: FloatArray, exit_: FloatArray) -> EventScores:
    grid, settings = window_grid(bundle.card), AggregatorSettings()
    pairs: list[tuple[list[Event], list[Event]]] = [
        (one.events, detect(one.ends_ns, bundle.probabilities(one.logits), grid, settings, enter, exit_))
        for one in sessions
    ]
    return score_events(pairs, math.fsum(one.seconds for one in sessions))
