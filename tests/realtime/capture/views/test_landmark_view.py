"""The view of landmarks: numbers for models that take these, drawings for those that take pictures."""

from __future__ import annotations

import numpy as np

from engines.landmarks.drawing import LandmarkDrawing
from engines.landmarks.steps import CHANNELS, POINTS, VALID, pack
from engines.landmarks.stick_figure import draw_stick_figure
from realtime.capture.order import ViewSpec
from realtime.capture.sources.base import Image
from realtime.capture.views.base import PREVIEW_SIDE
from realtime.capture.views.landmark_view import LandmarkView
from simulation.session import simulate


def test_numbers_drawing_and_a_picture_for_people() -> None:
    landmarks = simulate(1, 1.0).landmarks(20)
    image = Image(np.zeros((8, 8, 3), np.uint8), 20, 0, landmarks.time_ns, landmarks)
    numbers = pack(landmarks.pose[None], landmarks.hands[None], landmarks.face[None])[0]

    both = LandmarkView(ViewSpec(112, coordinates=True, sees="landmarks"), None)
    body, framing = both.apply(image)
    assert body is not None
    assert np.array_equal(body, LandmarkDrawing(112).draw(landmarks))
    assert framing.person_found
    assert np.array_equal(both.landmarks(), numbers)
    assert np.array_equal(both.preview(body), draw_stick_figure(landmarks, PREVIEW_SIDE))

    alone = LandmarkView(ViewSpec(0, coordinates=True, sees="landmarks"), None)
    assert alone.apply(image)[0] is None
    found = alone.landmarks()
    assert found is not None
    assert (found.dtype, found.shape) == (np.float32, (POINTS, CHANNELS))
    assert np.array_equal(found[:33, VALID], np.isfinite(landmarks.pose[:, 0]))

    drawn = LandmarkView(ViewSpec(112, sees="landmarks"), None)
    body, _ = drawn.apply(image)
    assert drawn.landmarks() is None
    preview = drawn.preview(body)
    assert preview is not None
    assert preview.shape == (PREVIEW_SIDE, PREVIEW_SIDE, 3)
