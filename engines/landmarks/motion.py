"""Where a person is drawn, and where a point was a moment ago: the drawing's sense of time. Media time alone.

Everything is written so that one frame at a time and a whole clip at once give the same bits: array steps use only
operations that IEEE 754 defines exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 11, 12, 23, 24
LEFT_EAR, RIGHT_EAR = 7, 8
KNUCKLES = (5, 17)  # of a hand: the index finger's and the little finger's
WRISTS, POSE_KNUCKLES = (15, 16), ((19, 17), (20, 18))  # in the pose, left and right

TORSO_WIDTHS = 1.5  # a torso's length in shoulder widths, seen from the front
FORGET_NS = 1_000_000_000  # without anybody for this long, or a gap this long: start anew
JUMP = 1.5  # shoulder widths between two pictures: another person
JUMP_NS = 250_000_000
SETTLE_S = 5.0  # time constant of size
PLACE_S = 4.0  # time constants of position: of the body and the head ...
HAND_S = 0.5  # ... and of a hand, so that its travels do not show but its trembling does
MEAN_PLACE_S = 20.0  # ... and of the mean place of a point
# How far, in shoulder widths, a thing may be from the middle of its panel (left and right, up, down).
BODY_LEASH = (0.8, 0.5, 0.9)
HEAD_LEASH = (0.22, 0.2, 0.2)
HAND_LEASH = (0.16, 0.07, 0.07)
SEEN, UNSEEN = 0.65, 0.35  # visibility of a point that is drawn in full, and not at all


@dataclass(frozen=True, slots=True)
class Placement:
    """The middle of each panel in pixels of the source picture; `unit` is one shoulder width."""

    unit: float
    body: tuple[float, float]  # between the shoulders
    head: tuple[float, float]
    hands: tuple[tuple[float, float], tuple[float, float]]  # left, right; NaN: nowhere to be seen


def visibility(pose: npt.NDArray[np.float32], shape: tuple[int, int] | None) -> Float64Array:
    """How plainly each point is to be drawn, 0..1 (T, 33): what is outside the picture is a guess, not an observation.

    Args:
        pose: (T, 33, 4).
        shape: (height, width) of the picture; None: everything is inside.
    """
    points = pose.astype(np.float64)
    strength = np.minimum(np.maximum((points[..., 3] - UNSEEN) / (SEEN - UNSEEN), 0.0), 1.0)
    strength = np.where(np.isnan(points).any(axis=-1), 0.0, strength)
    if shape is not None:
        height, width = shape
        x, y = points[..., 0], points[..., 1]
        inside = (x >= -0.02 * width) & (x <= 1.02 * width) & (y >= -0.02 * height) & (y <= 1.02 * height)
        strength = np.where(inside, strength, 0.0)
    return strength


def observe(pose: npt.NDArray[np.float32], hands: npt.NDArray[np.float32], seen: Float64Array) -> list[list[float]]:
    """What the normaliser needs of each picture: shoulders' middle x, y; size; head x, y; left and right palm x, y.

    Args:
        pose: (T, 33, 4).
        hands: (T, 2, 21, 3).
        seen: (T, 33) from `visibility`.
    """
    points = pose[..., :2].astype(np.float64)  # (T, 33, 2)
    left, right = points[:, LEFT_SHOULDER], points[:, RIGHT_SHOULDER]
    middle, hips = (left + right) / 2, (points[:, LEFT_HIP] + points[:, RIGHT_HIP]) / 2
    torso = np.where(np.minimum(seen[:, LEFT_HIP], seen[:, RIGHT_HIP]) > 0.5, _length(middle - hips), 0.0)
    # turning narrows the shoulders, leaning forward shortens the torso
    size = np.maximum(_length(left - right), torso / TORSO_WIDTHS)
    head = (points[:, LEFT_EAR] + points[:, RIGHT_EAR]) / 2
    palms = []
    for side in (0, 1):
        tracked = hands[:, side, KNUCKLES, :2].astype(np.float64)  # (T, 2, 2)
        wrist, knuckles = points[:, WRISTS[side]], points[:, POSE_KNUCKLES[side]]
        posed = np.where(seen[:, POSE_KNUCKLES[side], None] > 0.0, knuckles, wrist[:, None])
        posed = np.where(seen[:, WRISTS[side], None, None] > 0.0, posed, np.nan)
        palm = np.where(np.isnan(tracked), posed, tracked)
        palms.append((palm[:, 0] + palm[:, 1]) / 2)
    rows: list[list[float]] = np.concatenate([middle, size[:, None], head, *palms], axis=1).tolist()
    return rows


def _length(vectors: Float64Array) -> Float64Array:
    return np.asarray(np.sqrt(vectors[..., 0] * vectors[..., 0] + vectors[..., 1] * vectors[..., 1]))


class Normaliser:
    """Follows size and position slowly: distance to the camera disappears, swaying, rising and leaning stay."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._time_ns: int | None = None
        self._since_ns = 0
        self._unit = 0.0
        self._shoulders = (0.0, 0.0)
        self._body = (0.0, 0.0)
        self._head = (0.0, 0.0)
        self._hands = [(math.nan, math.nan), (math.nan, math.nan)]

    def step(self, time_ns: int, row: list[float]) -> tuple[Placement | None, bool]:
        """Where to draw the picture whose `observe` row this is (None: nobody), and whether it starts anew."""
        if math.isnan(row[0]) or math.isnan(row[3]) or row[2] < 1.0:
            return None, False
        x, y, size, head_x, head_y = row[:5]
        fresh = self._time_ns is None or self._is_new(time_ns, x, y)
        if fresh:
            self.reset()
            self._since_ns, self._unit = time_ns, size
            self._body, self._head = (x, y), (head_x, head_y)
            step_s = 0.0
        else:
            step_s = (time_ns - (self._time_ns or 0)) / 1e9
        age_s = (time_ns - self._since_ns) / 1e9
        # At first a plain mean: a start that happens to be odd is soon outweighed.
        self._unit += (size - self._unit) * _share(step_s, min(SETTLE_S, max(age_s, step_s)))
        place_s = min(PLACE_S, max(age_s, 0.5))
        self._body = _follow(self._body, (x, y), _share(step_s, place_s), BODY_LEASH, self._unit)
        self._head = _follow(self._head, (head_x, head_y), _share(step_s, place_s), HEAD_LEASH, self._unit)
        for side in (0, 1):
            palm = (row[5 + 2 * side], row[6 + 2 * side])
            if math.isnan(palm[0]) or math.isnan(self._hands[side][0]):
                self._hands[side] = palm
            else:
                self._hands[side] = _follow(self._hands[side], palm, _share(step_s, HAND_S), HAND_LEASH, self._unit)
        self._time_ns, self._shoulders = time_ns, (x, y)
        return Placement(self._unit, self._body, self._head, (self._hands[0], self._hands[1])), fresh

    def _is_new(self, time_ns: int, x: float, y: float) -> bool:
        gap_ns = time_ns - (self._time_ns or 0)
        if gap_ns < 0 or gap_ns > FORGET_NS:
            return True
        jump = math.hypot(x - self._shoulders[0], y - self._shoulders[1])
        return gap_ns <= JUMP_NS and jump > JUMP * self._unit


class MeanPlaces:
    """The mean of where points were seen in the picture, which forgets slowly."""

    def __init__(self) -> None:
        self._since_ns = self._time_ns = 0
        self._places: Float64Array = np.empty((0, 2))

    def step(self, time_ns: int, points: Float64Array, fresh: bool) -> Float64Array:
        """The way (K, 2) from each point to its mean place; NaN where it is not seen.

        Args:
            time_ns: media time, ascending since the last new start.
            points: (K, 2) pixels of the source picture; NaN: not seen.
            fresh: a new start: another person, or after a gap.
        """
        if fresh:
            self._since_ns, self._time_ns, self._places = time_ns, time_ns, points.copy()
        age_s, step_s = (time_ns - self._since_ns) / 1e9, (time_ns - self._time_ns) / 1e9
        away = self._places - points
        moved = self._places - away * _share(step_s, min(MEAN_PLACE_S, max(age_s, step_s)))  # at first a plain mean
        known = np.where(np.isnan(self._places), points, self._places)
        self._time_ns, self._places = time_ns, np.where(np.isnan(moved), known, moved)
        return away


def _share(step_s: float, constant_s: float) -> float:
    return 1.0 - math.exp(-step_s / constant_s) if constant_s > 0.0 else 0.0


def _follow(
    now: tuple[float, float], goal: tuple[float, float], share: float, limit: tuple[float, float, float], unit: float
) -> tuple[float, float]:
    """Glide towards the goal, but never farther from it than the limit allows."""
    aside, up, down = limit[0] * unit, limit[1] * unit, limit[2] * unit
    x, y = now[0] + (goal[0] - now[0]) * share, now[1] + (goal[1] - now[1]) * share
    return min(max(x, goal[0] - aside), goal[0] + aside), min(max(y, goal[1] - down), goal[1] + up)


def resample(times_ns: list[int], points: list[Float64Array], now_ns: int, offsets_ns: tuple[int, ...]) -> Float64Array:
    """Where each point was at `now - offset`, by linear interpolation: (len(offsets), P, 2); NaN before the first time.

    Args:
        times_ns: increasing, the last is now.
        points: one (P, 2) for each time.
    """
    result = np.full((len(offsets_ns), *points[-1].shape), np.nan)
    at = len(times_ns) - 1
    for index, offset in enumerate(offsets_ns):
        wanted = now_ns - offset
        while at > 0 and times_ns[at] > wanted:
            at -= 1
        if times_ns[at] > wanted:
            break
        if times_ns[at] == wanted or at == len(times_ns) - 1:
            result[index] = points[at]
            continue
        share = (wanted - times_ns[at]) / (times_ns[at + 1] - times_ns[at])
        result[index] = points[at] + (points[at + 1] - points[at]) * share
    return result
