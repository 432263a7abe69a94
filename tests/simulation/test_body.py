"""A body that keeps its bones, its joints and its feet on the floor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engines.landmarks.points import FACE_POINTS
from simulation.body import WRIST_LIMIT, Posed, pose_body
from simulation.geometry import SHARPEST_BEND, two_bones
from simulation.hand import FIST, FLAT, hand_joints
from simulation.interview import BALANCED, IDLE, write_interview
from simulation.subject import Subject, draw_subject

BONES = {"upper_arm": (11, 13), "forearm": (13, 15), "thigh": (23, 25), "shank": (25, 27)}


def body(seed: int, mode: str = BALANCED, **keywords: object) -> tuple[Subject, Posed]:
    rng = np.random.default_rng(seed)
    subject = draw_subject(rng)
    controls, _ = write_interview(rng, subject, 15.0, 30.0, mode, **keywords)  # type: ignore[arg-type]
    return subject, pose_body(subject, controls)


@pytest.mark.parametrize("seed", range(5))
def test_bones_keep_their_length(seed: int) -> None:
    subject, posed = body(seed)
    for name, (first, last) in BONES.items():
        for side in (0, 1):
            lengths = np.linalg.norm(posed.pose[:, first + side] - posed.pose[:, last + side], axis=1)
            np.testing.assert_allclose(lengths, getattr(subject, name), rtol=1e-6)
    for first, last in ((5, 6), (9, 10), (0, 13), (19, 20)):
        lengths = np.linalg.norm(posed.hands[:, :, first] - posed.hands[:, :, last], axis=-1)
        assert np.ptp(lengths) < 0.012  # knuckles part a little when the fingers spread
    assert posed.face.shape[1:] == (FACE_POINTS, 3)


@pytest.mark.parametrize("seed", range(5))
def test_joints_bend_within_their_limits(seed: int) -> None:
    _, posed = body(seed + 50)
    pose = posed.pose
    for first, middle, last in ((11, 13, 15), (12, 14, 16), (23, 25, 27), (24, 26, 28)):
        one, other = pose[:, first] - pose[:, middle], pose[:, last] - pose[:, middle]
        cosine = np.sum(one * other, axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
        assert np.arccos(np.clip(cosine, -1, 1)).min() > SHARPEST_BEND - 0.01
    for hand in (0, 1):
        forearm = posed.hands[:, hand, 0] - pose[:, 13 + hand]
        fingers = np.median(posed.hands[:, hand, 5:18:4], axis=1) - posed.hands[:, hand, 0]
        cosine = np.sum(forearm * fingers, axis=1) / np.linalg.norm(forearm, axis=1) / np.linalg.norm(fingers, axis=1)
        assert np.quantile(np.arccos(np.clip(cosine, -1, 1)), 0.98) < WRIST_LIMIT + 0.35


@pytest.mark.parametrize("seed", range(6))
def test_feet_rest_on_the_floor(seed: int) -> None:
    subject, posed = body(seed + 20, IDLE, crossed=False)
    soles = posed.pose[:, 29:33, 1] + subject.seat
    assert np.abs(soles).max() < 0.05
    assert np.abs(np.median(soles)) < 0.02
    assert np.abs(posed.pose[:, 23:25, 1]).max() < 0.1  # hips on the seat


def test_hands_arrive_where_they_are_sent() -> None:
    missed = np.concatenate([body(seed)[1].missed for seed in range(12)])
    assert np.median(missed) < 0.001
    assert np.quantile(missed, 0.95) < 0.05


def test_the_thumbs_of_relaxed_hands_point_at_each_other() -> None:
    _, posed = body(4, IDLE, hand_rest="thighs")
    left, right = posed.hands[:, 0], posed.hands[:, 1]
    assert np.all(left[:, 2, 0] < left[:, 17, 0])  # x grows to the person's left
    assert np.all(right[:, 2, 0] > right[:, 17, 0])


def test_a_fist_is_smaller_than_a_flat_hand() -> None:
    flat, fist = (hand_joints(shape[None], 0.18)[0] for shape in (FLAT, FIST))
    assert np.linalg.norm(flat[12]) > 0.16
    assert np.linalg.norm(fist[12]) < 0.6 * np.linalg.norm(flat[12])


@settings(max_examples=60)
@given(st.tuples(*[st.floats(-1.0, 1.0)] * 3), st.floats(0.15, 0.5), st.floats(0.15, 0.5))
def test_two_bones_reach_or_come_as_near_as_they_can(target: tuple[float, ...], first: float, second: float) -> None:
    root, goal, pole = np.zeros((1, 3)), np.array([target]), np.array([[0.3, -1.0, 0.1]])
    middle, end = two_bones(root, goal, first, second, pole)
    np.testing.assert_allclose(np.linalg.norm(middle), first, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(end - middle), second, rtol=1e-4)
    distance = np.linalg.norm(goal)
    assume(distance > 1e-3)
    nearest = np.sqrt(first**2 + second**2 - 2 * first * second * np.cos(SHARPEST_BEND))
    expected = max(distance - 0.985 * (first + second), nearest - distance, 0.0)
    np.testing.assert_allclose(np.linalg.norm(end - goal), expected, atol=1e-6)


def test_subjects_differ_within_human_bounds() -> None:
    rng = np.random.default_rng(0)
    people = [draw_subject(rng) for _ in range(300)]
    statures = np.array([one.stature for one in people])
    assert 1.1 < statures.min() < 1.45
    assert 1.85 < statures.max() < 2.0
    widths = np.array([one.shoulder_width / one.stature for one in people])
    assert widths.std() > 0.01
    assert {one.right_handed for one in people} == {True, False}
