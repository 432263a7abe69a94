"""Landmark sequences packed as int16: the format of the cache of simulated people and of recorded real ones.

A picture is 498 numbers: body 33 · (x, y, z, visibility), left and right hand 21 · (x, y, z) each, face 80 · (x, y, z)
in the order of `FACE_MESH_INDICES`; x and z as share of the picture's width, y of its height, each times `SCALE`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.landmarks.points import FACE_POINTS, HAND_POINTS, POSE_POINTS, Float32Array
from engines.landmarks.steps import CHANNELS, POINTS, VALID, VISIBILITY

Int16Array = npt.NDArray[np.int16]

SCALE = 8192
MISSING = -32768  # not found
_POSE_VALUES = 4 * POSE_POINTS
VALUES = _POSE_VALUES + 3 * (2 * HAND_POINTS + FACE_POINTS)


def encode(pose: Float32Array, hands: Float32Array, face: Float32Array, height: int, width: int) -> Int16Array:
    """Pictures' landmarks in pixels (T, ...), NaN where not found, as int16 (T, VALUES)."""
    count = len(pose)
    size = np.array([width, height, width], np.float32)
    parts = [pose / np.append(size, np.float32(1.0)), hands / size, face / size]
    values = np.concatenate([part.reshape(count, -1) for part in parts], axis=1) * SCALE
    found = ~np.isnan(values)
    limited = np.clip(np.round(np.where(found, values, 0.0)), 1 + MISSING, -1 - MISSING)
    return np.where(found, limited, MISSING).astype(np.int16)


def decode(frames: Int16Array, aspect: float) -> Float32Array:
    """Packed pictures (T, VALUES) as float32 (T, POINTS, CHANNELS), see `steps`; lengths in picture heights.

    Args:
        frames: int16.
        aspect: width / height of the picture.
    """
    count = len(frames)
    values = frames.astype(np.float32) / SCALE
    decoded = np.empty((count, POINTS, CHANNELS), np.float32)
    decoded[:, :POSE_POINTS, :4] = values[:, :_POSE_VALUES].reshape(count, POSE_POINTS, 4)
    decoded[:, POSE_POINTS:, :3] = values[:, _POSE_VALUES:].reshape(count, -1, 3)
    decoded[:, POSE_POINTS:, VISIBILITY] = 1.0
    found = np.empty((count, POINTS), np.bool_)
    found[:, :POSE_POINTS] = frames[:, :_POSE_VALUES:4] != MISSING
    found[:, POSE_POINTS:] = frames[:, _POSE_VALUES::3] != MISSING
    decoded[..., (0, 2)] *= np.float32(aspect)
    decoded[..., VALID] = 1.0
    decoded *= found[..., None]
    return decoded
