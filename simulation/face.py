"""A face that can blink, raise its brows, speak and smile."""

from __future__ import annotations

import numpy as np

from engines.landmarks.face_model import RESTING
from engines.landmarks.points import FACE_MESH_INDICES, FACE_POINTS
from simulation.action_units import displacement
from simulation.geometry import Array

# The pose's own face points in the same axes: nose, inner, middle and outer eye, ear, mouth corner (left ones).
POSE_NOSE = np.array([0.0, -1.13, 7.48])
POSE_LEFT = np.array([(1.9, 2.6, 3.8), (3.15, 2.7, 3.9), (4.4, 2.65, 3.2), (6.9, 1.2, -2.2), (2.4, -4.3, 4.3)])


def _at(*indices: int) -> list[int]:
    return [FACE_MESH_INDICES.index(index) for index in indices]


_UPPER_LIDS, _LOWER_LIDS = _at(385, 387, 158, 160), _at(380, 373, 153, 144)
_BROWS = _at(336, 296, 334, 293, 300, 107, 66, 105, 63, 70)
_INNER_BROWS = _at(336, 296, 107, 66)
_LOWER_LIP, _UPPER_LIP = _at(321, 314, 17, 84, 91, 14), _at(40, 37, 0, 267, 270, 13)
_CHIN = _at(379, 378, 400, 377, 152, 148, 176, 149, 150)
_CORNERS = _at(291, 308, 61, 78)


def face_points(
    blink: Array,
    squint: Array,
    brow: Array,
    mouth_open: Array,
    smile: Array,
    pout: Array,
    width: float,
    expression: Array | None = None,
    shape: Array | None = None,
) -> Array:
    """(T, FACE_POINTS, 3) metres in the head's axes; a parameter for each way a face moves.

    Each argument is (T,), 0 at rest and about 1 at full strength.

    blink: lids closed; squint: lids narrowed, brows lowered; brow: raised (negative: frown); pout: mouth narrowed.
    expression, shape: see `Controls`.
    Many parameters: one a channel of the face.
    """
    count = len(blink)
    points = np.broadcast_to(RESTING, (count, FACE_POINTS, 3)).copy()
    if shape is not None:
        points += shape
    if expression is not None:
        points += displacement(expression)
    closed = np.clip(np.maximum(blink, 0.55 * squint), -0.4, 1.0)[:, None]
    gap = points[:, _UPPER_LIDS, 1] - points[:, _LOWER_LIDS, 1]
    points[:, _UPPER_LIDS, 1] -= 0.88 * closed * gap
    points[:, _LOWER_LIDS, 1] += 0.15 * np.clip(squint, 0, 1)[:, None] * gap
    lift = 0.75 * brow - 0.35 * squint
    points[:, _BROWS, 1] += lift[:, None]
    frown = np.clip(-brow, 0.0, 1.0)[:, None]
    points[:, _INNER_BROWS, 1] -= 0.3 * frown
    points[:, _INNER_BROWS, 0] -= 0.25 * frown * np.sign(RESTING[_INNER_BROWS, 0])
    jaw = np.clip(mouth_open, 0.0, 1.3)[:, None]
    points[:, _LOWER_LIP, 1] -= 1.5 * jaw
    points[:, _UPPER_LIP, 1] += 0.2 * jaw
    points[:, _CHIN, 1] -= 1.6 * jaw
    points[:, _CHIN, 2] -= 0.4 * jaw
    side = np.sign(RESTING[_CORNERS, 0])
    points[:, _CORNERS, 1] += (0.7 * smile)[:, None] - 0.5 * jaw
    points[:, _CORNERS, 0] += side * (0.75 * smile - 0.7 * pout)[:, None]
    points[:, _CORNERS, 2] -= 0.4 * smile[:, None]
    points[:, _LOWER_LIP + _UPPER_LIP, 0] *= (1.0 + 0.18 * smile - 0.25 * pout)[:, None]
    points[..., 0] *= width
    return np.asarray(points * 0.01)
