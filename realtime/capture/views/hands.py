"""The hands of one person in a video: found by MediaPipe, followed by its own network in OpenVINO.

What MediaPipe does while it follows a hand (its crop from the last landmarks, `HandLandmarksToRect`), without what
surrounds it there. Hands are looked for where a wrist of the pose is in or near the picture: in every picture for a
moment after one was lost, then now and then.

The network is half of what tracking costs, so hands that are slow stay for a picture where they were: they are followed
as often as the landmark model has steps. While nothing changes around the wrists they stay for longer.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.landmarks.points import Float32Array
from engines.landmarks.steps import STEP_S
from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.views.people import Square
from realtime.capture.views.picture_part import cut
from realtime.capture.views.point_network import PointNetwork, Upright
from realtime.capture.views.stillness import Stillness
from realtime.clock import NS_PER_S

UInt8Array = npt.NDArray[np.uint8]

NETWORK = "hand_landmarks_detector.tflite"  # in the task's file
# Of the 21 points, those whose extent makes the next crop: no finger tips.
FRAMING = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
WRIST, INDEX, MIDDLE, RING = 0, 5, 9, 13
SCALE, SHIFT = 2.0, -0.1  # of the crop against that extent: its size, and how far it lies towards the fingers
DEPTH = 0.4  # the network's z is in units of this share of its input
FOUND = 0.4  # confidence that is enough for a hand: one that is not at a wrist of ours is refused anyway
SAME = 0.15  # shoulder widths between two hands that are one, on average over their points; half, if labelled apart
STRAY = 0.9  # shoulder widths from every wrist at which a hand is no longer ours to follow
LOST_NS = NS_PER_S // 5  # how long one that was lost is looked for in every picture
SEARCH_EVERY_NS = NS_PER_S // 8  # afterwards
STILL_NS = NS_PER_S // 8  # how long hands stay where they were while nothing changes there
SLOW_NS = round(STEP_S * NS_PER_S)  # how long, while they are slow
SLOW = 0.6  # shoulder widths a second, mean of a hand's points: 0.02 from one picture of 30 to the next
CROP_SIDE = 960  # pixels of the picture that is searched: a hand is seen at up to 224


@dataclass(frozen=True, slots=True)
class Hand:
    """A hand that was found in a picture."""

    points: Float32Array  # (21, 3) in pixels of the source
    left: bool  # what the library calls it
    score: float  # how sure that is


class HandNetwork:
    """21 points of the hand in a square of a picture."""

    def __init__(self, task: Path, exact: bool = False) -> None:
        """task: MediaPipe's file for hands, which holds the network; exact: see `PointNetwork`."""
        self._network = PointNetwork(task, NETWORK, exact)

    def follow(self, pixels: UInt8Array, hand: Hand, least: float) -> Hand | None:
        """The hand in the next picture, uint8 (H, W, 3) RGB; None where the network is less sure than `least`."""
        square = square_of(hand.points)
        found = self._network.run(pixels, square)
        if found is None or found[1][0] < least:
            return None
        places, right = found[0].reshape(-1, 3).astype(np.float64) / self._network.size, float(found[2][0])
        return Hand(square.points(places, DEPTH), right < 0.5, max(right, 1.0 - right))


def square_of(points: Float32Array) -> Upright:
    """The square that shows a hand upright, from its (21, 3) points."""
    places = points[:, :2].astype(np.float64)
    knuckles = ((places[INDEX] + places[RING]) / 2 + places[MIDDLE]) / 2
    along = knuckles - places[WRIST]
    angle = np.pi / 2 - np.arctan2(-along[1], along[0])
    upright = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    framing = places[FRAMING]
    middle = (framing.max(axis=0) + framing.min(axis=0)) / 2
    turned = (framing - middle) @ upright  # by the angle, back
    low, high = turned.min(axis=0), turned.max(axis=0)
    size = high - low
    centre = upright @ ((low + high) / 2 + np.array([0.0, SHIFT * size[1]])) + middle
    return Upright(centre, float(SCALE * size.max()), float(angle))


class HandTracker:
    """Up to two hands. Pictures must come in order of their media time.

    Where OpenVINO is missing, MediaPipe follows them as well.
    """

    def __init__(self, model: Path) -> None:
        """model: MediaPipe's file for hands."""
        self._network = HandNetwork(model) if importlib.util.find_spec("openvino") else None
        options = dict.fromkeys(
            ("min_hand_detection_confidence", "min_hand_presence_confidence", "min_tracking_confidence"), FOUND
        )
        self._finder = VideoTask("hand", model, video=self._network is None, num_hands=2, **options)
        self._hands: list[Hand] = []
        self._still = Stillness()
        self._complete_ns: int | None = None  # when none was missing, or the first picture
        self._searched_ns: int | None = None
        self._followed_ns = 0
        self._slow = False  # when they were last followed

    def track(
        self, pixels: UInt8Array, body: Square | None, wrists: Sequence[Square] | None, unit: float, time_ns: int
    ) -> list[Hand]:
        """The hands in uint8 (H, W, 3) RGB.

        Args:
            body: where to look for those that are not followed; None: everywhere.
            wrists: around those that a hand may be at, as far as is known from the picture before; None: unknown.
            unit: shoulder width, pixels.
        """
        if wrists is not None and not wrists:
            self._hands = []
            return []
        if self._stay(pixels, time_ns):
            return self._hands
        self._still.note(pixels, wrists or (), time_ns)
        hands = self._follow(pixels, wrists, unit, time_ns)
        self._complete_ns = time_ns if self._complete_ns is None else self._complete_ns
        if len(hands) >= (2 if wrists is None else len(wrists)):
            self._complete_ns = time_ns
        elif self._due(time_ns):
            self._searched_ns = time_ns
            for hand in self._search(pixels, body, time_ns):
                if len(hands) < 2 and _ours(hand, wrists, unit) and len(distinct([*hands, hand], unit)) > len(hands):
                    hands.append(hand)
        self._hands, self._followed_ns = hands, time_ns
        return hands

    def _stay(self, pixels: UInt8Array, time_ns: int) -> bool:
        """Where they were found last they are still, as far as it matters."""
        return self._network is not None and (
            self._still.lasts(pixels, time_ns, STILL_NS) or (self._slow and 0 <= time_ns - self._followed_ns < SLOW_NS)
        )

    def _follow(self, pixels: UInt8Array, wrists: Sequence[Square] | None, unit: float, time_ns: int) -> list[Hand]:
        if self._network is None:
            return []
        pairs = [(hand, self._network.follow(pixels, hand, FOUND)) for hand in self._hands]
        passed_s = max(time_ns - self._followed_ns, 1) / NS_PER_S
        moved = [float(np.abs(now.points - hand.points)[:, :2].mean()) for hand, now in pairs if now is not None]
        self._slow = 0 < len(moved) == len(pairs) and all(way <= SLOW * unit * passed_s for way in moved)
        return distinct([now for _, now in pairs if now is not None and _ours(now, wrists, unit)], unit)

    def _due(self, time_ns: int) -> bool:
        if self._network is None or self._searched_ns is None or self._complete_ns is None:
            return True
        return time_ns - self._complete_ns <= LOST_NS or time_ns - self._searched_ns >= SEARCH_EVERY_NS

    def _search(self, pixels: UInt8Array, body: Square | None, time_ns: int) -> list[Hand]:
        crop = cut(pixels, body, CROP_SIDE)
        found = self._finder.detect(crop.pixels, time_ns)
        return [
            Hand(crop.points(points), label[0].category_name == "Left", label[0].score)
            for points, label in zip(found.hand_landmarks, found.handedness, strict=True)
        ]

    def close(self) -> None:
        self._finder.close()


def distinct(hands: list[Hand], unit: float) -> list[Hand]:
    """Without a hand that was found twice; `unit`: shoulder width, pixels."""
    if len(hands) == 2:
        apart = np.hypot(*(hands[0].points[:, :2] - hands[1].points[:, :2]).T).mean()
        if apart < SAME * unit * (1.0 if hands[0].left == hands[1].left else 0.5):
            return [max(hands, key=lambda hand: hand.score)]
    return hands


def _ours(hand: Hand, wrists: Sequence[Square] | None, unit: float) -> bool:
    x, y = hand.points[WRIST, :2].tolist()
    return wrists is None or any(np.hypot(x - one.x, y - one.y) <= STRAY * unit for one in wrists)
