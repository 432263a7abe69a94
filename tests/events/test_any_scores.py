"""What must hold for the events of any scores, settings and gaps."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from events.aggregator import Aggregator
from events.settings import AggregatorSettings
from events.types import ActionEvent, Prediction, Stamps
from realtime.clock import to_ns
from tests.events.aggregating import NODDING, TOUCHING_NOSE, FixedClock, check, make, prediction

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
    minimum_ns, refractory_ns = to_ns(chosen.min_duration_s or 0.0), to_ns(chosen.refractory_s)
    check([timed for timed, _ in pairs], minimum_ns, refractory_ns, recorded._grid.step_ns)
