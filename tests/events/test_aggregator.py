"""Windows to events: what must hold for any scores, and examples worked by hand."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.card import Calibration, PartCalibration
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.aggregator import Aggregator
from events.limits import DEFAULT_DURATION_S, DEFAULT_ENTER, DEFAULT_EXIT, Limits, limits
from events.posterior import PosteriorGrid
from events.settings import AggregatorSettings
from events.types import ActionEvent, EventState, Prediction, Stamps
from realtime.clock import NS_PER_S, to_ns, to_s

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


durations = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0, 3.0])


@st.composite
def runs(draw: st.DrawFn) -> tuple[Aggregator, list[Prediction], AggregatorSettings]:
    """An aggregator with any settings, and windows with any scores of three actions: some missing, with gaps."""
    enter = draw(st.floats(0.0, 1.0))
    chosen = AggregatorSettings(
        latency_s=draw(st.sampled_from([0.0, 0.25, 0.4, 0.5, 1.0, 1.9, 30.0])),
        enter=enter,
        exit=draw(st.floats(0.0, enter)),
        min_duration_s=draw(durations),
        merge_gap_s=draw(durations),
        refractory_s=draw(durations),
        habituation_s=draw(st.sampled_from([0.0, 2.0, 40.0])),
    )
    span_ns = to_ns(draw(st.sampled_from([0.5, 1.0, 1.9, 2.0])))
    hop_ns = to_ns(draw(st.sampled_from([0.1, 0.25, 1 / 3, 1.0, 1.9, 3.0])))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 9, 100_000]), max_size=40))
    kind = draw(st.sampled_from(["noise", "constant", "blocks"]))
    level = st.floats(0.0, 1.0, width=32)
    windows, end_ns, scores = [], draw(st.integers(-(10**12), 10**18)), [0.0, 0.0, 0.0]
    for at, step in enumerate(steps):
        if kind == "noise" or at == 0 or (kind == "blocks" and draw(st.integers(0, 5)) == 0):
            scores = [draw(level) for _ in scores]
        windows.append(prediction(end_ns, dict(zip((0, NODDING, TOUCHING_NOSE), scores, strict=True)), span_ns))
        end_ns += step * hop_ns
    return make(span_ns, hop_ns, chosen), windows, chosen


@given(runs())
@settings(max_examples=150)
def test_any_scores_give_a_sound_stream(run: tuple[Aggregator, list[Prediction], AggregatorSettings]) -> None:
    aggregator, windows, chosen = run
    events, seen_ns = [], None
    for window in windows:
        new = aggregator.push(window)
        assert all(event.emitted_ns == window.end_ns for event in new)
        seen_ns = seen_ns if seen_ns is not None else window.start_ns
        events += new
    events += aggregator.finish()
    assert aggregator.running == {}
    assert aggregator.finish() == []
    check(events, to_ns(chosen.min_duration_s or 0.0), to_ns(chosen.refractory_s), aggregator._grid.step_ns)
    for event in events:  # inside what was seen
        assert seen_ns is not None
        assert event.onset_ns >= seen_ns
        assert event.offset_ns is None or event.offset_ns <= windows[-1].end_ns
        if event.offset_ns is not None:  # and never over a stretch in which nothing was seen
            edges = [(a.end_ns, b.start_ns) for a, b in itertools.pairwise(windows) if a.end_ns < b.start_ns]
            assert not any(event.onset_ns < stop and start < event.offset_ns for start, stop in edges)


@given(runs(), st.integers(1, 10**7), st.integers(0, 10**9), st.integers(0, 10**9))
@settings(max_examples=30)
def test_live_delays_add_up_and_change_nothing_else(
    run: tuple[Aggregator, list[Prediction], AggregatorSettings], base: int, queue_ns: int, compute_ns: int
) -> None:
    recorded, windows, chosen = run
    clock = FixedClock()
    live = make(recorded._grid.span_ns, recorded._grid.step_ns, chosen, clock.now_ns)
    twin = make(recorded._grid.span_ns, recorded._grid.step_ns, chosen)
    pairs: list[tuple[ActionEvent, ActionEvent]] = []
    for window in windows:
        stamps = Stamps(infer_start_ns=window.end_ns + queue_ns)
        clock.ns = window.end_ns + queue_ns + compute_ns
        stamped = Prediction(0, 0, window.start_ns, window.end_ns, window.logits, window.probs, None, stamps)
        pairs += zip(live.push(stamped), twin.push(window), strict=True)
    pairs += zip(live.finish(), twin.finish(), strict=True)
    for timed, plain in pairs:
        assert timed.delay.queue_ns == queue_ns
        assert timed.delay.compute_ns == compute_ns
        assert timed.emitted_ns == plain.emitted_ns + queue_ns + compute_ns
        assert (timed.delay.window_ns, timed.delay.confirmation_ns) == (
            plain.delay.window_ns,
            plain.delay.confirmation_ns,
        )
        assert (timed.id, timed.state, timed.onset_ns, timed.offset_ns) == (
            plain.id,
            plain.state,
            plain.onset_ns,
            plain.offset_ns,
        )
        assert plain.delay.queue_ns is plain.delay.compute_ns is None
    check(
        [timed for timed, _ in pairs],
        to_ns(chosen.min_duration_s or 0.0),
        to_ns(chosen.refractory_s),
        recorded._grid.step_ns,
    )


def test_the_same_recording_gives_the_same_events() -> None:
    rng = np.random.default_rng(1)
    noise = rng.random((100, 2))

    def once() -> list[ActionEvent]:
        scores = iter(noise)
        return play(build(), lambda *_: dict(zip((0, 9), next(scores).tolist(), strict=True)), 26.0)

    assert once() == once() != []


@pytest.mark.parametrize("latency_s", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(("onset", "offset"), [(6.0, 7.5), (6.1, 9.2), (5.95, 12.0)])
def test_a_clean_action_is_dated_within_a_hop(latency_s: float, onset: float, offset: float) -> None:
    # Half way between 0 and the score of 0.45, so that neither side of the smoothing is favoured.
    events = play(build(latency_s=latency_s, enter=0.225, exit=0.225), rectangles((NODDING, onset, offset)), 16.0)
    assert [event.state for event in events] == [PROVISIONAL, CONFIRMED, ENDED]
    assert abs(to_s(events[-1].onset_ns) - onset) <= HOP_S
    assert abs(to_s(events[-1].offset_ns or 0) - offset) <= HOP_S
    # Half a window of the action makes the score; judged within the latency (at least a hop) and a hop for the edge.
    assert to_s(events[0].emitted_ns) - onset <= SPAN_S / 2 + max(latency_s, HOP_S) + HOP_S
    assert events[0].action.name == "nodding"


def test_steps_worked_by_hand() -> None:
    # Windows of one hop: a cell is a window, nothing is averaged, no lag. Cells 0..9 are [0, 1), [1, 2) ... seconds.
    posteriors = [0.0, 0.5, 0.3, 0.1, 0.3, 0.1, 0.1, 0.6, 0.1, 0.0]
    aggregator = build(1.0, 1.0, enter=0.4, exit=0.2, min_duration_s=2.0, merge_gap_s=2.0, refractory_s=0.0)
    events = play(aggregator, lambda start, _: {NODDING: posteriors[round(start)]}, 10.0, 1.0, 1.0)
    told = [
        (
            event.id,
            event.state,
            to_s(event.onset_ns),
            event.offset_ns and round(to_s(event.offset_ns), 6),
            to_s(event.emitted_ns),
            round(event.confidence, 4),
        )
        for event in events
    ]
    assert told == [
        (1, PROVISIONAL, 1.0, None, 2.0, 0.5),
        (1, CONFIRMED, 1.0, None, 3.0, 0.4),
        # Over the pause in [3, 4), which counts into the confidence; half the peak, 0.25, is crossed at 4.75.
        (1, ENDED, 1.0, 4.75, 7.0, 0.3),
        (2, PROVISIONAL, 7.0, None, 8.0, 0.6),
        (2, RETRACTED, 7.0, 8.0, 9.0, 0.6),
    ]
    assert [(event.delay.window_ns, event.delay.confirmation_ns) for event in events[:3]] == [
        (NS_PER_S, 0),
        (NS_PER_S, NS_PER_S),
        (NS_PER_S, 5 * NS_PER_S),
    ]


def test_a_cell_is_the_tapered_mean_of_its_windows() -> None:
    grid = PosteriorGrid(span_ns=400, hop_ns=100, latency_ns=100)
    probs = np.zeros((3, len(ACTIONS)), np.float32)
    probs[:, 0] = (0.2, 0.4, 0.8)
    (first,) = grid.add(prediction(400, {}, 400), probs[0])[-1:]
    (second,) = grid.add(prediction(500, {}, 400), probs[1])
    # The cell that ends at 400 lies 150 and 50 behind the centres of windows 0 and 1.
    weights = 0.54 + 0.46 * np.cos(2 * np.pi * np.array([150, 50]) / 400)
    assert grid.wait_ns == 100
    assert grid.lag_ns == round(float(weights @ [150, 50] / weights.sum()))
    assert first.probs[0] == pytest.approx(0.2)
    assert second.probs[0] == pytest.approx(float(weights @ [0.2, 0.4] / weights.sum()))
    assert (second.start_ns, second.end_ns) == (300 - grid.lag_ns, 400 - grid.lag_ns)
    assert first.end_ns == second.start_ns


def test_two_actions_overlap() -> None:
    events = play(build(enter=0.225, exit=0.225), rectangles((NODDING, 4.0, 9.0), (TOUCHING_NOSE, 6.0, 12.0)), 16.0)
    nod, touch = of(events, ENDED, NODDING)[0], of(events, ENDED, TOUCHING_NOSE)[0]
    assert nod.onset_ns < touch.onset_ns < (nod.offset_ns or 0) < (touch.offset_ns or 0)
    assert (nod.id, touch.id) == (1, 2)
    assert to_s((nod.offset_ns or 0) - touch.onset_ns) == pytest.approx(3.0, abs=2 * HOP_S)


@pytest.mark.parametrize(("merge_gap_s", "count"), [(0.0, 2), (0.5, 2), (0.75, 1), (2.0, 1)])
def test_a_pause_shorter_than_the_merge_gap_is_bridged(merge_gap_s: float, count: int) -> None:
    # Cells of 0.25 s, windows as long: a pause of exactly 0.5 s.
    low = {8, 9}
    aggregator = build(0.25, 0.25, merge_gap_s=merge_gap_s, refractory_s=0.0, min_duration_s=0.5)
    events = play(aggregator, lambda start, _: {0: 0.0 if round(start / 0.25) in low else 0.9}, 5.0, 0.25, 0.25)
    assert len(of(events, ENDED)) == count


@pytest.mark.parametrize(("refractory_s", "onset_s"), [(0.0, 2.5), (0.5, 2.5), (0.6, 2.75), (1.0, 3.0)])
def test_no_new_start_within_the_refractory_period(refractory_s: float, onset_s: float) -> None:
    aggregator = build(0.25, 0.25, merge_gap_s=0.0, refractory_s=refractory_s, min_duration_s=0.5)
    events = play(aggregator, lambda start, _: {0: 0.0 if start in (2.0, 2.25) else 0.9}, 5.0, 0.25, 0.25)
    assert [to_s(event.onset_ns) for event in of(events, PROVISIONAL)] == [0.0, onset_s]


def test_hysteresis_carries_an_event_between_exit_and_enter() -> None:
    flicker = [DEFAULT_ENTER, 0.25, 0.34, DEFAULT_EXIT, 0.3, 0.25]
    aggregator = build(0.25, 0.25, merge_gap_s=0.0)
    events = play(aggregator, lambda start, _: {0: flicker[round(start / 0.25)]}, 1.5, 0.25, 0.25)
    assert [event.state for event in events] == [PROVISIONAL, CONFIRMED, ENDED]
    assert (events[-1].onset_ns, events[-1].offset_ns) == (0, to_ns(1.5))
    assert events[-1].confidence == pytest.approx(np.mean(flicker))


def test_an_event_begins_where_it_rose_above_exit() -> None:
    # Cells of 1 s, windows as long; the run that reaches enter is [2, 6), that before it never does. Half its peak is
    # the posterior in the middle of its first cell, and is crossed a quarter of a cell before its last one is over.
    posteriors = [0.3, 0.1, 0.25, 0.3, 0.5, 0.3, 0.1, 0.1]
    aggregator = build(1.0, 1.0, enter=0.4, exit=0.2, merge_gap_s=0.0)
    events = play(aggregator, lambda start, _: {NODDING: posteriors[round(start)]}, 8.0, 1.0, 1.0)
    assert [(event.state, to_s(event.onset_ns), to_s(event.emitted_ns)) for event in events] == [
        (PROVISIONAL, 2.5, 5.0),
        (CONFIRMED, 2.5, 5.0),
        (ENDED, 2.5, 7.0),
    ]
    assert to_s(events[-1].offset_ns or 0) == pytest.approx(5.75)
    assert events[-1].confidence == pytest.approx(np.mean(posteriors[2:6]))


def test_a_run_neither_reaches_into_the_refractory_period_nor_over_a_gap() -> None:
    posteriors = [0.5, 0.5, 0.1, 0.3, 0.3, 0.5, 0.5]
    aggregator = build(1.0, 1.0, enter=0.4, exit=0.2, merge_gap_s=0.0, refractory_s=2.0)
    events = play(aggregator, lambda start, _: {NODDING: posteriors[round(start)]}, 7.0, 1.0, 1.0)
    assert [to_s(event.onset_ns) for event in of(events, PROVISIONAL)] == [0.0, 4.0]
    aggregator = build(1.0, 1.0, enter=0.4, exit=0.2, refractory_s=0.0)
    events = play(aggregator, lambda start, _: {NODDING: 0.3 if start < 5.0 else 0.5}, 7.0, 1.0, 1.0, missing=[2])
    assert [to_s(event.onset_ns) for event in of(events, PROVISIONAL)] == [3.0]


def test_the_latency_knob_trades_delay_for_steadiness() -> None:
    waits = {}
    for latency_s in (0.0, 0.25, 0.6, 1.0, 1.75, 2.0, 30.0):
        aggregator = build(latency_s=latency_s, enter=0.225, exit=0.225)
        waits[latency_s] = aggregator._grid.wait_ns
        event = of(play(aggregator, rectangles((NODDING, 6.0, 10.0)), 16.0), PROVISIONAL)[0]
        # A cell is reported when the last window it waits for has come: hop + wait after it began, dated back by lag;
        # the onset is up to half a cell later.
        longest_ns = to_ns(HOP_S) + aggregator._grid.wait_ns + aggregator._grid.lag_ns
        assert longest_ns - to_ns(HOP_S) // 2 <= event.delay.window_ns <= longest_ns
    assert [to_s(wait) for wait in waits.values()] == [0.25, 0.25, 0.5, 1.0, 1.75, 1.75, 1.75]
    lags = [PosteriorGrid(to_ns(2), to_ns(0.25), to_ns(latency)).lag_ns for latency in waits]
    assert lags == sorted(lags, reverse=True)
    assert lags[-1] == 0


def test_a_constant_score_is_one_event_from_the_first_window_to_the_last() -> None:
    for score in (DEFAULT_ENTER, 1.0):
        events = play(build(), lambda *_, s=score: {0: s}, 30.0)
        assert [event.state for event in events] == [PROVISIONAL, CONFIRMED, ENDED]
        assert 0 <= events[-1].onset_ns < to_ns(HOP_S)
        assert events[-1].offset_ns == to_ns(30.0)
        assert events[-1].confidence == pytest.approx(score)
    assert play(build(), lambda *_: {0: DEFAULT_ENTER - 0.001}, 30.0) == []


def test_one_window_alone_is_judged_when_the_recording_ends() -> None:
    aggregator = build()
    assert aggregator.finish() == []
    aggregator = build(latency_s=2.0)
    events = aggregator.push(prediction(to_ns(2.0), {5: 0.8}, to_ns(2.0))) + aggregator.finish()
    assert [event.state for event in events] == [PROVISIONAL, CONFIRMED, ENDED]
    assert (events[-1].onset_ns, events[-1].offset_ns) == (0, to_ns(2.0))
    assert aggregator.posteriors[5] == pytest.approx(0.8)
    with pytest.raises(ValueError, match="after finish"):
        aggregator.push(prediction(to_ns(3.0), {5: 0.8}, to_ns(2.0)))


def test_missing_windows_are_made_up_for_by_their_neighbours() -> None:
    whole = play(build(enter=0.225, exit=0.225), rectangles((NODDING, 6.0, 10.0)), 16.0)
    sparse = play(
        build(enter=0.225, exit=0.225), rectangles((NODDING, 6.0, 10.0)), 16.0, missing=[k for k in range(60) if k % 3]
    )
    assert [event.state for event in sparse] == [event.state for event in whole]
    assert abs(sparse[-1].onset_ns - whole[-1].onset_ns) <= 2 * to_ns(HOP_S)
    assert abs((sparse[-1].offset_ns or 0) - (whole[-1].offset_ns or 0)) <= 2 * to_ns(HOP_S)


def test_a_gap_ends_what_ran_before_it_and_is_never_bridged() -> None:
    aggregator = build(merge_gap_s=30.0, refractory_s=0.0)
    # Windows end at 2.0 .. 5.0 s; the next one that comes covers 6.0 .. 8.0 s.
    events = play(aggregator, lambda *_: {0: 0.9}, 12.0, missing=range(13, 24))
    before, after = of(events, ENDED)
    assert before.offset_ns == to_ns(5.0)
    assert before.emitted_ns == to_ns(8.0)  # known once the next window has come
    assert to_ns(6.0) <= after.onset_ns < to_ns(6.25)


def test_memory_stays_bounded() -> None:
    aggregator = build(hop_s=0.04, refractory_s=0.0)
    rng = np.random.default_rng(3)
    sizes = set()
    started = time.perf_counter()
    for k in range(3000):
        aggregator.push(prediction(k * to_ns(0.04), {i: float(rng.random()) for i in range(6)}, to_ns(SPAN_S)))
        sizes.add(len(aggregator._grid._windows))
    assert (time.perf_counter() - started) / 3000 < 0.005  # generous; about 0.1 ms
    assert max(sizes) <= SPAN_S / 0.04 + 1
    assert aggregator._events == []


def test_what_does_not_belong_is_refused() -> None:
    aggregator = build()
    aggregator.push(prediction(to_ns(2.0), {}, to_ns(2.0)))
    with pytest.raises(ValueError, match="ends after"):
        aggregator.push(prediction(to_ns(2.0), {}, to_ns(2.0)))
    with pytest.raises(ValueError, match="expected a window of"):
        aggregator.push(prediction(to_ns(3.0), {}, to_ns(1.0)))
    with pytest.raises(ValueError, match="of camera 0"):
        aggregator.push(
            Prediction(1, 0, 0, to_ns(2), np.zeros(52, np.float32), np.zeros(52, np.float32), None, Stamps())
        )
    with pytest.raises(ValueError, match="exit <= enter"):
        Limits(np.full(52, 0.2), np.full(52, 0.3), np.zeros(52, np.int64))
    with pytest.raises(ValueError, match=r"expected limits \(52,\) or \(59,\)"):
        Limits(np.full(7, 0.2), np.full(7, 0.2), np.zeros(7, np.int64))
    with pytest.raises(ValueError, match="span and hop"):
        PosteriorGrid(0, 10, 0)


def test_settings_win_over_the_card_and_the_card_over_the_defaults() -> None:
    listed = [0.3 + index / 1000 for index in range(len(ACTIONS))]
    card = Calibration(enter=tuple(listed), exit=0.1, min_duration_s=0.2)
    chosen = limits(AggregatorSettings(), Calibration())
    assert (chosen.enter == DEFAULT_ENTER).all()
    assert (chosen.exit == DEFAULT_EXIT).all()
    assert (chosen.minimum_ns == to_ns(DEFAULT_DURATION_S)).all()
    assert chosen.exit.shape == chosen.enter.shape == chosen.minimum_ns.shape == (len(ACTIONS),)
    chosen = limits(AggregatorSettings(), card)
    assert chosen.enter.tolist() == listed
    assert (chosen.exit == 0.1).all()
    assert (chosen.minimum_ns == to_ns(0.2)).all()
    chosen = limits(AggregatorSettings(enter=0.6, min_duration_s=0.0), card)
    assert (chosen.enter == 0.6).all()
    assert (chosen.exit == 0.1).all()
    assert (chosen.minimum_ns == 0).all()


def test_limits_of_body_parts_stand_behind_those_of_actions() -> None:
    parts = PartCalibration(enter=0.5, exit=(0.1, 0.2, 0.3, 0.4, 0.5, 0.1, 0.1), min_duration_s=0.1)
    chosen = limits(AggregatorSettings(), Calibration(enter=0.7, exit=0.6, parts=parts))
    assert chosen.parts
    assert chosen.enter.tolist() == [0.7] * 52 + [0.5] * 7
    assert chosen.exit.tolist() == [0.6] * 52 + [0.1, 0.2, 0.3, 0.4, 0.5, 0.1, 0.1]
    assert chosen.minimum_ns.tolist() == [to_ns(0.5)] * 52 + [to_ns(0.1)] * 7


def card(enter: float | list[float] | None, exit_: float | None) -> Calibration:
    """As a card may hold them that nobody has checked."""
    made = Calibration()
    msgspec.structs.force_setattr(made, "enter", enter)
    msgspec.structs.force_setattr(made, "exit", exit_)
    return made


@pytest.mark.parametrize(
    ("chosen", "enter", "exit_", "message"),
    [
        (AggregatorSettings(enter=0.1), None, None, "exit at or below enter for 'shaking body', got 0.2 above 0.1"),
        (AggregatorSettings(), [0.5] * 51 + [0.1], 0.2, "scratching feet"),
        (AggregatorSettings(), [0.5] * 7, None, "one enter threshold or 52, got 7"),
        (AggregatorSettings(), 1.5, None, "enter thresholds in 0..1"),
        (AggregatorSettings(), None, float("nan"), "exit thresholds in 0..1"),
    ],
)
def test_impossible_thresholds_are_refused(
    chosen: AggregatorSettings, enter: float | list[float] | None, exit_: float | None, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        limits(chosen, card(enter, exit_))


def test_windows_whose_frames_lie_later_are_dated_back_less() -> None:
    span, hop, shift = to_ns(2), to_ns(0.25), to_ns(0.125)
    plain, later = PosteriorGrid(span, hop, hop), PosteriorGrid(span, hop, hop, centre_shift_ns=shift)
    assert 0 <= later.lag_ns < plain.lag_ns
    assert abs(plain.lag_ns - later.lag_ns - shift) < to_ns(0.06)  # the taper weighs nearer windows a little more


@pytest.mark.parametrize("recorded_s", [1.01, 1.5, 1.99, 2.0])
def test_nothing_is_dated_behind_the_end_of_a_recording_that_ends_inside_its_window(recorded_s: float) -> None:
    aggregator, recorded_ns = build(min_duration_s=0.5), to_ns(recorded_s)
    window = dataclasses.replace(prediction(to_ns(SPAN_S), {NODDING: 0.8}, to_ns(SPAN_S)), recorded_end_ns=recorded_ns)
    events = aggregator.push(window) + aggregator.finish()
    assert [event.state for event in events] == [PROVISIONAL, CONFIRMED, ENDED]
    assert events[-1].offset_ns == recorded_ns
    assert {event.emitted_ns for event in events} == {recorded_ns}
    assert all(0 <= event.onset_ns <= to_ns(HOP_S) for event in events)
    assert events[-1].confidence == pytest.approx(0.8)
    check(events, to_ns(0.5), 0, to_ns(HOP_S))


def test_a_recorded_end_outside_its_window_is_refused() -> None:
    window = prediction(to_ns(SPAN_S), {}, to_ns(SPAN_S))
    with pytest.raises(ValueError, match=r"expected a recorded end in 0\.\.2000000000, got 3"):
        dataclasses.replace(window, recorded_end_ns=to_ns(3))
