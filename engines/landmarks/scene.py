"""One moment of the landmark drawing: its panels, and the lines in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks.chains import (
    FACE_AT,
    FEATURES,
    FINGERS,
    FOLLOWED_HEAD,
    FOLLOWED_POINTS,
    FOLLOWED_SIDES,
    GIRDLES,
    HANDS_AT,
    HEAD_CHAINS,
    LIMBS,
    NECK,
    OVAL,
    POSE_FINGERS,
    POSE_MOUTH,
    SIDES,
    Chain,
)
from engines.landmarks.motion import Float64Array

UInt8Array = npt.NDArray[np.uint8]
Plane = UInt8Array  # (S, S), one colour

TRAIL_STEPS = 6  # points of a trail; fixed in time, so that the frame rate does not show
TRAIL_GAIN, TRAIL_LIMIT = 6.0, 0.8  # body panel: small movements this much larger, none longer (shoulder widths)
TRAIL_NEW, TRAIL_OLD = 255, 190  # brightness of a trail's two halves
MEAN_PLACE_GAIN, MEAN_PLACE = (
    2.0,
    110,
)  # lines to mean places: so much longer than life, no longer than trails; brightness
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
        return (
            slice(round(self.top * grid), round(self.bottom * grid)),
            slice(round(self.left * grid), round(self.right * grid)),
        )


BODY = Panel(0, 0, 63, 112, 22.0, (31.5, 32.0))
HEAD = Panel(64, 0, 112, 47, 52.0, (24.0, 24.0))
HAND_PANELS = (Panel(64, 48, 112, 79, 54.0, (24.0, 15.5)), Panel(64, 80, 112, 112, 54.0, (24.0, 16.0)))
GRID = 112
EDGE = 40  # brightness of the lines between the panels


class Scene:
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
        away: Float64Array,  # (U, 2) from where each of `chains.FOLLOWED_POINTS` is to its mean place; NaN: unseen
    ) -> None:
        self.left, self.now, self.right = planes
        self.unit, self.points, self.trails, self.away = unit, points, trails, away
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
        return [
            self.pixels[[at + offset for at in chain]]
            for chain in chains
            if all(self.valid[at + offset] for at in chain)
        ]

    def draw_trails(self, columns: Sequence[tuple[int, int]], gain: float) -> None:
        """Trails of (column, side): side 0 left, 1 right, 2 both."""
        now = self.trails[0]
        moved = self.trails - now  # (K, Q, 2)
        if gain > 1.0:
            moved = self._enlarged(moved, gain)
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

    def _enlarged(self, ways: Float64Array, gain: float) -> Float64Array:
        """(..., 2): small ones `gain` times as long, none longer than `TRAIL_LIMIT`."""
        distance = np.sqrt(ways[..., 0] * ways[..., 0] + ways[..., 1] * ways[..., 1]) / self.unit
        return np.asarray(ways * (gain / (1.0 + distance * (gain / TRAIL_LIMIT)))[..., None])

    def draw_mean_body(self) -> None:
        """From arms, legs and nose towards their mean places."""
        self._draw_away(range(FOLLOWED_HEAD + 1), self.away[: FOLLOWED_HEAD + 1])

    def draw_mean_head(self) -> None:
        """The same of nose and ears, but for how the head as a whole has moved: which way it is turned."""
        away = self.away[FOLLOWED_HEAD:]
        self._draw_away(range(FOLLOWED_HEAD, len(FOLLOWED_POINTS)), away - (away[1] + away[2]) / 2)

    def _draw_away(self, which: Sequence[int], away: Float64Array) -> None:
        """Lines along `away` (K, 2) from those of `FOLLOWED_POINTS`."""
        points = self.points[[FOLLOWED_POINTS[at] for at in which]]
        ends = self._place(np.nan_to_num(points + self._enlarged(away, MEAN_PLACE_GAIN)))
        lines: tuple[list[npt.NDArray[np.int32]], ...] = ([], [])
        for at, end, missing in zip(which, ends, np.isnan(away[:, 0]).tolist(), strict=True):
            if not missing:
                for plane in (0, 1) if FOLLOWED_SIDES[at] == 2 else (FOLLOWED_SIDES[at],):
                    lines[plane].append(np.stack((self.pixels[FOLLOWED_POINTS[at]], end)))
        for plane in (0, 1):
            self.line(self.planes[plane], lines[plane], MEAN_PLACE)

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
