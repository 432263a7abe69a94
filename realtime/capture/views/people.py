"""Finds people in a picture and follows one of them with a crop that holds still whenever it can.

A crop that moves looks to the model like a body that moves. So the crop keeps its place while the person stays
inside it, and glides when it must move; it jumps only to a person it has not shown before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.mediapipe.lean_pose import without_masks
from realtime.capture.mediapipe.task import VideoTask
from realtime.clock import NS_PER_S
from realtime.messages import MOST_PEOPLE, Framing

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

SEARCH_SIDE = 512  # pixels; the networks see 224 and 256, larger pictures only cost time
MIN_SCORE = 0.5  # visibility and presence of a landmark that counts
MIN_LANDMARKS = 4  # fewer do not make a person
CROWN = 1.7  # eyes to crown, in eye-to-mouth distances; no landmark is that high

HOLD_S = 3.0  # keep the crop this long after the person was last seen
GLIDE_S = 0.4  # time constant of a moving crop
TIGHT = 0.25  # share of the margin that may be used up before the crop moves
LOOSE = 0.7  # a crop needs this share of its size or less ...
LOOSE_S = 2.0  # ... for this long before it closes in
LARGER = 1.5  # another person must be this much larger in area ...
LARGER_S = 1.5  # ... for this long to be followed instead


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the source picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def size(self) -> float:
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def area(self) -> float:
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        both = Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )
        shared = both.area if both.right > both.left and both.bottom > both.top else 0.0
        return shared / max(self.area + other.area - shared, 1e-9)


@dataclass(frozen=True, slots=True)
class Square:
    """A crop: centre and side in pixels of the source picture. It may reach beyond the picture."""

    x: float
    y: float
    side: float

    @property
    def corner(self) -> tuple[int, int, int]:
        """left, top and side in whole pixels."""
        side = max(1, round(self.side))
        return round(self.x - side / 2), round(self.y - side / 2), side

    def cut(self, pixels: UInt8Array, size: int) -> tuple[UInt8Array, Framing]:
        """uint8 (size, size, 3) of what is inside, black where the square leaves the picture; and its framing."""
        height, width = pixels.shape[:2]
        left, top, side = self.corner
        x0, x1 = max(0, left), min(width, left + side)
        y0, y1 = max(0, top), min(height, top + side)
        canvas = np.zeros((size, size, 3), np.uint8)
        if x0 >= x1 or y0 >= y1:
            return canvas, Framing(seen=0.0, magnified=size / side, person_found=False)
        scale = size / side
        u0, u1 = round((x0 - left) * scale), round((x1 - left) * scale)
        v0, v1 = round((y0 - top) * scale), round((y1 - top) * scale)
        if u1 > u0 and v1 > v0:
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            canvas[v0:v1, u0:u1] = cv2.resize(pixels[y0:y1, x0:x1], (u1 - u0, v1 - v0), interpolation=method)
        seen = (x1 - x0) * (y1 - y0) / (height * width)
        return canvas, Framing(seen=seen, magnified=scale, person_found=True)


class Follower:
    """Which square shows the person, steadily. Times are media times in ns and must not decrease."""

    def __init__(self, margin: float) -> None:
        """margin: added on each side, as a share of the person's size."""
        self._margin = margin
        self._shape = (0, 0)
        self._reset()

    def _reset(self) -> None:
        self._person: Box | None = None
        self._goal: Square | None = None
        self._now: Square | None = None
        self._now_ns = 0
        self._seen_ns = 0
        self._since_ns = 0
        self._loose_since_ns: int | None = None
        self._larger_since_ns: int | None = None

    @property
    def person(self) -> Box | None:
        """Where the person was last seen; None: nobody is followed."""
        return self._person

    def followed_ns(self, time_ns: int) -> int | None:
        """How long the person has been followed at `time_ns`; None: nobody is."""
        return None if self._person is None else max(0, time_ns - self._since_ns)

    def update(self, time_ns: int, people: list[Box], shape: tuple[int, int]) -> bool:
        """Take note of the people found in a picture of `shape` (H, W); returns whether ours is among them."""
        if shape != self._shape:
            self._shape = shape
            self._reset()
        if self._person is not None and time_ns - self._seen_ns > HOLD_S * NS_PER_S:
            self._reset()
        person = self._choose(time_ns, people)
        if person is None:
            return False
        if self._person is None:
            self._since_ns = time_ns
        self._person, self._seen_ns = person, time_ns
        self._aim(time_ns, person)
        return True

    def at(self, time_ns: int) -> Square | None:
        """The square for a picture at `time_ns`; None: nobody to follow."""
        if self._goal is None or self._now is None or time_ns - self._seen_ns > HOLD_S * NS_PER_S:
            return None
        goal, now = self._goal, self._now
        step = 1.0 - math.exp(-max(0, time_ns - self._now_ns) / (GLIDE_S * NS_PER_S))
        now = Square(*(a + (b - a) * step for a, b in ((now.x, goal.x), (now.y, goal.y), (now.side, goal.side))))
        if max(abs(now.x - goal.x), abs(now.y - goal.y), abs(now.side - goal.side)) < 1.0:
            now = goal
        self._now, self._now_ns = now, time_ns
        return now

    def _choose(self, time_ns: int, people: list[Box]) -> Box | None:
        if not people:
            return None
        largest = max(people, key=lambda box: box.area)
        if self._person is None:
            return largest
        previous = self._person
        ours = max(people, key=previous.overlap)
        if previous.overlap(ours) == 0.0:
            return None
        if largest is ours or largest.area < LARGER * ours.area:
            self._larger_since_ns = None
            return ours
        if self._larger_since_ns is None:
            self._larger_since_ns = time_ns
        if time_ns - self._larger_since_ns < LARGER_S * NS_PER_S:
            return ours
        self._reset()
        return largest

    def _aim(self, time_ns: int, person: Box) -> None:
        wanted = self._square(person)
        if self._goal is None:
            self._goal = self._now = wanted
            self._now_ns = time_ns
            return
        if not self._holds(self._goal, person):
            # Never smaller at the same time: a crop that breathes with every gesture is a moving crop.
            self._goal = self._placed(wanted.x, wanted.y, max(wanted.side, self._goal.side))
            self._loose_since_ns = None
        elif wanted.side > LOOSE * self._goal.side:
            self._loose_since_ns = None
        elif self._loose_since_ns is None:
            self._loose_since_ns = time_ns
        elif time_ns - self._loose_since_ns >= LOOSE_S * NS_PER_S:
            self._goal, self._loose_since_ns = wanted, None

    def _holds(self, square: Square, person: Box) -> bool:
        """Whether the part of the person inside the picture is inside the square, with a little room left."""
        height, width = self._shape
        space, half = TIGHT * self._margin * person.size, square.side / 2
        return (
            square.x - half <= max(0.0, person.left - space)
            and square.y - half <= max(0.0, person.top - space)
            and square.x + half >= min(width, person.right + space)
            and square.y + half >= min(height, person.bottom + space)
        )

    def _square(self, person: Box) -> Square:
        # The margin alone never makes the square leave the picture: black bars are foreign to the model.
        side = min(person.size * (1.0 + 2.0 * self._margin), max(person.size, float(min(self._shape))))
        return self._placed((person.left + person.right) / 2, (person.top + person.bottom) / 2, side)

    def _placed(self, x: float, y: float, side: float) -> Square:
        """A square no larger than the picture's long side, moved inside the picture as far as it fits."""
        height, width = self._shape
        side = min(side, float(max(height, width)))
        return Square(_inside(x, side, width), _inside(y, side, height), side)


def _inside(centre: float, side: float, length: int) -> float:
    if side >= length:
        return length / 2
    return min(max(centre, side / 2), length - side / 2)


def extent(landmarks: Float32Array, height: int, width: int) -> Box | None:
    """The box around a pose, head included, cut at the picture's edges; None if too little of it is seen.

    Args:
        landmarks: (33, 4) x and y (0..1 inside the picture), visibility and presence.
    """
    good = (landmarks[:, 2] >= MIN_SCORE) & (landmarks[:, 3] >= MIN_SCORE)
    inside = good & np.all((landmarks[:, :2] >= -0.05) & (landmarks[:, :2] <= 1.05), axis=1)
    if inside.sum() < MIN_LANDMARKS:
        return None
    points = landmarks[:, :2] * np.array([width, height], np.float32)
    left, top = points[inside].min(axis=0)
    right, bottom = points[inside].max(axis=0)
    eyes, mouth = points[[2, 5]], points[[9, 10]]
    if inside[[2, 5, 9, 10]].all():
        crown = float(eyes[:, 1].min()) - CROWN * float(np.linalg.norm(mouth.mean(axis=0) - eyes.mean(axis=0)))
        top = min(float(top), crown)
    return Box(
        max(0.0, float(left)), max(0.0, float(top)), min(float(width), float(right)), min(float(height), float(bottom))
    )


class PersonFinder:
    """MediaPipe's pose landmarker on a video."""

    def __init__(self, model: Path, side: int = SEARCH_SIDE, people: int = MOST_PEOPLE) -> None:
        """model: the pose landmarker's .task file; side: pictures are shrunk to this many pixels first."""
        self._task = VideoTask("pose", without_masks(model), num_poses=people)
        self._side = side

    def poses(self, pixels: UInt8Array, time_ns: int) -> list[Float32Array]:
        """Each person in uint8 (H, W, 3) RGB: (33, 5) x, y, z (0..1 inside the picture), visibility, presence."""
        height, width = pixels.shape[:2]
        scale = self._side / max(height, width)
        if scale < 1.0:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        found = self._task.detect(pixels, time_ns).pose_landmarks
        return [np.array([(p.x, p.y, p.z, p.visibility, p.presence) for p in pose], np.float32) for pose in found]

    def find(self, pixels: UInt8Array, time_ns: int) -> list[Box]:
        """The people in uint8 (H, W, 3) RGB, boxes in its pixels."""
        height, width = pixels.shape[:2]
        boxes = (extent(pose[:, [0, 1, 3, 4]], height, width) for pose in self.poses(pixels, time_ns))
        return [box for box in boxes if box is not None]

    def close(self) -> None:
        self._task.close()
