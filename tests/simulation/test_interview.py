"""Schedules: how many actions at once, how often which, and a truth that says when."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simulation.interview import BALANCED, CONCURRENCY, IDLE, NATURAL, TrueAction, write_interview
from simulation.motions import PROGRAMS
from simulation.session import Settings, simulate
from simulation.subject import draw_subject

pytestmark = pytest.mark.slow


def truth(seed: int, seconds: float, mode: str, fps: float = 10.0) -> list[TrueAction]:
    rng = np.random.default_rng([seed, 5])
    return write_interview(rng, draw_subject(rng), seconds, fps, mode)[1]


@pytest.mark.parametrize("mode", [NATURAL, BALANCED])
def test_as_many_actions_run_at_once_as_in_real_interviews(mode: str) -> None:
    share = np.zeros(5)
    for seed in range(25):
        running = np.zeros(600, int)
        for one in truth(seed, 60.0, mode):
            running[round(one.onset_s * 10) : round(one.offset_s * 10)] += 1
        share += np.bincount(running, minlength=5)[:5] / 600 / 25
    np.testing.assert_allclose(share[:4], CONCURRENCY, atol=0.07)
    assert share[4] < 0.005


def test_balanced_sessions_show_every_action_about_equally_often() -> None:
    counts = Counter(one.index for seed in range(60) for one in truth(seed, 60.0, BALANCED, 5.0))
    frequency = np.array([counts[index] for index in range(52)]) / (sum(counts.values()) / 52)
    assert frequency.min() > 0.4
    assert frequency.max() < 1.9


def test_natural_sessions_show_what_is_frequent_frequently() -> None:
    counts = Counter(one.index for seed in range(25) for one in truth(seed, 60.0, NATURAL, 5.0))
    assert counts[8] > counts[9] > counts[15]  # turning head, nodding, pointing oneself
    assert counts[45] < 3


def test_an_idle_session_has_no_truth_but_is_not_still() -> None:
    session = simulate(3, 20.0, 30.0, Settings(mode=IDLE, noise=None))
    assert session.truth == ()
    assert not session.targets().any()
    nose = session.pose[:, 0, 0]
    assert np.ptp(nose) > 0.3


def test_actions_at_the_same_time_never_share_a_hand_or_a_leg() -> None:
    for seed in range(20):
        listed = truth(seed, 60.0, BALANCED)
        for place, one in enumerate(listed):
            for other in listed[place + 1 :]:
                if other.onset_s < one.offset_s:
                    assert not set(one.hands) & set(other.hands)
                    assert not set(one.legs) & set(other.legs)


def test_truth_is_ordered_inside_the_session_and_long_enough() -> None:
    for seed in range(20):
        listed = truth(seed, 30.0, BALANCED)
        assert [one.onset_s for one in listed] == sorted(one.onset_s for one in listed)
        for one in listed:
            assert 0.0 <= one.onset_s < one.offset_s <= 30.0
            assert one.offset_s - one.onset_s > 0.2
            if one.offset_s < 29.5:
                assert one.offset_s - one.onset_s >= PROGRAMS[one.index].shortest_s - 1e-6


def test_there_is_more_motion_inside_the_truth_than_outside() -> None:
    """In still sessions with nothing but nods: the nose moves when the truth says so."""
    inside, outside = [], []
    for seed in range(6):
        session = simulate(seed, 30.0, 30.0, Settings(noise=None, actions=(9, 10), framing="whole body"))
        speed = np.linalg.norm(np.diff(session.pose[:, 0, :2] - session.pose[:, 11, :2], axis=0), axis=1)
        speed /= np.median(np.linalg.norm(session.pose[:, 11, :2] - session.pose[:, 12, :2], axis=1))
        running = session.targets().any(axis=1)[1:]
        inside.append(np.mean(speed[running]))
        outside.append(np.mean(speed[~running]))
    assert np.mean(inside) > 2.5 * np.mean(outside)


def test_targets_agree_with_the_truth_and_leave_out_what_is_not_seen() -> None:
    session = simulate(8, 40.0, 30.0, Settings(mode=NATURAL, framing="upper body"))
    targets = session.targets()
    for one in session.truth:
        assert targets[round((one.onset_s + one.offset_s) * 15), one.index]
    legs = [one for one in session.truth if one.legs]
    assert all(one.seen < 0.5 for one in legs)
    assert session.targets(0.5).sum() <= targets.sum()


def test_balanced_upper_body_sessions_spend_no_time_on_unseen_legs() -> None:
    sessions = [simulate(seed, 30.0, 5.0, Settings(framing="upper body")) for seed in range(10)]
    assert not [one for session in sessions for one in session.truth if 24 <= one.index <= 31]
