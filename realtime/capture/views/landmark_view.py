"""The view of landmarks: a drawing of the person's posture, and nothing of how the person looks."""

from __future__ import annotations

import msgspec
import numpy as np

from engines.landmarks.drawing import LandmarkDrawing
from engines.landmarks.face_drawing import draw_face
from engines.landmarks.points import Landmarks
from realtime.capture.sources.base import Image
from realtime.capture.views.base import UInt8Array, View
from realtime.capture.views.coverage import Coverage
from realtime.capture.views.landmark_tracker import LandmarkTracker
from realtime.messages import MOST_PEOPLE, Framing


class LandmarkView(View):
    """The landmark drawing: posture and motion in a fixed style, and nothing of how the person looks."""

    def __init__(self, size: int, tracker: LandmarkTracker | None, face_size: int = 0) -> None:
        """tracker: None where the source brings its own landmarks. face_size: of the face's drawing; 0: none."""
        super().__init__(size)
        self._face_size = face_size
        self._landmarks: Landmarks | None = None  # of the picture at hand
        self._tracker = tracker
        self._drawing = LandmarkDrawing(size)
        self._coverage = Coverage()

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        landmarks = image.landmarks
        if landmarks is None:
            if self._tracker is None:
                raise ValueError("expected landmarks with the picture, or a tracker to find them")
            landmarks = self._tracker.track(image.pixels, image.media_ns)
        self._landmarks = landmarks
        framing = self._coverage.update(landmarks)
        if self._tracker is not None and image.landmarks is None:
            people = min(self._tracker.people, MOST_PEOPLE)
            framing = msgspec.structs.replace(framing, people=people, followed_ns=self._tracker.followed_ns)
        return self._drawing.draw(landmarks), framing

    def face(self, image: Image) -> UInt8Array | None:  # noqa: ARG002 - the landmarks are of this picture
        landmarks = self._landmarks
        if not self._face_size or landmarks is None or not np.isfinite(landmarks.face).all():
            return None
        return draw_face(landmarks.face, self._face_size)

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()
