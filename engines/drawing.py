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
0.24 s apart, and a leg that shakes 4 times a second would look still without trails.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmark_chains import (
    ARM_CHAINS,
    FACE_AT,
    FEATURES,
    FINGERS,
    GIRDLES,
    HANDS_AT,
    HEAD_CHAINS,
    LIMBS,
    NECK,
    NOSE_POINT,
    OVAL,
    POSE_FINGERS,
    POSE_MOUTH,
    SIDES,
    TIPS,
    TRAILED,
    Chain,
)
from engines.landmark_motion import Float64Array, Normaliser, Placement, observe, resample, visibility
from engines.landmarks import Float32Array, Landmarks

UInt8Array = npt.NDArray[np.uint8]
Plane = UInt8Array  # (S, S), one colour

TRAIL_S = 0.24
TRAIL_STEPS = 6  # points of a trail; fixed in time, so that the frame rate does not show
TRAIL_GAIN, TRAIL_LIMIT = 6.0, 0.8  # body panel: small movements this much larger, none longer (shoulder widths)
TRAIL_NEW, TRAIL_OLD = 255, 190  # brightness of a trail's two halves
FULL, DIM, CONTEXT = 255, 130, 110
POSTURE = 0.45  # of full brightness, in red and blue
NEAR, FAR = -1.2, 0.8  # depth, shoulder widths from the hips, that is drawn brightest and darkest
NEAR_GREEN, FAR_GREEN = 255, 110
SHIFT = 4  # sub-pixel bits
FAR_AWAY = 4096.0  # pixels; clips what cv2's fixed point could not hold


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the picture and the camera behind it, in 112ths of the picture's side."""

    left: int
    top: int
    right: int
    bottom: int
    per_unit: float  # of a shoulder width
    origin: tuple[float, float]  # where its middle is drawn, from its own corner

    def slices(self, size: int) -> tuple[slice, slice]:
        """Its rows and columns in a drawing of this size."""
        grid = size / GRID
        return (slice(round(self.top * grid), round(self.bottom * grid)),
                slice(round(self.left * grid), round(self.right * grid)))


BODY = Panel(0, 0, 63, 112, 22.0, (31.5, 32.0))
HEAD = Panel(64, 0, 112, 47, 52.0, (24.0, 24.0))
HAND_PANELS = (Panel(64, 48, 112, 79, 54.0, (24.0, 15.5)), Panel(64, 80, 112, 112, 54.0, (24.0, 16.0)))
GRID = 112
EDGE = 40  # brightness of the lines between the panels


class _Scene:
    """One moment: every point, how plainly it shows, and the trails; drawn panel by panel."""

    def __init__(
        self,
        planes: tuple[Plane, Plane, Plane],  # left (red), now (green), right (blue)
        unit: float,
        points: Float64Array,  # (P, 2) in pixels of the source
        valid: list[bool],
        seen: list[float],  # (33,)
        green: list[int],  # (33,) by depth
        trails: Float64Array,  # (K, Q, 2) in pixels of the source: where TRAILED, the nose and the tips were
    ) -> None:
        self.left, self.now, self.right = planes
        self.unit, self.points, self.trails = unit, points, trails
        self.valid, self.seen, self.green = valid, seen, green
        self.tracked = [valid[at] for at in HANDS_AT]
        self.face = valid[FACE_AT]

    def enter(self, panel: Panel, middle: tuple[float, float]) -> None:
        """Look through this panel from now on."""
        size = self.now.shape[0]
        grid = size / GRID
        rows, columns = panel.slices(size)
        self.planes = (self.left[rows, columns], self.right[rows, columns])
        self.green_plane = self.now[rows, columns]
        self._scale = panel.per_unit * grid / self.unit
        self._middle = np.array(middle)
        self._origin = np.array(panel.origin) * grid - 0.5
        self.pixels = self._place(self.points)

    def _place(self, points: Float64Array) -> npt.NDArray[np.int32]:
        places = (points - self._middle) * self._scale + self._origin
        np.clip(places, -FAR_AWAY, FAR_AWAY, out=places)
        return np.asarray(np.rint(places * (1 << SHIFT)), np.int32)

    def line(self, plane: Plane, chains: list[npt.NDArray[np.int32]], brightness: int) -> None:
        if chains:
            cv2.polylines(plane, chains, False, brightness, 1, cv2.LINE_AA, SHIFT)

    def chains(self, chains: Sequence[Chain], offset: int = 0) -> list[npt.NDArray[np.int32]]:
        """Those of the chains whose points are all there."""
        return [self.pixels[[at + offset for at in chain]] for chain in chains
                if all(self.valid[at + offset] for at in chain)]

    def draw_trails(self, columns: Sequence[tuple[int, int]], gain: float) -> None:
        """Trails of (column, side): side 0 left, 1 right, 2 both."""
        now = self.trails[0]
        moved = self.trails - now  # (K, Q, 2)
        if gain > 1.0:
            distance = np.sqrt(moved[..., 0] * moved[..., 0] + moved[..., 1] * moved[..., 1]) / self.unit
            moved = moved * (gain / (1.0 + distance * (gain / TRAIL_LIMIT)))[..., None]
        missing = np.isnan(moved[..., 0])
        places = self._place(np.where(missing[..., None], 0.0, now + moved))
        places = np.ascontiguousarray(places.transpose(1, 0, 2))  # (Q, K, 2)
        lengths = (~missing).sum(axis=0).tolist()  # a trail breaks off where its point was not seen
        gaps = missing.any(axis=0).tolist()
        half = TRAIL_STEPS // 2
        old: tuple[list[npt.NDArray[np.int32]], ...] = ([], [])
        new: tuple[list[npt.NDArray[np.int32]], ...] = ([], [])
        for column, side in columns:
            length = int(missing[:, column].argmax()) if gaps[column] else lengths[column]
            if length < 2:
                continue
            for plane in (0, 1) if side == 2 else (side,):
                new[plane].append(places[column, : min(length, half + 1)])
                if length > half + 1:
                    old[plane].append(places[column, half:length])
        for plane in (0, 1):
            self.line(self.planes[plane], old[plane], TRAIL_OLD)
            self.line(self.planes[plane], new[plane], TRAIL_NEW)

    def draw_limbs(self, count: int, share: float) -> None:
        """Arms, and legs where count allows; `share` of full brightness."""
        for side in (0, 1):
            for chain in LIMBS[side][:count]:
                seen = min(self.seen[at] for at in chain)
                if seen > 0.0:
                    line = [self.pixels[list(chain)]]
                    green = sum(self.green[at] for at in chain[:2]) * seen * share / 2
                    self.line(self.planes[side], line, int(FULL * POSTURE * seen * share))
                    self.line(self.green_plane, line, int(green))

    def draw_torso(self, brightness: int) -> None:
        for side in (0, 1):
            seen = min(self.seen[at] for at in SIDES[side])
            if seen > 0.0:
                line = [self.pixels[list(SIDES[side])]]
                self.line(self.planes[side], line, int(brightness * POSTURE * seen))
                self.line(self.green_plane, line, int(brightness * seen))
        girdles = [self.pixels[list(pair)] for pair in GIRDLES if min(self.seen[at] for at in pair) > 0.5]
        for plane in self.planes:
            self.line(plane, girdles, int(brightness * POSTURE))
        self.line(self.green_plane, girdles, brightness)

    def draw_head(self, detail: bool) -> None:
        """From the pose always; with the face's features where they were found."""
        mouth = self.chains([POSE_MOUTH])
        for side in (0, 1):
            self.line(self.planes[side], [*self.chains([HEAD_CHAINS[side]]), *mouth], int(FULL * POSTURE))
        neck = [np.stack((self.pixels[NECK], (self.pixels[9] + self.pixels[10]) // 2))]
        self.line(self.green_plane, neck, DIM)
        if not self.face:
            return
        self.line(self.green_plane, self.chains([OVAL]), DIM)
        if detail:
            self.line(self.green_plane, self.chains(FEATURES), FULL)

    def draw_hands(self, brightness: tuple[int, int] = (FULL, FULL)) -> None:
        """Each hand by its fingers, or by the little that the pose knows of it."""
        for side in (0, 1):
            wrist = 15 + side
            if self.tracked[side]:
                lines, strength = self.chains(FINGERS, HANDS_AT[side]), 1.0
            else:
                lines, strength = self.chains(POSE_FINGERS[side]), self.seen[wrist]
            if strength > 0.0:
                self.line(self.planes[side], lines, int(brightness[side] * POSTURE * strength))
                self.line(self.green_plane, lines, int(self.green[wrist] * brightness[side] / FULL * strength))


_BODY_TRAILS = [(column, column // len(TRAILED[0])) for column in range(2 * len(TRAILED[0]))]
_NOSE_TRAIL = len(_BODY_TRAILS)
_BODY_TRAILS.append((_NOSE_TRAIL, 2))
_TIP_TRAILS = tuple([(_NOSE_TRAIL + 1 + side * len(TIPS) + tip, side) for tip in range(len(TIPS))] for side in (0, 1))
_HEAD_TRAILS = [(_NOSE_TRAIL, 2), *_TIP_TRAILS[0], *_TIP_TRAILS[1]]
_TRAIL_POINTS = [*TRAILED[0], *TRAILED[1], NOSE_POINT, *(at + tip for at in HANDS_AT for tip in TIPS)]


def _all_points(pose: Float32Array, hands: Float32Array, face: Float32Array) -> Float64Array:
    """(T, P, 2) of (T, 33, 4), (T, 2, 21, 3), (T, F, 3)."""
    neck = (pose[:, 11:12, :2] + pose[:, 12:13, :2]) / 2
    return np.concatenate([pose[..., :2], hands[:, 0, :, :2], hands[:, 1, :, :2], face[..., :2], neck], axis=1,
                          dtype=np.float64)  # fmt: skip


def _draw(
    size: int, placement: Placement, depth: Float64Array, points: Float64Array, seen: Float64Array, trails: Float64Array
) -> UInt8Array:
    """One drawing. depth (33,), points (P, 2), seen (33,), trails (K, Q, 2)."""
    planes = _edges(size).copy()
    missing = np.isnan(points[:, 0])
    near = np.minimum(np.maximum((FAR - depth / placement.unit) / (FAR - NEAR), 0.0), 1.0)
    green = FAR_GREEN + (NEAR_GREEN - FAR_GREEN) * np.where(np.isnan(near), 0.5, near)
    scene = _Scene((planes[0], planes[1], planes[2]), placement.unit, np.where(missing[:, None], 0.0, points),
                   (~missing).tolist(), seen.tolist(), green.astype(np.int64).tolist(), trails)  # fmt: skip
    scene.enter(BODY, placement.body)
    scene.draw_torso(DIM)
    scene.draw_limbs(5, 1.0)
    scene.draw_head(detail=False)
    scene.draw_hands()
    scene.draw_trails(_BODY_TRAILS, TRAIL_GAIN)
    scene.enter(HEAD, placement.head)
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
        self._normaliser = Normaliser()
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
        return _draw(self.size, placement, pose[0, :, 2].astype(np.float64), points, seen[0], trails)


def _trail_points(points: Float64Array, seen: Float64Array) -> Float64Array:
    """(T, Q, 2): the points that leave trails, NaN where they are not seen."""
    chosen = points[:, _TRAIL_POINTS]
    count = _NOSE_TRAIL + 1
    hidden = seen[:, _TRAIL_POINTS[:count]] < 0.5
    chosen[:, :count][hidden] = np.nan
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
    trail_points = _trail_points(points, seen)
    normaliser = Normaliser()
    drawings = np.zeros((len(samples), size, size, 3), np.uint8)
    wanted = list(samples)
    drawn = 0
    seen_at: list[int] = []  # moments with somebody since the last new start
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
        while drawn < len(wanted) and wanted[drawn] == at:
            first = len(seen_at) - 1
            while first > 0 and times[seen_at[first]] > times[at] - offsets_ns[-1]:
                first -= 1
            recent = seen_at[first:]
            trails = resample([times[index] for index in recent], [trail_points[index] for index in recent],
                              times[at], offsets_ns)  # fmt: skip
            drawings[drawn] = _draw(size, placement, pose[at, :, 2].astype(np.float64), points[at], seen[at], trails)
            drawn += 1
    return drawings
