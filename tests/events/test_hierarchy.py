"""Events of two levels, from scores of every step: examples worked by hand, and what must hold for any scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.card import Calibration, PartCalibration
from engines.taxonomy import ACTIONS, BODY_PARTS
from events.aggregator import Aggregator
from events.limits import Limits, limits
from events.offline import aggregate, ended, ended_parts, step_reports
from events.settings import AggregatorSettings
from events.steps import StepGrid
from events.types import ActionEvent, EventState, Prediction, Stamps, Steps

STEP_NS, SPAN_STEPS, HOP_STEPS = 50_000_000, 32, 5
HEAD, HEAD_HAND = 1, 5
NODDING, SHAKING, COVERING_MOUTH, TOUCHING_FACE, TOUCHING_NOSE = 9, 10, 46, 41, 43
PROVISIONAL, CONFIRMED, REFINED = EventState.PROVISIONAL, EventState.CONFIRMED, EventState.REFINED
ENDED, RETRACTED = EventState.ENDED, EventState.RETRACTED
Scores = dict[int, tuple[float, float, float]]  # class → value from one moment to another, s
Float32Array = npt.NDArray[np.float32]


def settled(**values: float) -> AggregatorSettings:
    return AggregatorSettings(**{"habituation_s": 0.0, "merge_gap_s": 0.2, "refractory_s": 0.0, **values})


def two_levels(chosen: AggregatorSettings | None = None, **parts: float) -> Limits:
    """Actions: 0.5 and 0.3, at least 0.3 s; parts: 0.6 and 0.3, at least 0.2 s."""
    of_parts = PartCalibration(**{"enter": 0.6, "exit": 0.3, "min_duration_s": 0.2, **parts})
    card = Calibration(enter=0.5, exit=0.3, min_duration_s=0.3, parts=of_parts)
    return limits(chosen or settled(), card)


def scores(seconds: float, *pieces: tuple[int | str, float, float, float]) -> tuple[Float32Array, Float32Array]:
    """(T, 52) and (T, 7): each piece sets an action (index) or a part (name) to a value from one moment to another."""
    times = np.arange(round(seconds * 1e9 / STEP_NS)) * STEP_NS * 1e-9
    actions, parts = np.zeros((len(times), 52), np.float32), np.zeros((len(times), 7), np.float32)
    for which, value, start, end in pieces:
        row = (times >= start - 1e-6) & (times < end - 1e-6)
        if isinstance(which, str):
            parts[row, BODY_PARTS.index(which)] = value
        else:
            actions[row, which] = value
    return actions, parts


def play(
    made: tuple[Float32Array, Float32Array],
    chosen: AggregatorSettings | None = None,
    bounds: Limits | None = None,
    seen: npt.NDArray[np.bool_] | None = None,
    moved: npt.NDArray[np.bool_] | None = None,
) -> list[ActionEvent]:
    chosen = chosen or settled()
    times = np.arange(len(made[0]), dtype=np.int64) * STEP_NS
    return step_reports(times, *made, chosen, bounds or two_levels(chosen), seen, moved)


def told(events: list[ActionEvent]) -> list[tuple[int, EventState, str | None]]:
    return [(event.id, event.state, event.action.name if event.action else None) for event in events]


def span(event: ActionEvent) -> tuple[float, float]:
    assert event.offset_ns is not None
    return event.onset_ns * 1e-9, event.offset_ns * 1e-9


def test_a_sure_part_is_an_event_and_its_action_is_named_once_it_is_sure() -> None:
    events = play(
        scores(
            6.0,
            ("head-hand", 0.9, 1.0, 4.0),
            (COVERING_MOUTH, 0.4, 1.0, 2.0),
            (TOUCHING_FACE, 0.3, 1.0, 4.0),
            (COVERING_MOUTH, 0.8, 2.0, 4.0),
        )
    )
    assert told(events) == [
        (1, PROVISIONAL, None),
        (1, CONFIRMED, None),
        (1, REFINED, "covering mouth"),
        (1, ENDED, "covering mouth"),
    ]
    assert {event.body_part for event in events} == {"head-hand"}
    assert span(events[-1]) == pytest.approx((1.0, 4.0), abs=0.026)
    first, last = events[0].candidates, events[-1].candidates
    assert [(one.action.index, round(one.probability, 3)) for one in first] == [
        (COVERING_MOUTH, 0.4),
        (TOUCHING_FACE, 0.3),
    ]
    assert last[0].probability == pytest.approx((0.4 * 1.0 + 0.8 * 2.0) / 3.0, abs=1e-6)
    assert events[1].confidence == pytest.approx(0.9)  # of the part
    assert events[-1].confidence == pytest.approx((0.4 * 1.0 + 0.8 * 2.0) / 3.0, abs=1e-6)  # of the action
    assert ended(events) == [(COVERING_MOUTH, *span(events[-1]))]
    assert ended_parts(events) == [(HEAD_HAND, *span(events[-1]))]


@pytest.mark.parametrize("habituation_s", [0.0, 30.0])
def test_no_event_begins_while_its_part_keeps_still_but_one_may_last(habituation_s: float) -> None:
    made = scores(6.0, ("head", 0.9, 1.0, 5.0), (NODDING, 0.9, 1.0, 5.0))
    moved = np.zeros((len(made[0]), 7), np.bool_)
    chosen = settled(habituation_s=habituation_s)
    assert play(made, chosen, moved=moved) == []
    moved[:, BODY_PARTS.index("upper limb")] = True
    assert play(made, chosen, moved=moved) == []
    moved[round(2.0e9 / STEP_NS) : round(2.5e9 / STEP_NS), BODY_PARTS.index("head")] = True
    events = play(made, chosen, moved=moved)
    assert told(events)[-1] == (1, ENDED, "nodding")
    assert events[-1].offset_ns == pytest.approx(5.0e9, abs=0.05e9)


def test_the_action_of_an_event_is_a_candidate_with_its_own_confidence() -> None:
    made = scores(4.0, ("head", 0.9, 1.0, 3.0), (NODDING, 0.35, 1.0, 2.0), (NODDING, 0.7, 2.0, 3.0))
    events = play(made, bounds=two_levels(enter=0.95))
    assert told(events)[0] == (1, PROVISIONAL, "nodding")
    for event in events:
        assert [(one.action.index, one.probability) for one in event.candidates] == [(NODDING, event.confidence)]
    assert events[-1].confidence == pytest.approx(0.525)


def test_a_part_alone_stays_without_an_action() -> None:
    events = play(scores(5.0, ("head", 0.8, 1.0, 3.0), (NODDING, 0.4, 1.0, 3.0)))
    assert told(events) == [(1, PROVISIONAL, None), (1, CONFIRMED, None), (1, ENDED, None)]
    assert ended(events) == []
    assert ended_parts(events) == [(HEAD, *span(events[-1]))]


def test_a_sure_action_needs_no_sure_part_but_never_counts_for_more_than_it() -> None:
    pieces = [(NODDING, 0.9, 1.0, 3.0)]
    events = play(scores(5.0, *pieces, ("head", 0.55, 1.0, 3.0)))
    assert told(events) == [(1, PROVISIONAL, "nodding"), (1, CONFIRMED, "nodding"), (1, ENDED, "nodding")]
    assert events[-1].confidence == pytest.approx(0.55)
    assert play(scores(5.0, *pieces, ("head", 0.45, 1.0, 3.0))) == []


def test_an_event_outlasts_a_sagging_action_while_its_part_goes_on() -> None:
    events = play(scores(6.0, ("head", 0.9, 1.0, 4.0), (NODDING, 0.8, 1.0, 2.0), (NODDING, 0.1, 2.0, 4.0)))
    assert told(events)[-1] == (1, ENDED, "nodding")
    assert span(events[-1]) == pytest.approx((1.0, 4.0), abs=0.026)


def test_another_sure_action_of_the_part_ends_the_first_where_that_fell() -> None:
    events = play(scores(8.0, ("head", 0.9, 1.0, 6.0), (NODDING, 0.8, 1.0, 3.0), (SHAKING, 0.8, 4.0, 6.0)))
    assert [(event.id, event.action and event.action.index) for event in events if event.state is ENDED] == [
        (1, NODDING),
        (2, SHAKING),
    ]
    first, second = (span(event) for event in events if event.state is ENDED)
    assert first == pytest.approx((1.0, 3.0), abs=0.026)
    assert second == pytest.approx((4.0, 6.0), abs=0.026)


def test_two_actions_of_a_part_may_run_at_once() -> None:
    events = play(scores(6.0, ("head", 0.9, 1.0, 4.0), (NODDING, 0.8, 1.0, 4.0), (SHAKING, 0.8, 2.0, 3.0)))
    found = {event.action.index: span(event) for event in events if event.state is ENDED and event.action}
    assert found[NODDING] == pytest.approx((1.0, 4.0), abs=0.026)
    assert found[SHAKING] == pytest.approx((2.0, 3.0), abs=0.026)


def test_a_name_may_change_only_while_the_event_is_provisional() -> None:
    early = scores(
        5.0,
        ("head", 0.9, 1.0, 3.0),
        (NODDING, 0.8, 1.0, 1.1),
        (SHAKING, 0.8, 1.15, 3.0),
    )
    assert told(play(early)) == [
        (1, PROVISIONAL, "nodding"),
        (1, PROVISIONAL, "shaking head"),
        (1, CONFIRMED, "shaking head"),
        (1, ENDED, "shaking head"),
    ]


def test_shorter_than_its_own_minimum_is_retracted() -> None:
    chosen = settled(merge_gap_s=0.0)
    made = scores(4.0, ("head", 0.9, 1.0, 1.25), (NODDING, 0.8, 1.0, 1.25))
    assert told(play(made, chosen)) == [(1, PROVISIONAL, "nodding"), (1, RETRACTED, "nodding")]
    bounds = limits(chosen, Calibration(enter=0.5, exit=0.3, min_duration_s=0.15, parts=PartCalibration(enter=0.6)))
    assert told(play(made, chosen, bounds))[-1] == (1, ENDED, "nodding")


def test_what_lasts_too_long_ends_as_a_posture_until_it_has_fallen() -> None:
    made = scores(30.0, ("head-hand", 0.9, 1.0, 20.0), ("head-hand", 0.9, 22.0, 25.0), (TOUCHING_NOSE, 0.8, 22.0, 25.0))
    events = [event for event in play(made, settled(posture_s=10.0)) if event.state is ENDED]
    assert [(event.posture, event.action and event.action.index) for event in events] == [
        (True, None),
        (False, TOUCHING_NOSE),
    ]
    assert span(events[0]) == pytest.approx((1.0, 11.0), abs=0.026)
    assert span(events[1]) == pytest.approx((22.0, 25.0), abs=0.026)
    assert len([event for event in play(made, settled(posture_s=0.0)) if event.state is ENDED]) == 2


def test_nothing_reaches_over_moments_that_no_picture_stands_for() -> None:
    made = scores(6.0, ("head", 0.9, 1.0, 5.0), (NODDING, 0.8, 1.0, 5.0))
    seen = np.ones(120, np.bool_)
    seen[50:56] = False  # 2.5 to 2.8 s
    events = [span(event) for event in play(made, seen=seen) if event.state is ENDED]
    assert events[0] == pytest.approx((1.0, 2.475), abs=0.026)
    assert events[1] == pytest.approx((2.775, 5.0), abs=0.026)


def windows(made: tuple[Float32Array, Float32Array], drop: tuple[int, ...] = ()) -> list[Prediction]:
    """The steps of a recording as the live path cuts them: windows of 32 steps, one every 5."""
    found = []
    for index, last in enumerate(range(SPAN_STEPS, len(made[0]) + 1, HOP_STEPS)):
        rows = slice(last - SPAN_STEPS, last)
        times = np.arange(rows.start, rows.stop, dtype=np.int64) * STEP_NS
        end_ns = int(times[-1])
        one = Prediction(
            0,
            index,
            end_ns - SPAN_STEPS * STEP_NS,
            end_ns,
            made[0][rows],
            made[0][rows],
            None,
            Stamps(),
            steps=Steps(times, np.ones(SPAN_STEPS, np.bool_)),
            parts=made[1][rows],
        )
        if index not in drop:
            found.append(one)
    return found


def test_windows_give_the_events_of_the_whole_and_report_them_one_lookahead_later() -> None:
    made = scores(8.35, ("head", 0.9, 2.0, 6.0), (NODDING, 0.8, 3.0, 6.0))
    for lookahead_s in (0.2, 0.5, 0.95):
        grid = StepGrid(SPAN_STEPS * STEP_NS, STEP_NS, round(lookahead_s * 1e9))
        events = aggregate(windows(made), grid, two_levels(), settled())
        assert [dataclasses.replace(one, emitted_ns=0, delay=None) for one in events] == [  # type: ignore[arg-type]
            dataclasses.replace(one, emitted_ns=0, delay=None)  # type: ignore[arg-type]
            for one in play(made)
        ]
        provisional_s = events[0].emitted_ns * 1e-9 - 2.0
        assert lookahead_s <= provisional_s <= lookahead_s + HOP_STEPS * STEP_NS * 1e-9
        assert events[0].delay.window_ns == events[0].emitted_ns - events[0].onset_ns


def test_missing_windows_lose_nothing_while_the_others_overlap() -> None:
    made = scores(8.35, ("head", 0.9, 2.0, 6.0))
    grid = StepGrid(SPAN_STEPS * STEP_NS, STEP_NS, 200_000_000)
    events = aggregate(windows(made, drop=(3, 4, 5)), grid, two_levels(), settled())
    assert ended_parts(events) == ended_parts(play(made))


def test_windows_that_do_not_overlap_part_the_events() -> None:
    made = scores(12.0, ("head", 0.9, 1.0, 11.0))
    kept = windows(made)
    grid = StepGrid(SPAN_STEPS * STEP_NS, STEP_NS, 200_000_000)
    events = aggregate([kept[0], kept[-1]], grid, two_levels(), settled())
    first, second = ended_parts(events)
    assert first[1:] == pytest.approx((1.0, kept[0].end_ns * 1e-9), abs=0.026)
    assert second[1:] == pytest.approx((kept[-1].start_ns * 1e-9 + 0.05, 11.0), abs=0.051)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 5.0, 40.0]), st.sampled_from([0.0, 2.0, 30.0]))
@settings(max_examples=40, deadline=None)
def test_any_scores_give_a_sound_stream(seed: int, habituation_s: float, posture_s: float) -> None:
    rng = np.random.default_rng(seed)
    pieces: list[tuple[int | str, float, float, float]] = []
    for _ in range(30):
        start = rng.uniform(0.0, 19.0)
        which = int(rng.integers(5, 11)) if rng.random() < 0.6 else BODY_PARTS[int(rng.integers(1, 3))]
        pieces.append((which, float(rng.random()), start, start + rng.uniform(0.05, 5.0)))
    chosen = settled(habituation_s=habituation_s, posture_s=posture_s)
    aggregator = Aggregator(0, StepGrid(SPAN_STEPS * STEP_NS, STEP_NS, 300_000_000), two_levels(chosen), chosen)
    events = [event for one in windows(scores(20.0, *pieces)) for event in aggregator.push(one)] + aggregator.finish()
    assert aggregator.running == {}
    lives: dict[int, list[ActionEvent]] = {}
    for event in events:
        lives.setdefault(event.id, []).append(event)
    assert list(lives) == list(range(1, len(lives) + 1))
    for life in lives.values():
        states = [event.state for event in life]
        names = [event.action for event in life]
        assert len({(event.onset_ns, event.body_part) for event in life}) == 1
        assert states[0] is PROVISIONAL
        assert states[-1] in (ENDED, RETRACTED)
        assert (states[-1] is ENDED) == (CONFIRMED in states)
        assert states.count(CONFIRMED) <= 1
        assert states.count(REFINED) <= 1
        if CONFIRMED in states:  # named at most once from there on, and for good
            after = names[states.index(CONFIRMED) :]
            assert len(set(after)) <= 1 + (after[0] is None)
            assert (REFINED in states) == (after[0] is None and after[-1] is not None)
        assert [event.offset_ns is None for event in life] == [True] * (len(life) - 1) + [False]
        for event in life:
            assert all(one.action.body_part == event.body_part for one in event.candidates)
            assert 0.0 <= event.confidence <= 1.0
            assert event.delay.window_ns + event.delay.confirmation_ns == event.emitted_ns - event.onset_ns
    alone = [(event.onset_ns, event.offset_ns) for event in events if event.offset_ns and event.action is None]
    assert all(onset < offset for onset, offset in alone)


def test_a_prediction_of_steps_is_checked() -> None:
    good = windows(scores(2.0))[0]
    with pytest.raises(ValueError, match=r"probs: expected float32 \(32, 52\)"):
        dataclasses.replace(good, probs=good.probs[0])
    with pytest.raises(ValueError, match=r"parts: expected float32 \(32, 7\)"):
        dataclasses.replace(good, parts=np.zeros((32, 8), np.float32))
    with pytest.raises(ValueError, match="two ascending times"):
        Steps(np.zeros(3, np.int64), np.ones(3, np.bool_))
    with pytest.raises(ValueError, match="scores of body parts"):
        aggregate([dataclasses.replace(good, parts=None)], StepGrid(10, 5, 2), two_levels(), settled())
    with pytest.raises(ValueError, match="look-ahead < span"):
        StepGrid(10, 5, 10)
    assert [action.part_index for action in ACTIONS[46:48]] == [HEAD_HAND, HEAD_HAND]
