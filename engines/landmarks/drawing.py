"""The landmark drawing: what a landmark model sees. One fixed style for real and simulated people, without identity.

The picture is split into panels, each a camera of its own onto the same person, so that a nod, a finger and a leg are
all large enough to be seen at 112 pixels:

    ┌───────────┬────────┐  body   the whole person, held at one size; slow changes of distance and place disappear
    │           │  head  │  head   twice as large: where a hand meets the face; nods, shakes, tilts
    │   body    ├────────┤
    │           │  left  │  hands  three times as large, centred on each hand, with what it touches
    │           │  right │
    └───────────┴────────┘

Colours: green is the posture of this very moment, brighter where it is nearer to the camera, with the face's features.
Red is the person's left, blue the right, both the middle: half bright the posture again, fully bright the trails, which
show where a point was in the last fraction of a second, in the body panel larger than life. A model sees pictures some
0.24 s apart, and a leg that shakes 4 times a second would look still without trails. Faint lines lead from arms, legs
and head towards their mean places: one person sits the way another bows.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from engines.landmarks.chains import ARM_CHAINS, FOLLOWED_POINTS, HANDS_AT, NOSE_POINT, TIPS, TRAILED
from engines.landmarks.motion import Float64Array, MeanPlaces, Normaliser, Placement, observe, resample, visibility
from engines.landmarks.points import Float32Array, Landmarks
from engines.landmarks.scene import (
    BODY,
    CONTEXT,
    DIM,
    EDGE,
    FAR,
    FAR_GREEN,
    FULL,
    HAND_PANELS,
    HEAD,
    NEAR,
    NEAR_GREEN,
    TRAIL_GAIN,
    TRAIL_STEPS,
    Scene,
    UInt8Array,
)

TRAIL_S = 0.24

_BODY_TRAILS = [(column, column // len(TRAILED[0])) for column in range(2 * len(TRAILED[0]))]
_NOSE_TRAIL = len(_BODY_TRAILS)
_BODY_TRAILS.append((_NOSE_TRAIL, 2))
_TIP_TRAILS = tuple([(_NOSE_TRAIL + 1 + side * len(TIPS) + tip, side) for tip in range(len(TIPS))] for side in (0, 1))
_HEAD_TRAILS = [(_NOSE_TRAIL, 2), *_TIP_TRAILS[0], *_TIP_TRAILS[1]]
_TRAIL_POINTS = [*TRAILED[0], *TRAILED[1], NOSE_POINT, *(at + tip for at in HANDS_AT for tip in TIPS)]


def _all_points(pose: Float32Array, hands: Float32Array, face: Float32Array) -> Float64Array:
    """(T, P, 2) of (T, 33, 4), (T, 2, 21, 3), (T, F, 3)."""
    neck = (pose[:, 11:12, :2] + pose[:, 12:13, :2]) / 2
    return np.concatenate(
        [pose[..., :2], hands[:, 0, :, :2], hands[:, 1, :, :2], face[..., :2], neck], axis=1, dtype=np.float64
    )


def _draw(
    size: int,
    placement: Placement,
    depth: Float64Array,
    points: Float64Array,
    seen: Float64Array,
    trails: Float64Array,
    away: Float64Array,
) -> UInt8Array:
    """One drawing. depth (33,), points (P, 2), seen (33,), trails (K, Q, 2), away (U, 2)."""
    planes = _edges(size).copy()
    missing = np.isnan(points[:, 0])
    near = np.minimum(np.maximum((FAR - depth / placement.unit) / (FAR - NEAR), 0.0), 1.0)
    green = FAR_GREEN + (NEAR_GREEN - FAR_GREEN) * np.where(np.isnan(near), 0.5, near)
    scene = Scene(
        (planes[0], planes[1], planes[2]),
        placement.unit,
        np.where(missing[:, None], 0.0, points),
        (~missing).tolist(),
        seen.tolist(),
        green.astype(np.int64).tolist(),
        trails,
        away,
    )
    scene.enter(BODY, placement.body)
    scene.draw_mean_body()
    scene.draw_torso(DIM)
    scene.draw_limbs(5, 1.0)
    scene.draw_head(detail=False)
    scene.draw_hands()
    scene.draw_trails(_BODY_TRAILS, TRAIL_GAIN)
    scene.enter(HEAD, placement.head)
    scene.draw_mean_head()
    scene.draw_torso(CONTEXT)
    scene.draw_limbs(ARM_CHAINS, 0.5)
    scene.draw_hands()
    scene.draw_head(detail=True)  # over the hands: what they touch matters
    scene.draw_trails(_HEAD_TRAILS, 1.0)
    for side in (0, 1):
        if np.isnan(placement.hands[side][0]):
            continue
        scene.enter(HAND_PANELS[side], placement.hands[side])
        scene.draw_torso(CONTEXT)
        scene.draw_limbs(5, 0.4)
        scene.draw_hands((FULL, CONTEXT) if side == 0 else (CONTEXT, FULL))
        scene.draw_head(detail=True)
        scene.draw_trails(_TIP_TRAILS[side], 1.0)
    return np.asarray(cv2.merge([planes[0], planes[1], planes[2]]), np.uint8)


@functools.cache
def _edges(size: int) -> UInt8Array:
    """(3, S, S): the lines between the panels."""
    planes = np.full((3, size, size), EDGE, np.uint8)
    for panel in (BODY, HEAD, *HAND_PANELS):
        rows, columns = panel.slices(size)
        planes[:, rows, columns] = 0
    return planes


def _offsets_ns(trail_s: float) -> tuple[int, ...]:
    return tuple(round(trail_s * 1e9 * step / (TRAIL_STEPS - 1)) for step in range(TRAIL_STEPS))


class LandmarkDrawing:
    """Draws a stream of landmarks, one picture at a time, in order of media time."""

    def __init__(self, size: int, trail_s: float = TRAIL_S) -> None:
        """size: side of the drawing in pixels; trail_s: how long a point leaves a trail."""
        if size < 32 or not 0.0 <= trail_s <= 10.0:
            raise ValueError(f"expected a size of 32 or more and a trail of 0 to 10 s, got {size} and {trail_s}")
        self.size = size
        self._offsets_ns = _offsets_ns(trail_s)
        self.reset()

    def reset(self) -> None:
        """Forget the person: their size, place and trails."""
        self._normaliser, self._mean_places = Normaliser(), MeanPlaces()
        self._times_ns: list[int] = []
        self._trail_points: list[Float64Array] = []  # (Q, 2) each

    def draw(self, landmarks: Landmarks) -> UInt8Array:
        """uint8 (S, S, 3). Black where there is nobody."""
        time_ns, pose = landmarks.time_ns, landmarks.pose[None]
        seen = visibility(pose, (landmarks.height, landmarks.width))
        row = observe(pose, landmarks.hands[None], seen)[0]
        placement, fresh = self._normaliser.step(time_ns, row)
        if fresh:
            self._times_ns, self._trail_points = [], []
        if placement is None:
            return np.zeros((self.size, self.size, 3), np.uint8)
        points = _all_points(pose, landmarks.hands[None], landmarks.face[None])[0]
        self._times_ns.append(time_ns)
        self._trail_points.append(_trail_points(points[None], seen)[0])
        while len(self._times_ns) > 1 and self._times_ns[1] <= time_ns - self._offsets_ns[-1]:
            del self._times_ns[0], self._trail_points[0]
        trails = resample(self._times_ns, self._trail_points, time_ns, self._offsets_ns)
        away = self._mean_places.step(time_ns, _followed_points(points[None], seen)[0], fresh)
        return _draw(self.size, placement, pose[0, :, 2].astype(np.float64), points, seen[0], trails, away)


def _trail_points(points: Float64Array, seen: Float64Array) -> Float64Array:
    """(T, Q, 2): the points that leave trails, NaN where they are not seen."""
    chosen = points[:, _TRAIL_POINTS]
    count = _NOSE_TRAIL + 1
    hidden = seen[:, _TRAIL_POINTS[:count]] < 0.5
    chosen[:, :count][hidden] = np.nan
    return chosen


def _followed_points(points: Float64Array, seen: Float64Array) -> Float64Array:
    """(T, U, 2): the points whose mean places are known, NaN where they are not seen."""
    chosen = points[:, FOLLOWED_POINTS]
    chosen[seen[:, FOLLOWED_POINTS] < 0.5] = np.nan
    return chosen


def draw_window(
    size: int,
    pose: Float32Array,
    hands: Float32Array,
    face: Float32Array,
    times_ns: Sequence[int],
    samples: Sequence[int],
    shape: tuple[int, int],
    trail_s: float = TRAIL_S,
) -> UInt8Array:
    """What `LandmarkDrawing` gives at some moments of a stream, without drawing the others.

    Args:
        size: side S of a drawing.
        pose: (T, 33, 4) of the whole stream, from whichever moment the person is to be known.
        hands: (T, 2, 21, 3).
        face: (T, FACE_POINTS, 3).
        times_ns: T media times.
        samples: indices of the moments to draw, not decreasing.
        shape: (height, width) of the source picture.

    Returns:
        uint8 (len(samples), S, S, 3).
    """
    times = [int(time) for time in times_ns]
    offsets_ns = _offsets_ns(trail_s)
    seen = visibility(pose, shape)
    rows = observe(pose, hands, seen)
    points = _all_points(pose, hands, face)
    trail_points, followed_points = _trail_points(points, seen), _followed_points(points, seen)
    normaliser, mean_places = Normaliser(), MeanPlaces()
    drawings = np.zeros((len(samples), size, size, 3), np.uint8)
    wanted = list(samples)
    drawn = 0
    seen_at: list[int] = []  # moments with a person since the last new start
    for at, row in enumerate(rows):
        if drawn == len(wanted):
            break
        placement, fresh = normaliser.step(times[at], row)
        if fresh:
            seen_at = []
        if placement is None:
            while drawn < len(wanted) and wanted[drawn] == at:
                drawn += 1
            continue
        seen_at.append(at)
        away = mean_places.step(times[at], followed_points[at], fresh)
        while drawn < len(wanted) and wanted[drawn] == at:
            first = len(seen_at) - 1
            while first > 0 and times[seen_at[first]] > times[at] - offsets_ns[-1]:
                first -= 1
            recent = seen_at[first:]
            trails = resample(
                [times[index] for index in recent], [trail_points[index] for index in recent], times[at], offsets_ns
            )
            drawings[drawn] = _draw(
                size, placement, pose[at, :, 2].astype(np.float64), points[at], seen[at], trails, away
            )
            drawn += 1
    return drawings
