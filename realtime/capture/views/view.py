"""What an engine may see of a picture: the whole, its centre, the person, or a drawing of the person's landmarks."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks.drawing import LandmarkDrawing
from engines.landmarks.face_drawing import draw_face
from engines.landmarks.points import Landmarks
from engines.preprocess import center_crop, center_seen, letterbox, short_side_for
from realtime.capture.mediapipe.model_files import FACE, HAND, POSE, model_path, whole_model
from realtime.capture.sources.base import Image
from realtime.capture.views.coverage import Coverage
from realtime.capture.views.faces import FaceFinder, FaceView
from realtime.capture.views.landmark_tracker import LandmarkTracker
from realtime.capture.views.people import Box, Follower, PersonFinder
from realtime.clock import NS_PER_S
from realtime.config import ViewSettings
from realtime.messages import MOST_PEOPLE, Framing

UInt8Array = npt.NDArray[np.uint8]
Sees = Literal["rgb", "landmarks"]  # as a model's card says

PREVIEW_SIDE = 72  # pixels
SEARCH_EVERY_NS = NS_PER_S // 4


class Finder(Protocol):
    """Finds people in pictures."""

    def find(self, pixels: UInt8Array, time_ns: int) -> list[Box]: ...

    def close(self) -> None: ...


class View(abc.ABC):
    """Turns a picture into the square body crop, and the face where it is wanted, and says how it was cut."""

    def __init__(self, size: int, faces: FaceView | None = None) -> None:
        """faces: what finds the face in a picture of pixels; None: it is not wanted."""
        self.size = size
        self._faces = faces

    @abc.abstractmethod
    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        """The crop, uint8 (S, S, 3) RGB, and its framing. The array is the caller's: the view leaves it alone."""

    def face(self, image: Image) -> UInt8Array | None:
        """The face of the picture that `apply` was just given, uint8 (F, F, 3); None: no fresh one, or not wanted."""
        return self._faces.apply(image.pixels, image.media_ns, self._person) if self._faces else None

    @property
    def _person(self) -> Box | None:
        """Whose face it should be, where that is known."""
        return None

    def close(self) -> None:
        """Release what the view holds."""
        if self._faces is not None:
            self._faces.close()


class CenterView(View):
    """The official crop: short side resized, centre kept."""

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        height, width = image.pixels.shape[:2]
        framing = Framing(
            seen=center_seen(height, width, self.size), magnified=short_side_for(self.size) / min(height, width)
        )
        return center_crop(image.pixels, self.size), framing


class FullView(View):
    """The whole picture, letterboxed."""

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        return letterbox(image.pixels, self.size), Framing(magnified=self.size / max(image.pixels.shape[:2]))


class PersonView(View):
    """A steady square around the seated person; the whole picture while there is nobody.

    The person is looked for a few times a second of media time, not in every picture: a search costs several times
    what everything else here does, and a seated person does not leave the margin between two searches. Media time,
    so that a recording gives the same crops on every machine.
    """

    def __init__(self, size: int, margin: float, finder: Finder, faces: FaceView | None = None) -> None:
        super().__init__(size, faces)
        self._finder = finder
        self._follower = Follower(margin)
        self._next_search_ns: int | None = None
        self._found, self._people = False, 0

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        height, width = image.pixels.shape[:2]
        if self._next_search_ns is None or image.media_ns >= self._next_search_ns:
            self._next_search_ns = image.media_ns + SEARCH_EVERY_NS
            people = self._finder.find(image.pixels, image.media_ns)
            self._people = min(len(people), MOST_PEOPLE)
            self._found = self._follower.look(image.media_ns, people, (height, width))
        square = self._follower.at(image.media_ns)
        if square is None:
            framing = Framing(magnified=self.size / max(height, width), person_found=False)
            return letterbox(image.pixels, self.size), framing
        body, framing = square.cut(image.pixels, self.size)
        followed_ns = self._follower.followed_ns(image.media_ns) if self._found else None
        framing = dataclasses.replace(framing, person_found=self._found, people=self._people, followed_ns=followed_ns)
        return body, framing

    @property
    def _person(self) -> Box | None:
        return self._follower.person

    def close(self) -> None:
        super().close()
        self._finder.close()


class Tracker(Protocol):
    """Finds the landmarks of one person in pictures.

    Attributes:
        people: in the last picture.
        followed_ns: how long the person of the last picture has been followed; None: nobody is found.
    """

    people: int
    followed_ns: int | None

    def track(self, pixels: UInt8Array, time_ns: int) -> Landmarks: ...

    def close(self) -> None: ...


class LandmarkView(View):
    """The landmark drawing: posture and motion in a fixed style, and nothing of how the person looks."""

    def __init__(self, size: int, tracker: Tracker | None, face_size: int = 0) -> None:
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
        framing = self._coverage.look(landmarks)
        if self._tracker is not None and image.landmarks is None:
            people = min(self._tracker.people, MOST_PEOPLE)
            framing = dataclasses.replace(framing, people=people, followed_ns=self._tracker.followed_ns)
        return self._drawing.draw(landmarks), framing

    def face(self, image: Image) -> UInt8Array | None:  # noqa: ARG002 - the landmarks are of this picture
        landmarks = self._landmarks
        if not self._face_size or landmarks is None or not np.isfinite(landmarks.face).all():
            return None
        return draw_face(landmarks.face, self._face_size)

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()


def prepare_view(
    settings: ViewSettings, say: Callable[[str], None] = lambda _: None, sees: Sees = "rgb", faces: bool = False
) -> None:
    """Fetch what the view needs, before a process that must not block is started. Quick when nothing is missing.

    Args:
        say: told in one line what is being fetched.
        sees: what the model was made for, from its card.
        faces: of pictures of pixels, the face is wanted, too.

    Raises:
        BadInput: a model file cannot be had.
    """
    wanted = [POSE, HAND, FACE] if sees == "landmarks" else [POSE] * (settings.crop == "person") + [FACE] * faces
    for model in wanted:
        model_path(model, say)


def make_view(
    settings: ViewSettings,
    size: int,
    sees: Sees = "rgb",
    tracked: bool = False,
    face_size: int = 0,
    face_margin: float = 0.3,
) -> View:
    """The view that the model was made for, giving (size, size, 3); `settings.crop` says which part of an RGB picture.

    tracked: the source brings its own landmarks.
    face_size: also gives faces, (face_size, face_size, 3), with `face_margin` around them where they are of pixels; 0:
        none are looked for.

    Raises:
        BadInput: a model file is missing or damaged; `prepare_view` fetches it.
    """
    if sees == "landmarks" and tracked:
        return LandmarkView(size, None, face_size)
    if sees == "landmarks":
        return LandmarkView(size, LandmarkTracker(*map(whole_model, (POSE, HAND, FACE))), face_size)
    faces = FaceView(face_size, face_margin, FaceFinder(whole_model(FACE))) if face_size else None
    if settings.crop == "center":
        return CenterView(size, faces)
    if settings.crop == "full":
        return FullView(size, faces)
    return PersonView(size, settings.person_margin, PersonFinder(whole_model(POSE)), faces)


def preview(body: UInt8Array, side: int = PREVIEW_SIDE) -> UInt8Array:
    """The crop again, small enough for a terminal: uint8 (h, w, 3), sides up to `side` pixels."""
    height, width = body.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return body
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(body, size, interpolation=cv2.INTER_AREA), np.uint8)
