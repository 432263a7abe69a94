"""What every view has in common: it turns a picture into what an engine may see, and nothing else leaves it."""

from __future__ import annotations

import abc

import cv2
import numpy as np

from engines.landmarks.landmark_file import Rounded
from realtime.capture.sources.base import Image
from realtime.capture.views.faces import FaceReader, FaceView
from realtime.capture.views.people import Box
from realtime.messages import Float32Array, Framing, UInt8Array

PREVIEW_SIDE = 72  # pixels


def shrunk(image: UInt8Array, side: int = PREVIEW_SIDE) -> UInt8Array:
    """uint8 (h, w, 3) with sides up to `side` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


class View(abc.ABC):
    """Turns a picture into the square body crop, and the face where it is wanted, and says how it was cut."""

    def __init__(self, size: int, faces: FaceView | None = None, reader: FaceReader | None = None) -> None:
        """faces: what crops the face of a picture of pixels, reader: what reads its expression; None: not wanted."""
        self.size = size
        self._faces, self._reader = faces, reader

    @abc.abstractmethod
    def apply(self, image: Image) -> tuple[UInt8Array | None, Framing]:
        """The body image, uint8 (S, S, 3) RGB, where one is wanted, and its framing.

        The array is the caller's: the view leaves it alone.
        """

    def face(self, image: Image) -> UInt8Array | None:
        """The face of the picture that `apply` was just given, uint8 (F, F, 3); None: no fresh one, or not wanted."""
        return self._faces.apply(image.pixels, image.media_ns, self._person) if self._faces else None

    def expression(self, image: Image) -> Float32Array | None:
        """Expression numbers (NUMBERS,) of the picture that `apply` was just given; None: no face, or not wanted."""
        return self._reader.find(image.pixels, image.media_ns, self._person) if self._reader else None

    def landmarks(self) -> Float32Array | None:
        """The landmarks of the picture that `apply` was just given, (POINTS, CHANNELS), where these are wanted."""
        return None

    @property
    def rounded(self) -> Rounded | None:
        """The landmarks of that picture as a file keeps them, where they are to be kept."""
        return None

    def preview(self, body: UInt8Array | None) -> UInt8Array | None:
        """What a model sees of that picture, small enough for a terminal: uint8 (h, w, 3)."""
        return None if body is None else shrunk(body)

    @property
    def _person(self) -> Box | None:
        """Whose face it should be, where that is known."""
        return None

    def close(self) -> None:
        """Release what the view holds."""
        for each in (self._faces, self._reader):
            if each is not None:
                each.close()
