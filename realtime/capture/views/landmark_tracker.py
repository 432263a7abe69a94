"""Landmarks of one person in a video: MediaPipe's pose, hands and face, brought together.

The three run at the same time. Hands and face are looked for in crops that the pose of the *earlier* pictures gives,
so none waits for another, and the same recording gives the same landmarks on every run.

A landmarker that may find two people searches every picture for the second, which costs half as much again as following
the first. So one that knows a single person follows. Now and then people are counted; where there are two, the other
landmarker looks, and follows both while it sees them.
"""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.landmarks.points import FACE_MESH_INDICES, FACE_POINTS, HAND_POINTS, POSE_POINTS, Float32Array, Landmarks
from engines.landmarks.steady_head import SteadyHead
from realtime.capture.views.face_mesh import FaceMeshTracker
from realtime.capture.views.hands import Hand, HandTracker, distinct
from realtime.capture.views.people import Box, Follower, PersonFinder, Square, extent
from realtime.capture.views.person_count import PersonCounter
from realtime.clock import NS_PER_S

UInt8Array = npt.NDArray[np.uint8]

POSE_SIDE = 768  # pixels; the network sees 256 around the person
SURVEY_EVERY_NS = NS_PER_S // 2  # how often a second person is looked for
ALONE_NS = 2 * NS_PER_S  # a person who has not been seen for this long has left
PERSON_MARGIN, HEAD_MARGIN = 0.15, 0.6
REACH = 0.45  # shoulder widths between a hand's wrist and the pose's, at most
WRONG_LABEL = 0.2  # shoulder widths that a hand's label counts against another wrist
REMEMBERED_NS = NS_PER_S // 2  # how long a hand's last place helps to know it again
AROUND_WRIST = 1.1  # shoulder widths, side of the square in which a hand moves
HEAD_SIZE = 0.75  # of a head, in shoulder widths
EARS, SHOULDERS, WRISTS = (7, 8), (11, 12), (15, 16)
FACE_INDEX = np.array(FACE_MESH_INDICES)


class LandmarkTracker:
    """Follows the larger person steadily. Pictures must come in order of their media time."""

    def __init__(self, pose: Path, hand: Path, face: Path) -> None:
        """The model files of the three landmarkers."""
        self._single = PersonFinder(pose, POSE_SIDE, people=1)
        self._several = PersonFinder(pose, POSE_SIDE)
        self._counter = PersonCounter(pose) if importlib.util.find_spec("openvino") else None
        self._next_survey_ns: int | None = None
        self._crowd_ns: int | None = None  # when two people were last seen
        self._hands = HandTracker(hand)
        self._face = FaceMeshTracker(face)
        self._threads = ThreadPoolExecutor(2, "landmarks")
        # Around those that a hand may be at, in the last picture, and its shoulder width; at first nothing is known.
        self._wrists: list[Square] | None = None
        self._unit = 1.0
        self._follower = Follower(PERSON_MARGIN)
        self.people = 0  # in the last picture, as far as they are told apart
        self.followed_ns: int | None = None  # how long the person of the last picture has been followed
        self.mesh: Float32Array | None = None  # (478, 3) all of the last picture's face, in its pixels
        self._forget()

    def _forget(self) -> None:
        self._head, self._steady_head = Follower(HEAD_MARGIN), SteadyHead()
        self._remembered: list[tuple[int, Float32Array] | None] = [None, None]  # (time, wrist x, y) of each hand
        self._face.forget()

    def track(self, pixels: UInt8Array, time_ns: int) -> Landmarks:
        """Landmarks of the person in uint8 (H, W, 3) RGB; `Landmarks.nobody` where there is none."""
        height, width = pixels.shape[:2]
        self.mesh = None
        body, head = self._follower.at(time_ns), self._head.at(time_ns)
        hands = self._threads.submit(self._hands.track, pixels, body, self._wrists, self._unit, time_ns)
        face = self._threads.submit(self._face.track, pixels, head, time_ns) if head else None
        people = self._poses(pixels, time_ns)
        found_hands, found_face = hands.result(), face.result() if face else None
        pose = self._choose(people, time_ns, (height, width))
        if pose is None:
            self._wrists = []
            return Landmarks.nobody(time_ns, height, width)
        unit = float(np.hypot(*(pose[SHOULDERS[0], :2] - pose[SHOULDERS[1], :2])))
        unit = max(unit, 1.6 * float(np.hypot(*(pose[EARS[0], :2] - pose[EARS[1], :2]))), 1.0)
        self._head.update(time_ns, [_head_box(pose, unit)], (height, width))
        points = np.full((FACE_POINTS, 3), np.nan, np.float32)
        if found_face is not None:
            self.mesh, points = found_face, found_face[FACE_INDEX]
        both = self._assign(found_hands, pose, unit, time_ns)
        self._wrists, self._unit = _places(pose, unit, (height, width)), unit
        pose = self._steady_head.step(pose, face_found=not bool(np.isnan(points[0, 0])))
        return Landmarks(time_ns, height, width, pose, both, points)

    @property
    def person(self) -> Box | None:
        """Who is followed, where last seen."""
        return self._follower.person

    def _poses(self, pixels: UInt8Array, time_ns: int) -> list[Float32Array]:
        """The people in the picture: surely the one we follow, and others that have been there for a moment."""
        crowded = self._crowd_ns is not None and 0 <= time_ns - self._crowd_ns <= ALONE_NS
        if not crowded and self._next_survey_ns is not None and time_ns < self._next_survey_ns:
            return self._single.poses(pixels, time_ns)
        self._next_survey_ns = time_ns + SURVEY_EVERY_NS
        if not crowded and self._counter is not None and self._counter.count(pixels) < 2:
            return self._single.poses(pixels, time_ns)
        several = self._several.poses(pixels, time_ns)
        if len(several) > 1:
            self._crowd_ns = time_ns
        return several if crowded or len(several) > 1 else self._single.poses(pixels, time_ns)

    def _choose(self, people: list[Float32Array], time_ns: int, shape: tuple[int, int]) -> Float32Array | None:
        """(33, 4) in pixels, of the person we follow."""
        height, width = shape
        boxes = [extent(pose[:, [0, 1, 3, 4]], height, width) for pose in people]
        before = self._follower.person
        self.people, self.followed_ns = sum(box is not None for box in boxes), None
        if not self._follower.update(time_ns, [box for box in boxes if box], shape):
            return None
        self.followed_ns = self._follower.followed_ns(time_ns)
        ours = self._follower.person
        if before and ours and before.overlap(ours) == 0.0:  # another person
            self._forget()
        pose = people[next(index for index, box in enumerate(boxes) if box is ours)]
        result = np.empty((POSE_POINTS, 4), np.float32)
        result[:, :3] = pose[:, :3] * np.array([width, height, width], np.float32)
        result[:, 3] = pose[:, 3]
        return result

    def _assign(self, found: list[Hand], pose: Float32Array, unit: float, time_ns: int) -> Float32Array:
        """(2, 21, 3): which hand belongs to which wrist, at the least cost for both together."""
        result = np.full((2, HAND_POINTS, 3), np.nan, np.float32)
        hands = distinct(found, unit)
        costs = [[self._cost(hand, side, pose, unit, time_ns) for side in (0, 1)] for hand in hands]
        best: dict[int, int] = {}  # side -> hand
        if len(hands) == 1:
            side = int(costs[0][1] < costs[0][0])
            best = {side: 0}
        elif len(hands) == 2:
            straight, crossed = costs[0][0] + costs[1][1], costs[0][1] + costs[1][0]
            best = {0: 0, 1: 1} if straight <= crossed else {0: 1, 1: 0}
        for side, index in best.items():
            wrist = hands[index].points[0, :2]
            if np.hypot(*(wrist - pose[WRISTS[side], :2])) <= REACH * unit:
                result[side] = hands[index].points
                self._remembered[side] = (time_ns, wrist)
        return result

    def _cost(self, hand: Hand, side: int, pose: Float32Array, unit: float, time_ns: int) -> float:
        """Mismatch of this hand and this side, in shoulder widths."""
        wrist = hand.points[0, :2]
        cost = min(float(np.hypot(*(wrist - pose[WRISTS[side], :2]))) / unit, 2.0 * REACH)
        remembered = self._remembered[side]
        if remembered and 0 <= time_ns - remembered[0] <= REMEMBERED_NS:
            cost += min(float(np.hypot(*(wrist - remembered[1]))) / unit, REACH)
        if hand.left != (side == 0):
            cost += WRONG_LABEL * hand.score
        return cost

    def close(self) -> None:
        """End the threads and the landmarkers."""
        self._threads.shutdown()
        self._single.close()
        self._several.close()
        self._hands.close()
        self._face.close()


def _places(pose: Float32Array, unit: float, shape: tuple[int, int]) -> list[Square]:
    """Around the wrists that a hand in the picture may belong to."""
    height, width = shape
    near = REACH * unit
    return [
        Square(float(x), float(y), AROUND_WRIST * unit)
        for x, y in pose[WRISTS, :2]
        if -near <= x <= width + near and -near <= y <= height + near
    ]


def _head_box(pose: Float32Array, unit: float) -> Box:
    x, y = pose[EARS, :2].mean(axis=0).tolist()
    half = HEAD_SIZE * unit / 2
    return Box(x - half, y - half, x + half, y + half)
