"""Which body parts move in a window of landmarks: a micro-action is a movement, and a posture is none.

How much a part moves is the spread of one of its points over the window, in shoulder widths: the standard deviation of
its place in the picture, of means of three steps because trackers jitter from step to step. Of all points of a part the
third largest counts (body and lower limb, which have few: the second), so that one point that is lost and found again
is no movement. The limits lie below the least movement of simulated events and above what trackers add to a still
picture (docs/tracker-noise.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from engines.landmarks.points import HAND_POINTS, POSE_POINTS, Float32Array
from engines.landmarks.steps import POINTS, VALID

LEAST_SEEN = 6  # steps that a point must be seen in
LEFT_SHOULDER, RIGHT_SHOULDER = 11, 12
_HANDS = (13, 14, 15, 16, *range(POSE_POINTS, POSE_POINTS + 2 * HAND_POINTS))  # elbows, wrists, hands
_FACE = (0, 2, 5, 7, 8, *range(POSE_POINTS + 2 * HAND_POINTS, POINTS))
_LEGS = (25, 26, 27, 28, 29, 30, 31, 32)
# Body part, in MA-52's order → its points, which of them counts, and the least movement in shoulder widths.
PARTS: Mapping[str, tuple[Sequence[int], int, float]] = {
    "body": ((0, 7, 8, 11, 12, 23, 24), 2, 0.025),
    "head": (_FACE, 3, 0.015),
    "upper limb": (_HANDS, 3, 0.04),
    "lower limb": (_LEGS, 2, 0.03),
    "body-hand": (_HANDS, 3, 0.1),
    "head-hand": (_HANDS, 3, 0.1),
    "leg-hand": (_HANDS, 3, 0.08),
}


def movement(windows: Float32Array) -> npt.NDArray[np.float32]:
    """(N, T, POINTS, CHANNELS) → (N, 7) how far each body part moves, shoulder widths; 0 where it is not seen."""
    valid = windows[..., VALID] > 0.0  # (N, T, P)
    places = windows[..., :2].astype(np.float64)
    count = np.maximum(valid.sum(axis=1), 1)  # (N, P)
    mean = (places * valid[..., None]).sum(axis=1) / count[..., None]
    centred = (places - mean[:, None]) * valid[..., None]
    spread = np.sqrt(_smoothed(centred, valid).sum(axis=-1)) * (count >= LEAST_SEEN)  # (N, P)
    moves = spread / _shoulder_width(places, valid)[:, None]
    each = [np.sort(moves[:, points], axis=1)[:, -rank] for points, rank, _ in PARTS.values()]
    return np.stack(each, axis=1).astype(np.float32)


def moved(windows: Float32Array) -> npt.NDArray[np.bool_]:
    """(N, T, POINTS, CHANNELS) → (N, 7) whether each body part moves."""
    least = np.array([limit for _, _, limit in PARTS.values()], np.float32)
    found: npt.NDArray[np.bool_] = movement(windows) >= least
    return found


def _smoothed(centred: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(N, T, P, 2) → (N, P, 2): variance of means of three steps, of the steps at which all three are seen."""
    three = (centred[:, :-2] + centred[:, 1:-1] + centred[:, 2:]) / 3.0
    known = (valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:])[..., None]
    count = np.maximum(known.sum(axis=1), 1)
    mean = (three * known).sum(axis=1) / count
    variance: npt.NDArray[np.float64] = (((three - mean[:, None]) ** 2) * known).sum(axis=1) / count
    return variance


def _shoulder_width(places: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(N,) median over the steps; infinite where no shoulders are seen."""
    both = valid[..., LEFT_SHOULDER] & valid[..., RIGHT_SHOULDER]
    apart = np.linalg.norm(places[..., LEFT_SHOULDER, :] - places[..., RIGHT_SHOULDER, :], axis=-1)
    return np.array([np.median(row[seen]) if seen.any() else np.inf for row, seen in zip(apart, both, strict=True)])
