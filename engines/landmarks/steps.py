"""Landmarks at a fixed rate: what a landmark network takes, from pictures at any rate.

A window is float32 (T, POINTS, CHANNELS), `STEP_S` between two steps, the newest last. Points: body, left hand, right
hand, face. Channels: x, y, z in any one unit of length (y down, z smaller is nearer), visibility, and whether the point
was found at all; all are 0 where it was not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.landmarks.points import FACE_POINTS, HAND_POINTS, POSE_POINTS, Float32Array

RATE_HZ = 16.0
STEP_S = 1.0 / RATE_HZ
POINTS = POSE_POINTS + 2 * HAND_POINTS + FACE_POINTS
CHANNELS = 5
VISIBILITY, VALID = 3, 4
HELD_S = 0.25  # a picture stands for this long where none follows; longer gaps are absence

Float64Array = npt.NDArray[np.float64]


def pack(pose: Float32Array, hands: Float32Array, face: Float32Array) -> Float32Array:
    """Pictures' landmarks as `engines.landmarks.points.Landmarks` has them, in one array.

    Args:
        pose: (T, 33, 4), hands: (T, 2, 21, 3), face: (T, FACE_POINTS, 3); NaN: not found.

    Returns:
        float32 (T, POINTS, CHANNELS).
    """
    count = len(pose)
    packed = np.zeros((count, POINTS, CHANNELS), np.float32)
    packed[:, :POSE_POINTS, :4] = pose
    packed[:, POSE_POINTS:-FACE_POINTS, :3] = hands.reshape(count, 2 * HAND_POINTS, 3)
    packed[:, -FACE_POINTS:, :3] = face
    packed[:, POSE_POINTS:, VISIBILITY] = 1.0
    packed[..., VALID] = 1.0
    packed[np.isnan(packed).any(axis=-1)] = 0.0
    return packed


def at_steps(times_s: Float64Array, frames: Float32Array, moments_s: Float64Array) -> Float32Array:
    """Landmarks at the wanted moments, linearly between the two pictures around each.

    A point that only one of the two shows is taken from that one where it is the nearer. Before the first picture, in
    gaps and after the last one there is nothing, but a picture stands for `HELD_S` where none follows in time.

    Args:
        times_s: (F,) ascending times of pictures.
        frames: (F, POINTS, CHANNELS) as from `pack`.
        moments_s: (T,) ascending.

    Returns:
        float32 (T, POINTS, CHANNELS).
    """
    before, after, share, there = neighbours(times_s, moments_s)
    return blend(frames[before], frames[after], share) * there[:, None, None]


def frames_shown(landmarks: Float32Array, length: int) -> npt.NDArray[np.uint8]:
    """(..., T, POINTS, CHANNELS) of T steps, `length` frames of as many steps each → (..., length) 1: shows a body."""
    shown = landmarks[..., :POSE_POINTS, VALID].any(axis=-1)  # (..., T)
    return np.asarray(shown.reshape(*shown.shape[:-1], length, -1).any(axis=-1), np.uint8)


def neighbours(
    times_s: Float64Array, moments_s: Float64Array
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float32Array, Float32Array]:
    """The pictures before and after each moment (T,), how near the latter is 0..1, and whether there is one at all."""
    after = np.searchsorted(times_s, moments_s + 1e-9, side="right")
    before = np.maximum(after - 1, 0)
    after = np.minimum(after, len(times_s) - 1)
    since, gap = moments_s - times_s[before], times_s[after] - times_s[before]
    bridged = (gap > 0.0) & (gap <= 2.0 * HELD_S)
    share = np.where(bridged, since / np.where(gap > 0.0, gap, 1.0), 0.0)
    there = (since > -1e-9) & (bridged | (since <= HELD_S))
    return before, np.where(bridged, after, before), share.astype(np.float32), there.astype(np.float32)


def blend(first: Float32Array, second: Float32Array, share: Float32Array) -> Float32Array:
    """Between two pictures' landmarks (T, POINTS, CHANNELS) each; `share` (T,) of the second, 0..1."""
    share = share[:, None, None]
    one, two = first[..., VALID:], second[..., VALID:]
    weight = share * one * two + (one < two) * (share > 0.5)  # of the second
    kept = np.where((one > two) & (share > 0.5), 0.0, 1.0)  # only the first shows it, and the second is nearer
    mixed: Float32Array = (first * (1.0 - weight) + second * weight) * kept
    return mixed.astype(np.float32)
