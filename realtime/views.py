"""What an engine may see of a picture: the whole, its centre, the person, or a drawing of the person's landmarks."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from engines.drawing import LandmarkDrawing
from engines.landmarks import Landmarks
from engines.preprocess import center_crop, center_seen, letterbox, short_side_for
from realtime.clock import NS_PER_S
from realtime.config import ViewSettings
from realtime.coverage import Coverage
from realtime.landmark_tracker import LandmarkTracker
from realtime.messages import Framing
from realtime.model_files import FACE, HAND, POSE, model_path
from realtime.people import Box, Follower, PersonFinder
from realtime.sources.base import Image

UInt8Array = npt.NDArray[np.uint8]
Sees = Literal["rgb", "landmarks"]  # as a model's card says

PREVIEW_SIDE = 72  # pixels
SEARCH_EVERY_NS = NS_PER_S // 4


class Finder(Protocol):
    """Finds people in pictures."""

    def find(self, pixels: UInt8Array, time_ns: int) -> list[Box]: ...

    def close(self) -> None: ...


class View(abc.ABC):
    """Turns a picture into the square body crop and says how it was cut."""

    def __init__(self, size: int) -> None:
        self.size = size

    @abc.abstractmethod
    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        """The crop, uint8 (S, S, 3) RGB, and its framing. The array is the caller's: the view leaves it alone."""

    def close(self) -> None:  # noqa: B027 - most views hold nothing
        """Release what the view holds."""


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

    def __init__(self, size: int, margin: float, finder: Finder) -> None:
        super().__init__(size)
        self._finder = finder
        self._follower = Follower(margin)
        self._next_search_ns: int | None = None
        self._found = False

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        height, width = image.pixels.shape[:2]
        if self._next_search_ns is None or image.media_ns >= self._next_search_ns:
            self._next_search_ns = image.media_ns + SEARCH_EVERY_NS
            people = self._finder.find(image.pixels, image.media_ns)
            self._found = self._follower.look(image.media_ns, people, (height, width))
        square = self._follower.at(image.media_ns)
        if square is None:
            framing = Framing(magnified=self.size / max(height, width), person_found=False)
            return letterbox(image.pixels, self.size), framing
        body, framing = square.cut(image.pixels, self.size)
        return body, dataclasses.replace(framing, person_found=self._found)

    def close(self) -> None:
        self._finder.close()


class Tracker(Protocol):
    """Finds the landmarks of one person in pictures."""

    def track(self, pixels: UInt8Array, time_ns: int) -> Landmarks: ...

    def close(self) -> None: ...


class LandmarkView(View):
    """The landmark drawing: posture and motion in a fixed style, and nothing of how the person looks."""

    def __init__(self, size: int, tracker: Tracker | None) -> None:
        """tracker: None where the source brings its own landmarks."""
        super().__init__(size)
        self._tracker = tracker
        self._drawing = LandmarkDrawing(size)
        self._coverage = Coverage()

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        landmarks = image.landmarks
        if landmarks is None:
            if self._tracker is None:
                raise ValueError("expected landmarks with the picture, or a tracker to find them")
            landmarks = self._tracker.track(image.pixels, image.media_ns)
        return self._drawing.draw(landmarks), self._coverage.look(landmarks)

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()


def prepare_view(settings: ViewSettings, say: Callable[[str], None] = lambda _: None, sees: Sees = "rgb") -> None:
    """Fetch what the view needs, before a process that must not block is started. Quick when nothing is missing.

    Args:
        say: told in one line what is being fetched.
        sees: what the model was made for, from its card.

    Raises:
        BadInput: a model file cannot be had.
    """
    if sees == "landmarks":
        for model in (POSE, HAND, FACE):
            model_path(model, say)
    elif settings.crop == "person":
        model_path(POSE, say)


def make_view(settings: ViewSettings, size: int, sees: Sees = "rgb", tracked: bool = False) -> View:
    """The view that the model was made for, giving (size, size, 3); `settings.crop` says which part of an RGB picture.

    tracked: the source brings its own landmarks.

    Raises:
        BadInput: a model file cannot be had.
    """
    if sees == "landmarks" and tracked:
        return LandmarkView(size, None)
    if sees == "landmarks":
        return LandmarkView(size, LandmarkTracker(model_path(POSE), model_path(HAND), model_path(FACE)))
    if settings.crop == "center":
        return CenterView(size)
    if settings.crop == "full":
        return FullView(size)
    return PersonView(size, settings.person_margin, PersonFinder(model_path(POSE)))


def preview(body: UInt8Array, side: int = PREVIEW_SIDE) -> UInt8Array:
    """The crop again, small enough for a terminal: uint8 (h, w, 3), sides up to `side` pixels."""
    height, width = body.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return body
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(body, size, interpolation=cv2.INTER_AREA), np.uint8)
