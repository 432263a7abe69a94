"""Decoded frames into upright RGB, for files and network streams alike."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from realtime.capture.sources.base import UInt8Array

_MOST_ASPECT = Fraction(8)  # wide-screen formats stay below 3
Matrix = tuple[int, int, int, int]  # (a, b, c, d) of a display matrix: x' = a·x + c·y and y' = b·x + d·y


class ToRgb:
    """Turns frames into uint8 (H, W, 3) RGB of square pixels, bit-identical to `ffmpeg -pix_fmt rgb24` where they are.

    Colour matrix and range are the frame's own. One reformatter is kept: making one per frame costs as much as
    using it.
    """

    def __init__(self, aspect: Fraction = Fraction(1)) -> None:
        """aspect: a stored pixel's width by its height (`pixel_aspect`)."""
        self._aspect = aspect
        self._reformatter = VideoReformatter()
        self._matrices: dict[int, Matrix | None] = {}  # by rotation in degrees

    def __call__(self, frame: av.VideoFrame) -> UInt8Array:
        """Convert, then turn upright by the frame's display matrix."""
        width, height = square(frame.width, frame.height, self._aspect)
        rgb = self._reformatter.reformat(frame, width, height, "rgb24", threads=1)  # more cost more CPU than they save
        # Asking a frame for its side data ties it into a reference cycle, so that its megabytes stay until the garbage
        # collector comes round. Its rotation costs nothing, and a mirroring never changes without it.
        rotation = frame.rotation
        if rotation not in self._matrices:
            self._matrices[rotation] = display_matrix(frame)
        return upright(np.asarray(rgb.to_ndarray(), np.uint8), self._matrices[rotation])


def pixel_aspect(stream: VideoStream) -> Fraction:
    """A stored pixel's width by its height, before any rotation; 1 where that is not said, or cannot be."""
    aspect = stream.sample_aspect_ratio
    return aspect if aspect and 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT else Fraction(1)


def square(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size in square pixels of a picture of `aspect` pixels: what is too short is stretched, nothing is lost."""
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def display_matrix(frame: av.VideoFrame) -> Matrix | None:
    """The stored display matrix; None where there is none."""
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(side_data, Buffer):
        return None
    a, b, _, c, d = struct.unpack_from("=5i", side_data)
    return a, b, c, d


def upright(image: UInt8Array, matrix: Matrix | None) -> UInt8Array:
    """Apply a display matrix, rounded to quarter turns and mirrorings.

    Args:
        image: uint8 (H, W, 3).

    Returns:
        uint8 (H, W, 3) or (W, H, 3), contiguous.
    """
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        flip_x, flip_y = a < 0, d < 0
    else:
        image = image.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def may_be_still(container: InputContainer) -> bool:
    """Whether this is a picture's own format: a still picture, or several of them one behind the other (bare MJPEG)."""
    return container.format.name.endswith("_pipe")
