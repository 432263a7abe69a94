from __future__ import annotations

import itertools

import numpy as np
import pytest

from events.scores import Event, activity, match, score_events, tiou


def test_overlap_by_hand() -> None:
    assert tiou((0.0, 2.0), (1.0, 3.0)) == pytest.approx(1 / 3)
    assert tiou((0.0, 2.0), (0.5, 1.5)) == pytest.approx(0.5)
    assert tiou((0.0, 1.0), (1.0, 2.0)) == 0.0


def test_counts_by_hand() -> None:
    """Two nods, one found twice (half and three quarters): one hit, one extra, one missed; a leg found exactly."""
    true: list[Event] = [(9, 0.0, 4.0), (9, 10.0, 11.0), (24, 0.0, 5.0)]
    detected: list[Event] = [(9, 0.0, 2.0), (9, 1.0, 4.0), (24, 0.0, 5.0)]
    scores = score_events([(true, detected)], seconds=1800.0)
    counts = (scores.true_positives, scores.false_positives, scores.false_negatives)
    assert [count[9] for count in counts] == [1, 1, 1]
    assert scores.f1_per_class[9] == pytest.approx(0.5)
    assert scores.f1_per_class[24] == 1.0
    assert np.isnan(scores.f1_per_class[0])
    assert scores.f1_macro == pytest.approx(0.75)
    assert scores.f1_micro == pytest.approx(2 * 2 / (4 + 2))
    assert scores.false_per_hour == pytest.approx(2.0)


def test_body_parts_forgive_the_wrong_action_of_the_right_part() -> None:
    sessions = [([(9, 0.0, 2.0)], [(10, 0.0, 2.0)])]
    assert score_events(sessions, 60.0).f1_macro == 0.0
    parts = score_events(sessions, 60.0, by_part=True)
    assert (parts.f1_macro, len(parts.true_positives), parts.false_per_hour) == (1.0, 7, 0.0)


def test_sessions_do_not_mix() -> None:
    event: list[Event] = [(9, 0.0, 2.0)]
    scores = score_events([(event, []), ([], event)], 60.0)
    assert (scores.true_positives.sum(), scores.f1_micro) == (0, 0.0)
    assert np.isnan(score_events([([], [])], 60.0).f1_macro)


@pytest.mark.parametrize("seed", range(20))
def test_as_many_pairs_as_possible(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def draw(count: int) -> list[tuple[float, float]]:
        return [
            (float(onset), float(onset + length))
            for onset, length in zip(rng.uniform(0, 3, count), rng.uniform(0.5, 3, count), strict=True)
        ]

    true, detected = draw(4), draw(4)
    best = max(
        sum(tiou(event, detected[at]) >= 0.3 for event, at in zip(true, order, strict=True))
        for order in itertools.permutations(range(4))
    )
    pairs = match(true, detected, 0.3)
    assert len(pairs) == len(set(pairs.values())) == best
    assert all(tiou(true[event], detected[at]) >= 0.3 for event, at in pairs.items())


def test_shares_of_windows_by_hand() -> None:
    events: list[Event] = [(9, 1.0, 3.0), (24, 0.0, 10.0), (9, 2.0, 3.5)]  # the nods overlap: 1.0 .. 3.5
    shares = activity(events, np.array([0.0, 2.0, 8.0]), np.array([2.0, 4.0, 12.0]))
    assert shares[:, 9] == pytest.approx([0.5, 0.75, 0.0])
    assert shares[:, 24] == pytest.approx([1.0, 1.0, 0.5])
    assert shares.sum() == pytest.approx(1.25 + 2.5)


def test_impossible_events_are_refused() -> None:
    for event in ((52, 0.0, 1.0), (0, 2.0, 1.0), (-1, 0.0, 1.0)):
        with pytest.raises(ValueError, match="expected \\(index"):
            score_events([([event], [])], 60.0)
    with pytest.raises(ValueError, match="longer than 0 s"):
        score_events([], 0.0)
