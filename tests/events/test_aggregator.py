"""Windows to events: examples worked by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from events.limits import DEFAULT_ENTER, DEFAULT_EXIT, Limits
from events.posterior import PosteriorGrid
from events.types import ActionEvent, Prediction, Stamps
from realtime.clock import NS_PER_S, to_ns, to_s
from tests.events.aggregating import (
    CONFIRMED,
    ENDED,
    HOP_S,
    NODDING,
    PROVISIONAL,
    RETRACTED,
    SPAN_S,
    TOUCHING_NOSE,
    build,
    check,
    of,
    play,
    prediction,
    rectangles,
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
    for k in range(3000):
        aggregator.push(prediction(k * to_ns(0.04), {i: float(rng.random()) for i in range(6)}, to_ns(SPAN_S)))
        sizes.add(len(aggregator._grid._windows))
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
