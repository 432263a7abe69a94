"""A hand's 21 joints from how far each finger is bent and how far they are spread."""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array, unit

SHAPE_SIZE = 6  # thumb, index, middle, ring, little finger (0 straight, 1 closed), spread (0 together, 1 wide)

# In hand lengths; columns: towards the thumb, towards the fingers, out of the palm.
_KNUCKLES = np.array([(0.135, 0.49, 0.0), (0.03, 0.51, 0.0), (-0.075, 0.48, 0.0), (-0.17, 0.43, 0.0)])
_PHALANGES = np.array([(0.22, 0.135, 0.105), (0.245, 0.155, 0.11), (0.225, 0.145, 0.11), (0.175, 0.105, 0.095)])
_FLEXION = np.array([1.45, 1.75, 1.05])  # rad at the knuckle, middle and end joint of a closed finger
_SPREAD = np.array([0.26, 0.04, -0.16, -0.36])  # rad towards the thumb of each spread finger
_THUMB_ROOT = np.array([0.12, 0.11, 0.03])
_THUMB_BONES = (0.215, 0.165, 0.135)

FLAT = np.array([0.15, 0.05, 0.05, 0.05, 0.08, 0.2])
RELAXED = np.array([0.3, 0.28, 0.33, 0.38, 0.42, 0.25])
LOOSE_FIST = np.array([0.6, 0.6, 0.65, 0.7, 0.7, 0.05])
FIST = np.array([0.95, 0.97, 1.0, 1.0, 1.0, 0.0])
POINTING = np.array([0.7, 0.08, 0.85, 0.9, 0.92, 0.1])
PINCH = np.array([0.45, 0.5, 0.55, 0.6, 0.65, 0.1])
SPREAD_OPEN = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
TWO_FINGERS = np.array([0.6, 0.15, 0.18, 0.8, 0.85, 0.1])


def hand_joints(shape: Array, length: float) -> Array:
    """(T, 21, 3) joints in the hand's own axes (towards the thumb, towards the fingers, out of the palm), metres.

    The wrist is the origin. shape: (T, SHAPE_SIZE).
    """
    count = len(shape)
    joints = np.zeros((count, 21, 3))
    curl = shape[:, 1:5]  # (T, 4)
    angle = (shape[:, 5:6] - 0.15) * _SPREAD * (1.0 - 0.8 * np.clip(curl, 0, 1))
    ahead = np.stack((np.sin(angle), np.cos(angle), np.zeros_like(angle)), axis=-1)  # (T, 4, 3)
    at = np.broadcast_to(_KNUCKLES, (count, 4, 3)).copy()
    at[:, :, 0] *= 1.0 + 0.12 * shape[:, 5:6]
    joints[:, 5:21:4] = at
    bend = np.zeros_like(curl)
    out = np.array([0.0, 0.0, 1.0])
    for bone in range(3):
        bend = bend + curl * _FLEXION[bone]
        at = at + _PHALANGES[:, bone, None] * (np.cos(bend)[..., None] * ahead + np.sin(bend)[..., None] * out)
        joints[:, 6 + bone : 21 : 4] = at
    _thumb(joints, shape)
    return np.asarray(joints * length)


def _thumb(joints: Array, shape: Array) -> None:
    fold, wide = shape[:, 0:1], shape[:, 5:6]
    root = np.array([0.62, 0.72, 0.15]) + wide * np.array([0.25, -0.12, 0.0]) + fold * np.array([-0.25, 0.0, 0.45])
    across = np.array([-0.85, 0.25, 0.35])
    at = np.broadcast_to(_THUMB_ROOT, (len(shape), 3))
    joints[:, 1] = at
    heading = unit(root)
    for bone, length in enumerate(_THUMB_BONES):
        heading = unit(heading + (0.25 + 0.55 * bone) * fold * across) if bone else heading
        at = at + length * heading
        joints[:, 2 + bone] = at


def hand_axes(fingers: Array, palm: Array, right: bool) -> Array:
    """(T, 3, 3) whose columns are the hand's axes in the world, for fingers pointing and palm facing these ways (T, 3).

    A left hand's axes are mirrored: the thumb is on the other side.
    """
    ahead = unit(fingers)
    out = unit(palm - np.sum(palm * ahead, axis=-1, keepdims=True) * ahead)
    thumb = np.cross(ahead, out)
    return np.stack((thumb if right else -thumb, ahead, out), axis=-1)
