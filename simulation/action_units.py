"""Facial action units (Ekman and Friesen 1978, FACS) on the kept points of the face mesh, and those of five emotions.

Each unit moves points by so many centimetres at full strength. Sizes are those of strong, not of greatest, expressions.
"""

from __future__ import annotations

import numpy as np

from engines.landmarks.face_model import RESTING
from engines.landmarks.points import FACE_MESH_INDICES, FACE_POINTS
from engines.taxonomy import EMOTIONS
from simulation.geometry import Array

UNITS = (1, 2, 4, 5, 6, 7, 12, 15, 20, 23, 26)
# EMFACS (Friesen and Ekman 1983): what goes with each emotion.
EMFACS: dict[str, tuple[int, ...]] = {
    "joy": (6, 12),
    "sadness": (1, 4, 15),
    "surprise": (1, 2, 5, 26),
    "fear": (1, 2, 4, 5, 20, 26),
    "anger": (4, 5, 7, 23),
}

Move = tuple[float, float]  # outwards (away from the middle), up; cm
_UPPER_LIP, _LOWER_LIP = (40, 37, 0, 267, 270, 13), (321, 314, 17, 84, 91, 14)
_CHIN = (379, 378, 400, 377, 152, 148, 176, 149, 150)
# unit: for the person's left points (both, where a point is in the middle): how they move
_LEFT: dict[int, dict[int, Move]] = {
    1: {336: (-0.05, 0.75), 296: (-0.05, 0.6), 334: (0.0, 0.2)},  # inner brow raiser
    2: {296: (0.0, 0.15), 334: (0.0, 0.5), 293: (0.0, 0.7), 300: (0.05, 0.55)},  # outer brow raiser
    4: {336: (-0.3, -0.5), 296: (-0.25, -0.45), 334: (-0.1, -0.35), 293: (0.0, -0.2)},  # brow lowerer
    5: {385: (0.0, 0.22), 387: (0.0, 0.22)},  # upper lid raiser
    6: {380: (0.0, 0.16), 373: (0.0, 0.2), 385: (0.0, -0.05), 387: (0.0, -0.08), 300: (0.0, -0.15)},  # cheek raiser
    7: {380: (0.0, 0.13), 373: (0.0, 0.13), 385: (0.0, -0.1), 387: (0.0, -0.1)},  # lid tightener
    12: {291: (0.75, 0.7), 308: (0.7, 0.6), 270: (0.3, 0.2), 267: (0.1, 0.05), 321: (0.4, 0.35), 314: (0.15, 0.05)},
    15: {291: (0.0, -0.6), 308: (-0.05, -0.5), 321: (0.05, -0.3), 270: (0.0, -0.15)},  # lip corner depressor
    20: {291: (0.75, -0.2), 308: (0.7, -0.15), 270: (0.35, 0.05), 321: (0.4, 0.0)},  # lip stretcher
    23: {
        291: (-0.35, 0.0),
        308: (-0.3, 0.0),
        270: (-0.1, -0.28),
        267: (0.0, -0.3),
        0: (0.0, -0.28),
        321: (-0.15, 0.2),
        314: (0.0, 0.3),
        17: (0.0, 0.3),
    },  # lip tightener
    26: {
        **dict.fromkeys(_LOWER_LIP, (0.0, -1.1)),
        **dict.fromkeys(_CHIN, (0.0, -1.2)),
        291: (-0.15, -0.4),
        308: (-0.1, -0.4),
    },  # jaw drop
}


def _moves() -> Array:
    """(2, U, FACE_POINTS, 3) cm: what the left and the right half of each unit do at full strength."""
    moves = np.zeros((2, len(UNITS), FACE_POINTS, 3))
    mirrored = {index: _mirrored(index) for index in FACE_MESH_INDICES}
    for column, unit in enumerate(UNITS):
        for index, (outwards, up) in _LEFT[unit].items():
            pairs = {index, mirrored[index]}
            for point in pairs:
                at = FACE_MESH_INDICES.index(point)
                x = RESTING[at, 0]
                sides, share = ((0, 1), 0.5) if x == 0.0 else ((0,), 1.0) if x > 0 else ((1,), 1.0)
                for side in sides:
                    moves[side, column, at, :2] = share * np.sign(x) * outwards, share * up
    return moves


def _mirrored(index: int) -> int:
    """The point on the other half of the face."""
    place = RESTING[FACE_MESH_INDICES.index(index)] * np.array([-1.0, 1.0, 1.0])
    return FACE_MESH_INDICES[int(np.argmin(np.abs(RESTING - place).sum(axis=1)))]


MOVES = _moves()
PROTOTYPES = np.array([[unit in EMFACS[emotion] for unit in UNITS] for emotion in EMOTIONS])  # (5, U)


def displacement(strength: Array) -> Array:
    """(T, FACE_POINTS, 3) cm that points move for (T, 2, U) strengths of the left and right halves, 0..1 each."""
    count = len(strength)
    return np.asarray((strength.reshape(count, -1) @ MOVES.reshape(2 * len(UNITS), -1)).reshape(count, FACE_POINTS, 3))


# How faces at rest differ, as standard deviations: brows high, brows slanted, eyes open, mouth wide, lips full, corners
# up, and the whole mouth up or down. cm. Nose and upper lip together, above the mouth, vary by 3 mm within a sex and
# differ by 5 between the sexes (doi 10.1186/s40902-019-0191-7, Table 9).
_SHAPES: tuple[tuple[tuple[int, ...], float, str], ...] = (
    ((336, 296, 334, 293, 300), 0.3, "up"),
    ((336, 296), 0.14, "up"),
    ((293, 300), 0.14, "up"),
    ((385, 387), 0.08, "up"),
    ((291, 308, 270, 321), 0.2, "out"),
    ((17, 314, 321), -0.13, "up"),
    ((0, 267, 270), 0.1, "up"),
    ((291, 308), 0.12, "up"),
    ((*_UPPER_LIP, *_LOWER_LIP, 291, 308), 0.4, "up"),
)


def draw_shape(rng: np.random.Generator) -> Array:
    """(FACE_POINTS, 3) cm by which this person's face at rest differs from the canonical one."""
    shape = np.zeros((FACE_POINTS, 3))
    for points, size, way in _SHAPES:
        amount = size * float(np.clip(rng.normal(), -2.2, 2.2))
        uneven = 1.0 + 0.15 * rng.normal(size=2)
        for index in {point for each in points for point in (each, _mirrored(each))}:
            at = FACE_MESH_INDICES.index(index)
            x = RESTING[at, 0]
            share = float(uneven.mean() if x == 0.0 else uneven[0 if x > 0 else 1])
            shape[at, 1 if way == "up" else 0] += amount * share * (1.0 if way == "up" else np.sign(x))
    return shape + rng.normal(0.0, 0.03, (FACE_POINTS, 3))
