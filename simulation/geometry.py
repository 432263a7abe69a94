"""Small vectorised helpers: rotations, two-bone chains, smooth curves. Time is always the first axis.

World axes: x to the person's left, y up, z to the person's front; metres and radians. Positive yaw turns to the
person's left, positive pitch bows forward, positive roll tilts to the person's right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
EPSILON = 1e-9
SHARPEST_BEND = 0.46  # rad between the two bones of a fully bent elbow or knee


def unit(vector: Array) -> Array:
    """Vectors of length 1 along the last axis."""
    return np.asarray(vector / (np.sqrt(np.sum(vector * vector, axis=-1, keepdims=True)) + EPSILON))


def rotation(yaw: Array, pitch: Array, roll: Array) -> Array:
    """(T, 3, 3): yaw about y, then pitch about x, then roll about z, each in the turned frame."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    rows = (
        (cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp),
        (cp * sr, cp * cr, -sp),
        (cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def turn(frames: Array, vectors: Array) -> Array:
    """Rotate: frames (T, 3, 3) with vectors (3,), (T, 3) or (T, N, 3)."""
    if vectors.ndim <= 2:
        return np.asarray((frames @ np.broadcast_to(vectors, (len(frames), 3))[..., None])[..., 0])
    return np.asarray(vectors @ frames.swapaxes(-1, -2))


def frame_along(axis: Array, up: Array) -> Array:
    """(T, 3, 3) whose columns are x, y, z with z along `axis` and y as near to `up` as that allows."""
    z = unit(axis)
    y = unit(up - np.sum(up * z, axis=-1, keepdims=True) * z)
    return np.stack((np.cross(y, z), y, z), axis=-1)


def two_bones(root: Array, target: Array, first: float, second: float, pole: Array) -> tuple[Array, Array]:
    """(middle joint, end joint), each (T, 3), of a chain from `root` that reaches for `target`, bending towards `pole`.

    A target out of reach is approached as far as the joint allows: 98.5 % stretched, or bent to SHARPEST_BEND.
    """
    span = target - root
    span = np.where(np.sum(span * span, axis=-1, keepdims=True) < EPSILON, np.array([0.0, -1e-3, 0.0]), span)
    distance = np.sqrt(np.sum(span * span, axis=-1, keepdims=True)) + EPSILON
    axis = span / distance
    longest = 0.985 * (first + second)
    shortest = (first**2 + second**2 - 2.0 * first * second * np.cos(SHARPEST_BEND)) ** 0.5
    reach = np.clip(distance, shortest, longest)
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    aside = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    across = unit(_across(pole, axis))
    return root + along * axis + aside * across, root + reach * axis


def _across(pole: Array, axis: Array) -> Array:
    """The part of `pole` that is perpendicular to `axis`; any perpendicular one where they are parallel."""
    across = pole - np.sum(pole * axis, axis=-1, keepdims=True) * axis
    other = np.stack((axis[..., 1] - axis[..., 2], axis[..., 2] - axis[..., 0], axis[..., 0] - axis[..., 1]), axis=-1)
    return np.where(np.sum(across * across, axis=-1, keepdims=True) < EPSILON, other + EPSILON, across)


def minimum_jerk(phase: Array) -> Array:
    """The smoothest way from 0 to 1 (Flash and Hogan 1985), held outside 0..1."""
    p = np.clip(phase, 0.0, 1.0)
    return np.asarray(p * p * p * (10.0 + p * (6.0 * p - 15.0)))


def envelope(times: Array, length: float, attack: float, release: float, overshoot: float = 0.0) -> Array:
    """(T,) 0 to 1 within `attack` s, held, back to 0 within the last `release` s of `length`.

    `overshoot` is the share by which the hold is passed at first.
    """
    scale = min(1.0, 0.98 * length / max(attack + release, EPSILON))
    attack, release = max(attack * scale, EPSILON), max(release * scale, EPSILON)
    rise = minimum_jerk(times / attack)
    if overshoot:
        late = (times - attack) / attack
        rise = rise + overshoot * rise * np.exp(-0.5 * (late / 0.45) ** 2)
    return np.asarray(rise * minimum_jerk((length - times) / release))


def wander(rng: np.random.Generator, count: int, fps: float, seconds: float, width: int = 1) -> Array:
    """(count, width) smooth noise of standard deviation about 1 whose knots lie `seconds` apart."""
    step = max(seconds * fps, 1.0)
    knots = rng.standard_normal((int(count / step) + 3, width)) * 1.15
    place = np.arange(count) / step + rng.random()
    index = place.astype(np.int64)
    blend = minimum_jerk(place - index)[:, None]
    return np.asarray(knots[index] * (1.0 - blend) + knots[index + 1] * blend)


def blend_towards(start: Array, end: Array, weight: Array) -> Array:
    """start + weight · (end − start), weight (T,)."""
    return np.asarray(start + weight[:, None] * (end - start))
