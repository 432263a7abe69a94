"""A face that can blink, raise its brows, speak and smile.

The resting positions are those of MediaPipe's canonical face model (face_geometry, Apache-2.0): centimetres, x to the
person's left, y up, z forward, the origin between the ears.
"""

from __future__ import annotations

import numpy as np

from engines.landmarks import FACE_MESH_INDICES, FACE_POINTS
from simulation.geometry import Array

_MIDDLE = {
    10: (0.0, 8.262, 4.482), 152: (0.0, -9.403, 4.264), 168: (0.0, 3.271, 5.236), 6: (0.0, 2.473, 5.789),
    4: (0.0, -0.463, 7.587), 1: (0.0, -1.127, 7.476), 0: (0.0, -3.406, 5.980), 17: (0.0, -5.365, 5.535),
    13: (0.0, -3.994, 5.219), 14: (0.0, -4.542, 5.405),
}  # fmt: skip
# (left point, right point): position of the left one
_PAIRS = {
    (338, 109): (1.891, 8.236, 4.275), (297, 67): (3.524, 8.006, 3.729), (332, 103): (5.133, 7.486, 2.660),
    (284, 54): (6.279, 6.615, 1.426), (251, 21): (7.088, 5.435, 0.100), (389, 162): (7.556, 4.107, -0.992),
    (356, 127): (7.743, 2.365, -2.005), (454, 234): (7.664, 0.673, -2.436), (323, 93): (7.542, -1.049, -2.431),
    (361, 132): (7.271, -2.891, -2.252), (288, 58): (6.720, -4.789, -1.745), (397, 172): (5.941, -6.224, -0.631),
    (365, 136): (5.085, -7.179, 0.715), (379, 150): (4.069, -7.993, 1.925), (378, 149): (3.211, -8.533, 2.802),
    (400, 176): (2.309, -8.974, 3.609), (377, 148): (1.293, -9.296, 4.094),
    (336, 107): (1.396, 5.012, 5.316), (296, 66): (2.760, 5.101, 5.016), (334, 105): (3.987, 5.109, 4.466),
    (293, 63): (4.986, 4.802, 3.752), (300, 70): (5.721, 4.255, 2.831),
    (362, 133): (1.856, 2.585, 3.758), (385, 158): (2.724, 2.962, 3.872), (387, 160): (3.670, 2.928, 3.724),
    (263, 33): (4.446, 2.664, 3.173), (373, 144): (3.670, 2.360, 3.635), (380, 153): (2.724, 2.316, 3.777),
    (327, 98): (1.406, -1.714, 5.241), (291, 61): (2.456, -4.343, 4.284), (270, 40): (1.915, -3.803, 5.029),
    (267, 37): (0.711, -3.329, 5.877), (321, 91): (1.839, -4.829, 4.824), (314, 84): (0.700, -5.292, 5.448),
    (308, 78): (2.153, -4.276, 4.038),
}  # fmt: skip


def _resting() -> Array:
    place = dict(_MIDDLE)
    for (left, right), (x, y, z) in _PAIRS.items():
        place[left], place[right] = (x, y, z), (-x, y, z)
    return np.array([place[index] for index in FACE_MESH_INDICES])


RESTING = _resting()  # (FACE_POINTS, 3) cm
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
    blink: Array, squint: Array, brow: Array, mouth_open: Array, smile: Array, pout: Array, width: float
) -> Array:
    """(T, FACE_POINTS, 3) metres in the head's axes. Each argument is (T,), 0 at rest and about 1 at full strength.

    blink: lids closed; squint: lids narrowed, brows lowered; brow: raised (negative: frown); pout: mouth narrowed.
    """
    count = len(blink)
    points = np.broadcast_to(RESTING, (count, FACE_POINTS, 3)).copy()
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
