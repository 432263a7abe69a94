"""The face drawing: expression shows, pose of the head, size and place do not."""

from __future__ import annotations

import numpy as np
import pytest

from engines.landmarks.face_drawing import draw_face, frontal, mirror_face
from engines.landmarks.face_model import RESTING
from engines.landmarks.points import FACE_MESH_INDICES, FACE_POINTS
from simulation.action_units import UNITS, displacement
from simulation.geometry import rotation


def seen(
    face_cm: np.ndarray,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    scale: float = 7.0,
    place: tuple[float, float] = (300.0, 200.0),
) -> np.ndarray:
    """Landmarks of a face in centimetres, as an orthographic camera would see it turned."""
    turned = face_cm @ rotation(*(np.array([angle]) for angle in (yaw, pitch, roll)))[0].T
    pixels = turned * np.array([scale, -scale, -scale]) + np.array([*place, 0.0])
    return pixels.astype(np.float32)


def expressing(*units: int) -> np.ndarray:
    strength = np.zeros((1, 2, len(UNITS)))
    strength[:, :, [UNITS.index(unit) for unit in units]] = 1.0
    return RESTING + displacement(strength)[0]


@pytest.mark.parametrize(
    "pose", [{}, {"yaw": 0.6}, {"pitch": -0.4}, {"roll": 0.5, "yaw": -0.3}, {"scale": 2.0}, {"place": (-50.0, 900.0)}]
)
def test_a_turned_face_is_turned_to_the_front(pose: dict) -> None:
    smiling = expressing(12)
    np.testing.assert_allclose(frontal(seen(smiling, **pose)), smiling, atol=2e-3)
    difference = np.abs(draw_face(seen(smiling, **pose), 64).astype(int) - draw_face(seen(smiling), 64))
    assert difference.mean() < 0.5


@pytest.mark.parametrize("units", [(1,), (2,), (4,), (5,), (6,), (12,), (15,), (20,), (23,), (26,)])
def test_every_action_unit_shows(units: tuple[int, ...]) -> None:
    difference = np.abs(draw_face(seen(expressing(*units)), 64).astype(int) - draw_face(seen(RESTING), 64))
    assert difference.mean() > 0.5


def test_left_is_red_right_is_blue_and_the_mirror_knows() -> None:
    strength = np.zeros((1, 2, len(UNITS)))
    strength[0, 0, UNITS.index(2)] = 1.0  # the left brow goes up
    left = draw_face(seen(RESTING + displacement(strength)[0]), 64).astype(int)
    rest = draw_face(seen(RESTING), 64).astype(int)
    changed = np.abs(left - rest).sum(axis=(0, 1))
    assert changed[0] > 0
    assert changed[2] == 0
    columns = np.abs(left - rest)[..., 0].sum(axis=0)
    assert columns[:32].sum() == 0, "the person's left is on the picture's right"
    right = draw_face(seen(RESTING + displacement(strength[:, ::-1])[0]), 64).astype(int)
    assert np.abs(mirror_face(left.astype(np.uint8)).astype(int) - right).mean() < 2.0


def test_no_face_is_black_and_other_shapes_are_refused() -> None:
    assert not draw_face(np.full((FACE_POINTS, 3), np.nan, np.float32), 48).any()
    face = seen(RESTING)
    face[FACE_MESH_INDICES.index(13)] = np.nan
    assert not draw_face(face, 48).any()
    with pytest.raises(ValueError, match="expected"):
        draw_face(face[:5], 48)
    with pytest.raises(ValueError, match="32 or more"):
        draw_face(face, 16)


def test_tracker_jitter_hardly_shows() -> None:
    rng = np.random.default_rng(1)
    rest = draw_face(seen(RESTING), 64).astype(int)
    shaken = [draw_face(seen(RESTING + rng.normal(0.0, 0.03, RESTING.shape)), 64).astype(int) for _ in range(10)]
    smile = np.abs(draw_face(seen(expressing(12)), 64).astype(int) - rest).mean()
    assert np.mean([np.abs(each - rest).mean() for each in shaken]) < 0.45 * smile
