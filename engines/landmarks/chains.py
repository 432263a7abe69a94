"""Which landmarks are joined by lines in the drawing, and which leave trails."""

from __future__ import annotations

import numpy as np

from engines.landmarks.points import (
    FACE_OVAL,
    FACE_POINTS,
    HAND_POINTS,
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    MOUTH,
    NOSE,
    POSE_POINTS,
    RIGHT_BROW,
    RIGHT_EYE,
)

Chain = tuple[int, ...]

# All points in one array: pose, left hand, right hand, face, then the middle of the shoulders.
HANDS_AT = (POSE_POINTS, POSE_POINTS + HAND_POINTS)
FACE_AT = POSE_POINTS + 2 * HAND_POINTS
NECK = FACE_AT + FACE_POINTS

TRAILED = ((11, 13, 15, 25, 29, 31), (12, 14, 16, 26, 30, 32))  # left, right: shoulder, arm, knee, heel, toes
NOSE_POINT = 0
TIPS = (4, 8, 12, 16, 20)
FOLLOWED_POINTS = (*TRAILED[0], *TRAILED[1], NOSE_POINT, 7, 8)  # whose mean places are drawn: the last are the ears
FOLLOWED_SIDES = (*[0] * len(TRAILED[0]), *[1] * len(TRAILED[1]), 2, 0, 1)  # left, right, both
FOLLOWED_HEAD = len(FOLLOWED_POINTS) - 3  # where the head's begin
LIMBS = (  # left, right: upper arm, forearm, thigh, shin, foot
    ((11, 13), (13, 15), (23, 25), (25, 27), (27, 29, 31, 27)),
    ((12, 14), (14, 16), (24, 26), (26, 28), (28, 30, 32, 28)),
)
ARM_CHAINS = 2  # of the limbs, how many are arms
SIDES = ((11, 23), (12, 24))  # the torso's
GIRDLES = ((11, 12), (23, 24))  # shoulders, hips
HEAD_CHAINS = ((7, 2, 0), (8, 5, 0))  # ear, eye, nose
POSE_MOUTH = (10, 9)
POSE_FINGERS = (((15, 19), (15, 17), (15, 21)), ((16, 20), (16, 18), (16, 22)))  # where no hand was tracked
FINGERS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (5, 9, 10, 11, 12), (9, 13, 14, 15, 16), (13, 17, 18, 19, 20), (0, 17))


def _runs(*lengths: int) -> list[Chain]:
    starts = np.cumsum((FACE_AT, *lengths)).tolist()
    return [tuple(range(start, start + length)) for start, length in zip(starts, lengths, strict=False)]


_OVAL, _LBROW, _RBROW, _LEYE, _REYE, _NOSE, _LIPS, _ = _runs(
    *(len(part) for part in (FACE_OVAL, LEFT_BROW, RIGHT_BROW, LEFT_EYE, RIGHT_EYE, NOSE, LIPS, MOUTH))
)
OVAL = (*_OVAL[::3], _OVAL[0])  # every third point is round enough
FEATURES: tuple[Chain, ...] = (
    _LBROW,
    _RBROW,
    (*_LEYE, _LEYE[0]),
    (*_REYE, _REYE[0]),
    _NOSE[:4],
    (_NOSE[5], _NOSE[3], _NOSE[4]),
    (*_LIPS, _LIPS[0]),
)
