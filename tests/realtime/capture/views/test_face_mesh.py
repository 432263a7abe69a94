"""A face is followed as MediaPipe follows it, and looked for now and then where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.sources import Image
from realtime.capture.views.face_mesh import FaceMeshTracker
from realtime.capture.views.people import Square
from realtime.capture.views.picture_part import cut
from tests.realtime.conftest import read

pytestmark = pytest.mark.slow

UPPER_BODY, MASKED = "upper_body_asl_book.mkv", "seated_B2_shaking_head.mp4"
FRAME_NS = 33_333_333


@pytest.fixture
def tracker(trackers: list[Path]) -> Iterator[FaceMeshTracker]:
    with closing(FaceMeshTracker(trackers[2])) as made:
        yield made


def whole(image: Image) -> Square:
    height, width = image.pixels.shape[:2]
    return Square(width / 2, height / 2, float(max(height, width)))


def test_the_mesh_is_that_of_mediapipe(trackers: list[Path], tracker: FaceMeshTracker) -> None:
    """Filter included, within two hundredths of a pixel of a face of 56."""
    apart = []
    with closing(VideoTask("face", trackers[2], num_faces=1)) as task:
        for image in read(UPPER_BODY)[:30]:
            crop = cut(image.pixels, whole(image), 4000)
            theirs = crop.points(task.detect(crop.pixels, image.media_ns).face_landmarks[0])
            mine = tracker.track(image.pixels, whole(image), image.media_ns)
            assert mine is not None
            assert mine.shape == theirs.shape == (478, 3)
            apart.append(np.abs(mine - theirs).mean())
    assert max(apart[1:]) < 0.1
    assert np.mean(apart) < 0.03


def test_a_face_outside_the_head_is_no_longer_ours(tracker: FaceMeshTracker) -> None:
    first, second = read(UPPER_BODY)[:2]
    mesh = tracker.track(first.pixels, whole(first), first.media_ns)
    assert mesh is not None
    x, y = mesh[:, :2].mean(axis=0).tolist()
    assert tracker.track(second.pixels, Square(x - 150, y, 80.0), second.media_ns) is None


def test_a_masked_face_is_looked_for_now_and_then(tracker: FaceMeshTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in four pictures; one that was lost in every picture for a fifth of a second."""
    image, asked = read(MASKED)[0], []
    monkeypatch.setattr(tracker, "_search", lambda *arguments: asked.append(arguments[-1]))
    for index in range(31):
        tracker.track(image.pixels, whole(image), index * FRAME_NS)
    assert len(asked) == 8
    asked.clear()
    tracker._seen_ns = 31 * FRAME_NS
    for index in range(31, 47):
        tracker.track(image.pixels, whole(image), index * FRAME_NS)
    assert len(asked) == 7 + 2
