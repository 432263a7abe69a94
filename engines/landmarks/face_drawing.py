"""The face drawing: what the face branch of a landmark model sees. Expression alone: no identity, no pose of the head.

The points are turned to the front and brought to one size by the similarity that fits the points which expression does
not move (Umeyama 1991) to a face at rest; that is also what keeps the drawing steady. Then two panels:

    ┌──────────────┐  brows and eyes
    ├──────────────┤
    │    mouth     │
    └──────────────┘

Colours as in the body's drawing: green everything; red the person's left, blue the right, both the middle. Eyes and
mouth are filled in red and blue as far as they are open. Every picture is drawn by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks.face_model import RESTING
from engines.landmarks.points import (
    FACE_MESH_INDICES,
    FACE_POINTS,
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    MOUTH,
    RIGHT_BROW,
    RIGHT_EYE,
    Float32Array,
)

UInt8Array = npt.NDArray[np.uint8]
Float64Array = npt.NDArray[np.float64]

# Corners of the eyes, nose, forehead and temples: the skull's, but for a few millimetres.
STILL = (
    362,
    263,
    133,
    33,
    168,
    6,
    4,
    1,
    10,
    338,
    297,
    332,
    284,
    251,
    389,
    356,
    454,
    109,
    67,
    103,
    54,
    21,
    162,
    127,
    234,
)
GRID = 64  # the constants below are in 64ths of the drawing's side
PER_CM = 4.9
PANELS = ((0, 32, 3.9), (32, 64, -5.4))  # first row, row behind the last, height of the face in its middle (cm)
FULL, OPEN = 255, 140
SHIFT = 4  # sub-pixel bits


def _at(indices: Sequence[int]) -> list[int]:
    return [FACE_MESH_INDICES.index(index) for index in indices]


_STILL = _at(STILL)
_GOAL = RESTING[_STILL] - RESTING[_STILL].mean(axis=0)  # (K, 3)
_GOAL_MIDDLE = RESTING[_STILL].mean(axis=0)
_BROWS, _EYES = (_at(LEFT_BROW), _at(RIGHT_BROW)), (_at(LEFT_EYE), _at(RIGHT_EYE))
_LIPS, _MOUTH = _at(LIPS), _at(MOUTH)


def frontal(face: Float32Array) -> Float64Array:
    """The face turned to the front: (FACE_POINTS, 3) of `Landmarks.face` → centimetres, axes of `face_model`.

    Identity of the skull goes with the similarity: faces large and small, near and far come out alike.
    """
    points = face.astype(np.float64) * np.array([1.0, -1.0, -1.0])  # y up, z forward
    still = points[_STILL]
    middle = still.mean(axis=0)
    still = still - middle
    left, scales, right = np.linalg.svd(_GOAL.T @ still)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * flip) @ right
    scale = float((scales * flip).sum() / max(float((still * still).sum()), 1e-9))
    return np.asarray(scale * (points - middle) @ rotation.T + _GOAL_MIDDLE)


def draw_face(face: Float32Array, size: int) -> UInt8Array:
    """The expression of one picture.

    Args:
        face: (FACE_POINTS, 3) as in `Landmarks.face`.
        size: side F of the drawing, 32 or more.

    Returns:
        uint8 (F, F, 3); black where no face was found (NaN).

    Raises:
        ValueError: another shape or size.
    """
    if face.shape != (FACE_POINTS, 3) or size < 32:
        raise ValueError(f"expected ({FACE_POINTS}, 3) and a size of 32 or more, got {face.shape} and {size}")
    if not np.isfinite(face).all():
        return np.zeros((size, size, 3), np.uint8)
    return draw_frontal(frontal(face), size)


def draw_frontal(points: Float64Array, size: int) -> UInt8Array:
    """`draw_face` of points that `frontal` has turned, (FACE_POINTS, 2 or more) in centimetres."""
    planes = np.zeros((3, size, size), np.uint8)
    grid = size / GRID
    for number, (top, bottom, middle) in enumerate(PANELS):
        rows = slice(round(top * grid), round(bottom * grid))
        x = points[:, 0] * PER_CM * grid + size / 2 - 0.5
        y = (middle - points[:, 1]) * PER_CM * grid + (rows.stop - rows.start) / 2 - 0.5
        pixels = np.rint(np.clip(np.stack((x, y), axis=1), -size, 2 * size) * (1 << SHIFT)).astype(np.int32)
        panel = [plane[rows] for plane in planes]
        if number == 0:
            _draw_eyes(panel, pixels)
        else:
            _draw_mouth(panel, pixels)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def mirror_face(drawings: UInt8Array) -> UInt8Array:
    """The mirrored person's drawings, up to the rounding of lines: uint8 (..., F, F, 3) → the same."""
    return np.ascontiguousarray(drawings[..., ::-1, ::-1])


def _draw_eyes(panel: list[UInt8Array], pixels: npt.NDArray[np.int32]) -> None:
    for side, plane in ((0, panel[0]), (1, panel[2])):
        eye, brow = pixels[_EYES[side]], pixels[_BROWS[side]]
        cv2.fillPoly(plane, [eye], OPEN, cv2.LINE_AA, SHIFT)
        for each in (plane, panel[1]):
            cv2.polylines(each, [eye], True, FULL, 1, cv2.LINE_AA, SHIFT)
            cv2.polylines(each, [brow], False, FULL, 1, cv2.LINE_AA, SHIFT)


def _draw_mouth(panel: list[UInt8Array], pixels: npt.NDArray[np.int32]) -> None:
    lips, mouth = pixels[_LIPS], pixels[_MOUTH]
    for plane in (panel[0], panel[2]):
        cv2.fillPoly(plane, [mouth], OPEN, cv2.LINE_AA, SHIFT)
        cv2.polylines(plane, [mouth], True, FULL, 1, cv2.LINE_AA, SHIFT)
    cv2.polylines(panel[1], [lips], True, FULL, 1, cv2.LINE_AA, SHIFT)
