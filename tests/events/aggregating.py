"""Windows with chosen scores through an aggregator, and what holds for every stream of events that comes out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from engines.card import Calibration
from engines.taxonomy import ACTIONS
from events.aggregator import Aggregator
from events.limits import limits
from events.posterior import PosteriorGrid
from events.settings import AggregatorSettings
from events.types import ActionEvent, EventState, Prediction, Stamps
from realtime.clock import to_ns

SPAN_S, HOP_S = 2.0, 0.25


NODDING, TOUCHING_NOSE = 9, 43


PROVISIONAL, CONFIRMED = EventState.PROVISIONAL, EventState.CONFIRMED


ENDED, RETRACTED = EventState.ENDED, EventState.RETRACTED


class FixedClock:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        return self.ns

    def sleep_until(self, deadline_ns: int) -> None:
        self.ns = max(self.ns, deadline_ns)


def prediction(end_ns: int, scores: dict[int, float], span_ns: int, stamps: Stamps | None = None) -> Prediction:
    probs = np.zeros(len(ACTIONS), np.float32)
    for index, score in scores.items():
        probs[index] = score
    return Prediction(
        0, 0, end_ns - span_ns, end_ns, np.zeros(len(ACTIONS), np.float32), probs, None, stamps or Stamps()
    )


def build(
    span_s: float = SPAN_S, hop_s: float = HOP_S, live: bool = False, clock: FixedClock | None = None, **values: float
) -> Aggregator:
    chosen = AggregatorSettings(**{"habituation_s": 0.0, **values})
    now_ns = (clock or FixedClock()).now_ns if live else None
    return make(to_ns(span_s), to_ns(hop_s), chosen, now_ns)


def make(span_ns: int, hop_ns: int, chosen: AggregatorSettings, now_ns: Callable[[], int] | None = None) -> Aggregator:
    grid = PosteriorGrid(span_ns, hop_ns, to_ns(chosen.latency_s))
    return Aggregator(0, grid, limits(chosen, Calibration()), chosen, now_ns)


def play(
    aggregator: Aggregator,
    score: Callable[[float, float], dict[int, float]],
    end_s: float,
    span_s: float = SPAN_S,
    hop_s: float = HOP_S,
    missing: Iterable[int] = (),
) -> list[ActionEvent]:
    """Windows from 0 s up to `end_s`, scored from their start and end in seconds; then finish."""
    events, gone = [], set(missing)
    for k in range(int((end_s - span_s) / hop_s + 1e-9) + 1):
        if k not in gone:
            end = span_s + k * hop_s
            events += aggregator.push(prediction(to_ns(end), score(end - span_s, end), to_ns(span_s)))
    return events + aggregator.finish()


def share(start: float, end: float, onset: float, offset: float) -> float:
    return max(min(end, offset) - max(start, onset), 0.0) / (end - start)


def rectangles(*actions: tuple[int, float, float]) -> Callable[[float, float], dict[int, float]]:
    """Each action scores high in the windows that it fills to one half."""

    def score(start: float, end: float) -> dict[int, float]:
        scores: dict[int, float] = {}
        for index, onset, offset in actions:
            scores[index] = max(scores.get(index, 0.0), 0.45 * (share(start, end, onset, offset) >= 0.5))
        return scores

    return score


def of(events: Sequence[ActionEvent], state: EventState, index: int | None = None) -> list[ActionEvent]:
    return [event for event in events if event.state is state and index in (None, event.action and event.action.index)]


def check(events: Sequence[ActionEvent], minimum_ns: int, refractory_ns: int, cell_ns: int) -> None:
    """Everything that holds for every finished stream of events; either end is dated up to half a cell inside."""
    lives: dict[int, list[ActionEvent]] = {}
    for event in events:
        lives.setdefault(event.id, []).append(event)
    assert list(lives) == list(range(1, len(lives) + 1))
    for life in lives.values():
        states = [event.state for event in life]
        assert states in ([PROVISIONAL, RETRACTED], [PROVISIONAL, CONFIRMED, ENDED])
        assert len({(event.action, event.onset_ns) for event in life}) == 1
        assert [event.offset_ns is None for event in life] == [True] * (len(life) - 1) + [False]
        offset_ns = life[-1].offset_ns
        assert offset_ns is not None
        assert life[0].onset_ns < offset_ns <= life[-1].emitted_ns
        if states[-1] is ENDED:
            assert offset_ns - life[0].onset_ns >= minimum_ns - cell_ns - 1
    times = [event.emitted_ns for event in events]
    assert times == sorted(times)
    for event in events:
        assert 0.0 <= event.confidence <= 1.0
        parts = (
            event.delay.window_ns,
            event.delay.confirmation_ns,
            event.delay.queue_ns or 0,
            event.delay.compute_ns or 0,
        )
        assert sum(parts) == event.emitted_ns - event.onset_ns
        assert min(parts) >= 0
        if event.state is CONFIRMED:
            assert event.emitted_ns - event.onset_ns >= minimum_ns - cell_ns // 2 - 1
    for index in {event.action.index for event in events}:
        same = sorted(
            (life[-1] for life in lives.values() if life[-1].action.index == index), key=lambda event: event.onset_ns
        )
        for earlier, later in itertools.pairwise(same):
            assert earlier.offset_ns is not None
            wait_ns = refractory_ns if earlier.state is ENDED else 0
            assert later.onset_ns >= earlier.offset_ns + wait_ns
