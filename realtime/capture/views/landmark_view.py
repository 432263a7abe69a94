"""The view of landmarks: where the person is, as numbers or as a drawing, and nothing of how the person looks."""

from __future__ import annotations

import msgspec
import numpy as np

from engines.landmarks.drawing import LandmarkDrawing
from engines.landmarks.face_drawing import draw_face
from engines.landmarks.landmark_file import Rounded, rounded_expression
from engines.landmarks.points import Landmarks
from engines.landmarks.steps import pack
from engines.landmarks.stick_figure import draw_stick_figure
from realtime.capture.order import ViewSpec
from realtime.capture.sources.base import Image
from realtime.capture.views.base import PREVIEW_SIDE, View
from realtime.capture.views.coverage import Coverage
from realtime.capture.views.faces import FaceReader
from realtime.capture.views.landmark_tracker import LandmarkTracker
from realtime.clock import NS_PER_S
from realtime.messages import MOST_PEOPLE, Float32Array, Framing, UInt8Array

FACELESS_NS = NS_PER_S


class LandmarkView(View):
    """Landmarks: the numbers themselves, drawings of body and face in a fixed style, or both."""

    def __init__(
        self, spec: ViewSpec, tracker: LandmarkTracker | None, reader: FaceReader | None = None, keep: bool = False
    ) -> None:
        """tracker: None where the source brings its own landmarks; reader: see `View`.

        keep: landmarks are recorded, and everything is made from them as the file holds them.
        """
        super().__init__(spec.size, reader=reader)
        self._keep = keep
        self._rounded: Rounded | None = None
        self._faceless_ns: int | None = None  # since when the tracker has found no face
        self._spec, self._tracker = spec, tracker
        self._landmarks: Landmarks | None = None  # of the picture at hand
        self._drawing = LandmarkDrawing(spec.size) if spec.size else None
        self._coverage = Coverage()

    def apply(self, image: Image) -> tuple[UInt8Array | None, Framing]:
        landmarks = image.landmarks
        if landmarks is None:
            if self._tracker is None:
                raise ValueError("expected landmarks with the picture, or a tracker to find them")
            landmarks = self._tracker.track(image.pixels, image.media_ns)
        if self._keep:
            self._rounded = Rounded.of(landmarks)
            landmarks = self._rounded.landmarks
        self._landmarks = landmarks
        framing = self._coverage.update(landmarks)
        if image.people is not None:
            framing = msgspec.structs.replace(framing, people=image.people, followed_ns=image.followed_ns)
        if self._tracker is not None and image.landmarks is None:
            people = min(self._tracker.people, MOST_PEOPLE)
            framing = msgspec.structs.replace(framing, people=people, followed_ns=self._tracker.followed_ns)
        return self._drawing.draw(landmarks) if self._drawing else None, framing

    @property
    def rounded(self) -> Rounded | None:
        return self._rounded

    def landmarks(self) -> Float32Array | None:
        seen = self._landmarks
        if not self._spec.coordinates or seen is None:
            return None
        return np.asarray(pack(seen.pose[None], seen.hands[None], seen.face[None])[0])

    def preview(self, body: UInt8Array | None) -> UInt8Array | None:
        if self._spec.coordinates and self._landmarks is not None:
            return draw_stick_figure(self._landmarks, PREVIEW_SIDE)
        return super().preview(body)

    def face(self, image: Image) -> UInt8Array | None:  # noqa: ARG002 - the landmarks are of this picture
        landmarks = self._landmarks
        if not self._spec.face_size or landmarks is None or not np.isfinite(landmarks.face).all():
            return None
        return draw_face(landmarks.face, self._spec.face_size)

    def expression(self, image: Image) -> Float32Array | None:
        """See `View.expression`. Where the tracker has no face for `FACELESS_NS`, it is looked for without it."""
        numbers = image.expression if image.landmarks is not None else self._read_face(image)
        return rounded_expression(numbers) if self._keep and numbers is not None else numbers

    def _read_face(self, image: Image) -> Float32Array | None:
        if self._reader is None or self._tracker is None or self._landmarks is None:
            return None
        if self._tracker.mesh is not None:
            self._faceless_ns = None
            return self._reader.read(image.pixels, image.media_ns, self._tracker.mesh)
        if self._faceless_ns is None:
            self._faceless_ns = image.media_ns
        if image.media_ns - self._faceless_ns < FACELESS_NS:
            return None
        person = self._tracker.person if self._landmarks.person else None
        return self._reader.find(image.pixels, image.media_ns, person)

    def close(self) -> None:
        super().close()
        if self._tracker is not None:
            self._tracker.close()
