"""Pixels on their way into a model: the one place that resizes and crops, for training, export checks and live views.

Scaling, colour order and normalisation are not here: they are inside the exported graph.
The official recipe: bilinear resize of uint8 to a short side of 256, then a centre crop of 224.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]

OFFICIAL_SIZE = 224
OFFICIAL_SHORT_SIDE = 256


def short_side_for(size: int) -> int:
    """Short side to resize to before a centre crop of `size`: 256 for 224, in proportion for other sizes."""
    return int(size * OFFICIAL_SHORT_SIDE / OFFICIAL_SIZE + 0.5)


def resized_shape(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) after the official resize: `int(side * scale + 0.5)`."""
    scale = short_side / min(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def center_crop(image: UInt8Array, size: int = OFFICIAL_SIZE) -> UInt8Array:
    """The official view: resize the short side, crop the centre.

    Args:
        image: uint8 (H, W, 3).
        size: side of the crop, pixels.

    Returns:
        uint8 (size, size, 3).
    """
    resized = resize_short_side(image, short_side_for(size))
    top, left = (resized.shape[0] - size) // 2, (resized.shape[1] - size) // 2
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def resize_short_side(image: UInt8Array, short_side: int) -> UInt8Array:
    """The official bilinear resize of uint8 (H, W, 3) to a short side, its aspect kept."""
    height, width = resized_shape(image.shape[0], image.shape[1], short_side)
    resized: UInt8Array = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return resized


def crop_resized(image: UInt8Array, top: int, left: int, height: int, width: int, size: int) -> UInt8Array:
    """A rectangle of an image, bilinearly resized to (size, size, 3): how training varies what a model sees."""
    crop = image[top : top + height, left : left + width]
    resized: UInt8Array = np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    return resized


def center_seen(height: int, width: int, size: int = OFFICIAL_SIZE) -> float:
    """Share of a picture's area that `center_crop` keeps, 0..1."""
    new_height, new_width = resized_shape(height, width, short_side_for(size))
    return size * size / (new_height * new_width)


def letterbox(image: UInt8Array, size: int = OFFICIAL_SIZE) -> UInt8Array:
    """The whole picture inside (size, size, 3), its aspect kept, black outside. Nothing is cut off.

    Shrinks by area averaging: the scale is often below 1/4, where bilinear sampling would alias.
    """
    height, width = image.shape[:2]
    scale = size / max(height, width)
    new_height, new_width = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((size, size, 3), np.uint8)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    canvas[top : top + new_height, left : left + new_width] = cv2.resize(
        image, (new_width, new_height), interpolation=method
    )
    return canvas


def clip_frame_indices(frame_count: int, length: int) -> npt.NDArray[np.int64]:
    """Test-time frames of a trimmed clip: `int(i·N/T + N/(2T))` for i = 0..T-1 (official sampling; shape (T,))."""
    if frame_count < 1 or length < 1:
        raise ValueError(f"expected at least one frame and a positive length, got {frame_count} and {length}")
    step = frame_count / length
    return np.array([int(i * step + step / 2) for i in range(length)], dtype=np.int64)
