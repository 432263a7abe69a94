"""What an engine may see of a picture: the whole, its centre, or the person."""

from __future__ import annotations

import abc

import cv2
import numpy as np
import numpy.typing as npt

from engines.preprocess import center_crop, center_seen, letterbox, short_side_for
from realtime.config import ViewSettings
from realtime.messages import Framing
from realtime.sources.base import Image

UInt8Array = npt.NDArray[np.uint8]

PREVIEW_SIDE = 72  # pixels


class View(abc.ABC):
    """Turns a picture into the square body crop and says how it was cut."""

    def __init__(self, size: int) -> None:
        self.size = size

    @abc.abstractmethod
    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        """The crop, uint8 (S, S, 3) RGB, and its framing."""

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


def make_view(settings: ViewSettings, size: int) -> View:
    """The view that `settings.crop` names, giving (size, size, 3).

    Raises:
        BadInput: the person crop's model file cannot be had.
    """
    if settings.crop == "center":
        return CenterView(size)
    if settings.crop == "full":
        return FullView(size)
    raise NotImplementedError("person")


def preview(body: UInt8Array, side: int = PREVIEW_SIDE) -> UInt8Array:
    """The crop again, small enough for a terminal: uint8 (h, w, 3), sides up to `side` pixels."""
    height, width = body.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return body
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(body, size, interpolation=cv2.INTER_AREA), np.uint8)
