"""The picture of landmarks that people look at."""

from __future__ import annotations

import numpy as np

from engines.landmarks.points import Landmarks
from engines.landmarks.stick_figure import LEFT, RIGHT, draw_stick_figure
from simulation.session import Settings, simulate


def test_nobody_is_black_and_the_picture_keeps_its_shape() -> None:
    picture = draw_stick_figure(Landmarks.nobody(0, 480, 640), 72)
    assert picture.shape == (54, 72, 3)
    assert not picture.any()


def test_a_person_is_drawn_where_the_camera_sees_them() -> None:
    landmarks = simulate(3, 1.0, settings=Settings(noise=None, framing="whole body")).landmarks(10)
    picture = draw_stick_figure(landmarks, 300)
    scale = 300 / max(landmarks.height, landmarks.width)
    for side, colour in ((0, LEFT), (1, RIGHT)):
        middle = landmarks.pose[[11 + side, 13 + side], :2].mean(axis=0) * scale  # of the upper arm
        column, row = np.round(middle).astype(int)
        near = picture[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3)
        assert (near == colour).all(axis=1).any() or np.abs(near.astype(int) - colour).sum(axis=1).min() < 60
