"""Hands are followed as MediaPipe follows them, and the pose without its mask is the same pose."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from realtime.capture.mediapipe.lean_pose import without_masks
from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.views.hands import FOUND, Hand, HandNetwork, square_of
from tests.realtime.conftest import read

pytestmark = pytest.mark.slow

SEATED = "seated_B2_shaking_head.mp4"


@pytest.mark.parametrize(("exact", "apart"), [(True, (0.3, 0.5)), (False, (1.0, 2.0))])
def test_the_next_points_are_those_of_mediapipe(exact: bool, apart: tuple[float, float], trackers: list[Path]) -> None:
    """Two hands over eight pictures, each followed from where MediaPipe saw it in the picture before."""
    images, network = read(SEATED)[:8], HandNetwork(trackers[1], exact)
    before: list[Hand] = []
    compared = 0
    with closing(VideoTask("hand", trackers[1], num_hands=2)) as task:
        for image in images:
            height, width = image.pixels.shape[:2]
            found = task.detect(image.pixels, image.media_ns)
            now = [
                Hand(
                    np.array([(p.x * width, p.y * height, p.z * width) for p in points], np.float32),
                    label[0].category_name == "Left",
                    label[0].score,
                )
                for points, label in zip(found.hand_landmarks, found.handedness, strict=True)
            ]
            for hand in before:
                mine = network.follow(image.pixels, hand, FOUND)
                assert mine is not None
                theirs = min(now, key=lambda one: float(np.abs(one.points - mine.points)[:, :2].mean()))
                difference = np.abs(theirs.points - mine.points)
                assert difference[:, :2].max() < apart[0]  # pixels, of a hand of 75
                assert difference[:, 2].max() < apart[1]
                assert (mine.left, mine.score) == (theirs.left, pytest.approx(theirs.score, abs=0.02))
                compared += 1
            before = now
    assert compared >= 12


def test_where_there_is_no_hand_none_is_followed(trackers: list[Path]) -> None:
    hand = Hand(np.array([(300 + 5 * at, 300 + 5 * (at % 4), 0) for at in range(21)], np.float32), True, 0.9)
    network = HandNetwork(trackers[1])
    assert network.follow(np.full((600, 600, 3), 90, np.uint8), hand, FOUND) is None
    nowhere = Hand(np.zeros((21, 3), np.float32), True, 0.9)
    assert network.follow(np.full((600, 600, 3), 90, np.uint8), nowhere, FOUND) is None


@pytest.mark.parametrize("turned", [0.0, 0.7, -2.5])
def test_the_crop_of_a_hand_turns_with_it(turned: float) -> None:
    """Fingers upwards: the wrist below, twice the extent of palm and knuckles, a little towards the fingers."""
    upright = np.zeros((21, 3), np.float32)
    upright[:, 0] = np.linspace(-20, 20, 21)
    upright[:, 1] = -40.0
    upright[0] = (0, 60, 0)
    turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    points = upright.copy()
    points[:, :2] = upright[:, :2] @ turn.T + (500, 400)
    points[[5, 9, 13], :2] = np.array([[-4, -40], [0, -40], [4, -40]]) @ turn.T + (500, 400)
    square = square_of(points)
    centre, side, angle = square.centre, square.side, square.angle
    assert np.angle(np.exp(1j * (angle - turned))) == pytest.approx(0.0, abs=1e-5)
    assert side == pytest.approx(200.0, rel=1e-4)
    framed = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
    x = (points[framed, :2] - (500, 400)) @ turn
    wanted = np.array([(x[:, 0].max() + x[:, 0].min()) / 2, 10.0 - 0.1 * 100.0])
    np.testing.assert_allclose((centre - (500, 400)) @ turn, wanted, atol=1e-3)


def test_a_pose_without_its_mask_has_the_same_points(trackers: list[Path]) -> None:
    lean = without_masks(trackers[0])
    assert lean != trackers[0]
    assert without_masks(trackers[0]) == lean  # made once
    found = []
    for model in (trackers[0], lean):
        with closing(VideoTask("pose", model)) as task:
            poses = [task.detect(image.pixels, image.media_ns).pose_landmarks[0] for image in read(SEATED)[:4]]
        found.append(np.array([[(p.x, p.y, p.z, p.visibility, p.presence) for p in pose] for pose in poses]))
    np.testing.assert_array_equal(*found)
