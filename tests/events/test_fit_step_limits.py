"""Limits of step scores: what is right, wrong and missed, and that the best are found."""

from __future__ import annotations

import numpy as np

from events.fit_step_limits import KnownEvents, KnownSet, fit_step_limits, runs

STEP_S = 1 / 16


def known(probs: np.ndarray, events: tuple[tuple[int, int, int], ...]) -> KnownEvents:
    return KnownEvents(probs, np.ones(probs.shape, np.bool_), events)


def sequence(probs: np.ndarray, right: set[int], unknown: set[int] = frozenset()) -> KnownSet:
    return KnownSet(probs, np.ones(probs.shape, np.bool_), frozenset(right), frozenset(unknown))


def scores(steps: int, *spans: tuple[int, int, int, float]) -> np.ndarray:
    """(steps, 59), 0.02 but for (class, from, to, probability)."""
    probs = np.full((steps, 59), 0.02, np.float32)
    for key, first, last, value in spans:
        probs[first:last, key] = value
    return probs


def test_runs_reach_enter_and_join_short_pauses() -> None:
    probs = scores(60, (9, 10, 20, 0.5), (9, 24, 30, 0.8), (9, 50, 55, 0.5))[:, 9]
    both = np.stack([probs, probs])
    assert runs(both, 0.7, 0.4, merge=8) == [(10, 30)]
    assert runs(both, 0.7, 0.4, merge=2) == [(24, 30)]
    assert runs(both, 0.9, 0.4, merge=8) == []


def test_enter_lies_between_what_is_right_and_what_is_wrong() -> None:
    session = known(scores(200, (9, 20, 40, 0.8), (9, 100, 120, 0.55)), ((9, 20, 40),))
    limits = fit_step_limits([session] * 5, [], STEP_S)
    assert 0.55 < limits.enter[9] <= 0.8
    assert limits.exit[9] <= limits.enter[9]
    assert limits.f1[9] == 1.0


def test_short_events_are_kept_where_they_are_true() -> None:
    short = known(scores(100, (9, 20, 23, 0.8)), ((9, 20, 23),))
    limits = fit_step_limits([short] * 5, [], STEP_S)
    assert limits.duration_s[9] == 0.125


def test_real_sequences_raise_limits_where_other_parts_fire() -> None:
    """Class 41 is right on simulated people at 0.5, but real people whose hand is elsewhere have it as well."""
    simulated = known(scores(100, (41, 20, 40, 0.5), (41, 60, 80, 0.9)), ((41, 20, 40), (41, 60, 80)))
    other = sequence(scores(30, (41, 5, 20, 0.5)), {33, 56})
    alone = fit_step_limits([simulated] * 3, [], STEP_S)
    both = fit_step_limits([simulated] * 3, [other] * 6, STEP_S)
    assert alone.enter[41] <= 0.5 < both.enter[41]


def test_what_a_set_leaves_open_is_not_wrong() -> None:
    simulated = known(scores(100, (23, 20, 40, 0.5)), ((23, 20, 40),))
    open_ = sequence(scores(30, (23, 5, 20, 0.5)), {33, 56}, {23})
    assert fit_step_limits([simulated] * 3, [open_] * 6, STEP_S).enter[23] <= 0.5


def test_a_class_without_evidence_is_strict() -> None:
    limits = fit_step_limits([known(scores(50), ())], [], STEP_S)
    assert (limits.enter == 0.95).all()


def test_a_budget_of_false_events_where_nothing_happens_is_kept() -> None:
    """Half of the true events are at 0.6, and so is what an idle session has."""
    busy = known(scores(200, (9, 20, 40, 0.6), (9, 100, 120, 0.9)), ((9, 20, 40), (9, 100, 120)))
    idle = known(scores(200, (9, 50, 70, 0.6)), ())
    free = fit_step_limits([busy] * 5 + [idle], [], STEP_S)
    strict = fit_step_limits([busy] * 5 + [idle], [], STEP_S, false_per_hour=1.0)
    assert free.enter[9] <= 0.6 < strict.enter[9]


def test_what_keeps_still_is_no_false_event() -> None:
    """A posture that looks like the action needs no strict limit where its part does not move."""
    busy = known(scores(200, (13, 20, 40, 0.6), (13, 100, 120, 0.9)), ((13, 20, 40), (13, 100, 120)))
    idle = scores(200, (13, 50, 70, 0.6))
    moving, still = known(idle, ()), KnownEvents(idle, np.zeros(idle.shape, np.bool_), ())
    assert fit_step_limits([busy] * 5 + [moving], [], STEP_S, false_per_hour=1.0).enter[13] > 0.6
    assert fit_step_limits([busy] * 5 + [still], [], STEP_S, false_per_hour=1.0).enter[13] <= 0.6
