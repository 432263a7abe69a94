"""Heads without a face: small changes of shape are held, large ones and those of the whole head are not."""

from __future__ import annotations

import numpy as np
import pytest

from engines.landmarks.steady_head import PLAY, SteadyHead

WIDTH = 200.0  # pixels between the shoulders
NOSE = 0
HOLDS = PLAY * WIDTH


def poses(nose: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(T, 33, 4) of a still person whose nose (T,) and head (T,) are so many pixels lower."""
    pose = np.zeros((len(nose), 33, 4), np.float32)
    pose[:, :11, 1] = 100.0 + head[:, None]
    pose[:, :11, 0] = np.linspace(300.0, 340.0, 11)
    pose[:, NOSE, 1] += nose
    pose[:, 11] = (420.0, 250.0, 0.0, 1.0)
    pose[:, 12] = (420.0 - WIDTH, 250.0, 0.0, 1.0)
    return pose


def steadied(given: np.ndarray, face_found: bool = False) -> np.ndarray:
    steady = SteadyHead()
    return np.stack([steady.step(pose, face_found) for pose in given])


def nose_of(pose: np.ndarray) -> np.ndarray:
    """(T,) pixels of the nose below the ears."""
    return pose[:, NOSE, 1] - pose[:, 7:9, 1].mean(axis=1)


WAVE = np.sin(np.arange(90) * 0.7)
STILL = np.zeros(90)


def test_what_is_less_than_the_play_moves_nothing() -> None:
    given = poses(0.9 * HOLDS * WAVE, STILL)
    assert np.ptp(nose_of(steadied(given))) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("size", [3.0, 10.0])
def test_what_moves_further_is_at_most_the_play_behind(size: float) -> None:
    given = poses(size * HOLDS * WAVE, STILL)
    steady = steadied(given)
    assert np.abs(steady[:, NOSE, 1] - given[:, NOSE, 1]).max() == pytest.approx(HOLDS, rel=0.05)
    from_middle = size * 10.0 / 11.0  # the nose is one of the eleven points of the head's middle
    assert np.ptp(nose_of(steady)) > 1.9 * (from_middle - 1.0) * HOLDS


def test_a_head_that_moves_as_a_whole_is_not_held() -> None:
    given = poses(STILL, 5.0 * HOLDS * WAVE)
    np.testing.assert_allclose(steadied(given), given, atol=1e-3)


def test_only_heights_of_the_head_change() -> None:
    given = poses(10.0 * HOLDS * WAVE, STILL)
    steady = steadied(given)
    np.testing.assert_array_equal(steady[:, 11:], given[:, 11:])
    np.testing.assert_array_equal(steady[..., [0, 2, 3]], given[..., [0, 2, 3]])


def test_where_the_face_is_found_nothing_changes_and_a_face_that_comes_back_ends_the_holding() -> None:
    given = poses(10.0 * HOLDS * WAVE, STILL)
    np.testing.assert_array_equal(steadied(given, face_found=True), given)
    steady = SteadyHead()
    for pose in given[:20]:
        steady.step(pose, face_found=False)
    np.testing.assert_array_equal(steady.step(given[20], face_found=True), given[20])
    np.testing.assert_allclose(steady.step(given[20], face_found=False), given[20], atol=1e-3)
