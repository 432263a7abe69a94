"""Which parts of the person a picture shows, steadily enough to warn by."""

from __future__ import annotations

import math

import numpy as np

from engines.landmarks.points import Landmarks
from realtime.clock import NS_PER_S
from realtime.messages import BODY_PARTS_SEEN, BodyPart, Framing

SETTLE_S = 1.5  # time constant: a hand that passes behind the back is no framing fault
UNSEEN, SEEN = 0.3, 0.5  # share of the recent past in view below which a warning starts, above which it ends
VISIBLE = 0.5  # visibility of a landmark that is in view
LEAST_SHOULDERS = 64.0  # pixels between the shoulders; with fewer, fingers are a few pixels long
SHOULDERS, WRISTS, KNEES, ANKLES = (11, 12), (15, 16), (25, 26), (27, 28)


class Coverage:
    """Follows what is in view, picture by picture, in media time."""

    def __init__(self) -> None:
        self._begun_ns: int | None = None
        self._time_ns: int | None = None
        self._shares: dict[BodyPart, float] = {}
        self._unseen: set[BodyPart] = set()

    def update(self, landmarks: Landmarks) -> Framing:
        """The framing of this picture."""
        if not landmarks.person:
            return Framing(person_found=False, unseen=self._unseen_parts())
        now = _in_view(landmarks)
        if not self._shares:
            self._begun_ns = landmarks.time_ns
            self._shares = {part: float(seen) for part, seen in now.items()}
        elif self._time_ns is not None:
            step_s = max(0, landmarks.time_ns - self._time_ns) / NS_PER_S
            elapsed_s = max(0, landmarks.time_ns - self._begun_ns) / NS_PER_S if self._begun_ns is not None else 0.0
            # At first the mean of all pictures so far: no face is looked for in the very first.
            share = max(1.0 - math.exp(-step_s / SETTLE_S), step_s / elapsed_s if elapsed_s else 0.0)
            for part, seen in now.items():
                self._shares[part] += (seen - self._shares[part]) * share
        self._time_ns = landmarks.time_ns
        for part, value in self._shares.items():
            if value < UNSEEN:
                self._unseen.add(part)
            elif value > SEEN:
                self._unseen.discard(part)
        apart = landmarks.pose[SHOULDERS[0], :2] - landmarks.pose[SHOULDERS[1], :2]
        shoulders = max(float(np.hypot(apart[0], apart[1])), 1.0)
        return Framing(magnified=LEAST_SHOULDERS / shoulders, person_found=True, unseen=self._unseen_parts())

    def _unseen_parts(self) -> tuple[BodyPart, ...]:
        return tuple(part for part in BODY_PARTS_SEEN if part in self._unseen)


def _in_view(landmarks: Landmarks) -> dict[BodyPart, bool]:
    pose = landmarks.pose
    inside = (pose[:, 0] >= 0) & (pose[:, 0] <= landmarks.width) & (pose[:, 1] >= 0) & (pose[:, 1] <= landmarks.height)
    visible = inside & (pose[:, 3] >= VISIBLE)
    tracked = ~np.isnan(landmarks.hands[:, 0, 0])
    return {
        "face": not bool(np.isnan(landmarks.face[0, 0])),
        "hands": bool(tracked.any() or visible[list(WRISTS)].any()),
        "legs": bool(visible[list(KNEES)].any()),
        "feet": bool(visible[list(ANKLES)].any()),
    }
