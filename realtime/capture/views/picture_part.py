"""A part of a picture, and where it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks.points import Float32Array
from realtime.capture.views.people import Square

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Part:
    """Pixels, and where they were."""

    pixels: UInt8Array
    left: float
    top: float
    width: float  # in pixels of the source
    height: float

    def points(self, found: Any) -> Float32Array:
        """(N, 3) in pixels of the source, from normalised landmarks of the crop."""
        points = np.array([(p.x, p.y, p.z) for p in found], np.float32)
        scale = np.array([self.width, self.height, self.width], np.float32)
        return points * scale + np.array([self.left, self.top, 0.0], np.float32)


def cut(pixels: UInt8Array, square: Square | None, side: int) -> Part:
    """The square of a picture, or the whole; no larger than `side` pixels, black where it leaves the picture."""
    height, width = pixels.shape[:2]
    left, top, length = square.corner if square else (0, 0, max(height, width))
    x0, x1, y0, y1 = max(0, left), min(width, left + length), max(0, top), min(height, top + length)
    inside = pixels[y0:y1, x0:x1]
    if (x1 - x0, y1 - y0) != (length, length):
        inside = np.asarray(
            cv2.copyMakeBorder(inside, y0 - top, top + length - y1, x0 - left, left + length - x1, cv2.BORDER_CONSTANT),
            np.uint8,
        )
    if length > side:
        inside = np.asarray(cv2.resize(inside, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    return Part(inside, left, top, length, length)
