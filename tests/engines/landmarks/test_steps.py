"""Landmarks at a fixed rate and packed sequences: the right values, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engines.landmarks.points import FACE_POINTS
from engines.landmarks.steps import CHANNELS, HELD_S, POINTS, STEP_S, VALID, VISIBILITY, at_steps, pack
from engines.landmarks.tracks import MISSING, VALUES, decode, encode


def pictures(count: int, missing_hand: int | None = None) -> np.ndarray:
    """Packed pictures whose x is their number; one of them may lack the left hand."""
    pose = np.full((count, 33, 4), 0.5, np.float32)
    hands, face = np.zeros((count, 2, 21, 3), np.float32), np.zeros((count, FACE_POINTS, 3), np.float32)
    numbers = np.arange(count, dtype=np.float32)
    pose[..., 0] = numbers[:, None]
    hands[..., 0] = numbers[:, None, None]
    if missing_hand is not None:
        hands[missing_hand, 0] = np.nan
    return pack(pose, hands, face)


def test_pack_orders_points_and_marks_what_was_not_found() -> None:
    packed = pictures(2, missing_hand=1)
    assert packed.shape == (2, POINTS, CHANNELS)
    assert packed[0, :, VALID].all()
    assert packed[1, 33:54].max() == 0.0  # nothing at all
    assert packed[1, 54, 0] == 1.0
    assert packed[0, 5, VISIBILITY] == 0.5
    assert packed[0, 100, VISIBILITY] == 1.0


def test_between_two_pictures_is_linear() -> None:
    steps = at_steps(np.array([0.0, 0.1]), pictures(2), np.array([0.0, 0.025, 0.1]))
    assert steps[:, 0, 0] == pytest.approx([0.0, 0.25, 1.0])


def test_a_hand_that_one_picture_lacks_is_the_nearer_ones() -> None:
    steps = at_steps(np.array([0.0, 0.1]), pictures(2, missing_hand=1), np.array([0.04, 0.06]))
    assert steps[:, 40, VALID].tolist() == [1.0, 0.0]
    assert steps[0, 40, 0] == 0.0  # the first picture's, not between
    assert steps[:, 60, 0] == pytest.approx([0.4, 0.6])


def test_nothing_before_the_first_picture_in_gaps_and_behind_the_last() -> None:
    times = np.array([1.0, 1.1, 3.0])
    moments = np.array([0.9, 1.0, 1.1 + HELD_S - 0.01, 1.1 + HELD_S + 0.01, 2.99, 3.0, 3.0 + HELD_S + 0.01])
    assert at_steps(times, pictures(3), moments)[:, 0, VALID].tolist() == [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]


def test_packed_sequences_come_back() -> None:
    rng = np.random.default_rng(1)
    pose = rng.uniform(0.0, 500.0, (3, 33, 4)).astype(np.float32)
    pose[..., 3] = rng.uniform(0.0, 1.0, (3, 33))
    hands = rng.uniform(0.0, 500.0, (3, 2, 21, 3)).astype(np.float32)
    face = rng.uniform(0.0, 500.0, (3, FACE_POINTS, 3)).astype(np.float32)
    hands[1, 0] = np.nan
    frames = encode(pose, hands, face, 480, 640)
    assert frames.shape == (3, VALUES)
    assert (frames[1] == MISSING).sum() == 63
    expected = pack(pose, hands, face)
    expected[..., :3] /= 480.0  # lengths come back in picture heights
    assert decode(frames, 640 / 480) == pytest.approx(expected, abs=2e-4)


def test_sixteen_steps_are_a_second() -> None:
    assert STEP_S * 16 == 1.0
