"""Named places on a body that hands reach for: an origin and axes that move with the body part.

x of the axes points to the person's left; `origin` mirrors for the right hand ("same": the hand's own side).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulation.geometry import Array, frame_along, rotation, turn
from simulation.subject import Subject


@dataclass(slots=True)
class Frames:
    """What anchors are computed from; T frames. Lists hold left, right."""

    subject: Subject
    pelvis: Array  # (T, 3)
    pelvis_axes: Array  # (T, 3, 3)
    thorax: Array  # (T, 3) between the shoulder joints at rest
    thorax_axes: Array
    neck_base: Array
    neck_axes: Array
    head: Array
    head_axes: Array
    shoulders: list[Array]
    hips: list[Array]
    knees: list[Array]
    ankles: list[Array]
    elbows: list[Array]  # of a first solution; empty before it
    wrists: list[Array]

    def cut(self, start: int, stop: int) -> Frames:
        """The same for frames start .. stop."""
        part = slice(start, stop)
        lists = [
            [a[part] for a in group]
            for group in (self.shoulders, self.hips, self.knees, self.ankles, self.elbows, self.wrists)
        ]
        return Frames(
            self.subject,
            self.pelvis[part],
            self.pelvis_axes[part],
            self.thorax[part],
            self.thorax_axes[part],
            self.neck_base[part],
            self.neck_axes[part],
            self.head[part],
            self.head_axes[part],
            *lists,
        )


Place = tuple[Array, Array]  # origin (T, 3), axes (T, 3, 3)
Anchor = Callable[[Frames, int], Place]
CROSS_ANCHORS = frozenset({"forearm_other", "upper_arm_other", "wrist_other"})  # need the other arm first

# metres for a stature of 1.7 m (head: for a head of scale 1), x outwards on the hand's own side
_HEAD = {
    "nose": (0.0, -0.012, 0.077),
    "nose_bridge": (0.0, 0.025, 0.062),
    "forehead": (0.005, 0.065, 0.056),
    "eye": (0.032, 0.027, 0.045),
    "eye_other": (-0.032, 0.027, 0.045),
    "ear": (0.081, 0.008, -0.026),
    "cheek": (0.052, -0.025, 0.045),
    "cheek_other": (-0.052, -0.025, 0.045),
    "chin": (0.0, -0.088, 0.052),
    "mouth": (0.0, -0.043, 0.062),
    "temple": (0.07, 0.045, 0.012),
    "crown": (0.02, 0.125, -0.01),
    "hair_side": (0.076, 0.085, -0.02),
    "hair_front": (0.035, 0.1, 0.045),
    "hindbrain": (0.02, 0.015, -0.115),
    "glasses": (0.0, 0.022, 0.066),
    "glasses_hinge": (0.068, 0.025, 0.03),
    "jaw": (0.058, -0.06, 0.015),
}
_NECK = {"neck_side": (0.058, 0.05, 0.012), "neck_front": (0.0, 0.035, 0.055), "nape": (0.015, 0.075, -0.058)}
_THORAX = {  # z and x grow with the girth
    "chest": (0.0, -0.13, 0.105),
    "chest_same": (0.08, -0.09, 0.1),
    "chest_other": (-0.09, -0.1, 0.1),
    "belly": (0.0, -0.32, 0.125),
    "back": (0.06, -0.14, -0.115),
    "front": (0.0, -0.2, 0.27),
}
_PELVIS = {
    "waist": (0.17, 0.11, 0.02),
    "lower_back": (0.07, 0.17, -0.125),
    "lap": (0.0, 0.1, 0.17),
    "armrest": (0.27, 0.19, 0.2),
    "seat_side": (0.24, -0.02, 0.02),
    "table": (0.1, 0.24, 0.36),
}


def _fixed(
    origin: Callable[[Frames], Array],
    axes: Callable[[Frames], Array],
    offset: tuple[float, float, float],
    scale: Callable[[Subject], Array],
) -> Anchor:
    def place(frames: Frames, hand: int) -> Place:
        local = np.array(offset) * scale(frames.subject)
        local[0] *= 1.0 if hand == 0 else -1.0
        return origin(frames) + turn(axes(frames), local), axes(frames)

    return place


_UP, _FRONT = np.array([0.0, 1.0, 0.25]), np.array([0.0, 0.3, 1.0])


def _segment(start: str, end: str, same: bool, outer: Array) -> Anchor:
    """Origin at the segment's start, z along the segment, y to its `outer` side."""

    def place(frames: Frames, hand: int) -> Place:
        side = hand if same else 1 - hand
        first: Array = getattr(frames, start)[side]
        last: Array = getattr(frames, end)[side]
        return first, frame_along(last - first, np.broadcast_to(outer, first.shape))

    return place


def _shoulder(same: bool) -> Anchor:
    def place(frames: Frames, hand: int) -> Place:
        side = hand if same else 1 - hand
        return frames.shoulders[side] + turn(frames.thorax_axes, np.array([0.0, 0.035, 0.01])), frames.thorax_axes

    return place


def _space(frames: Frames, hand: int) -> Place:
    """Free space in front of the hand's own shoulder; turns with the torso but stays upright."""
    axes = frames.thorax_axes
    yaw = np.arctan2(axes[:, 0, 2], axes[:, 2, 2])
    level = np.zeros_like(yaw)
    return frames.shoulders[hand], rotation(yaw, level, level)


def _foot(frames: Frames, hand: int) -> Place:
    return frames.ankles[hand], np.broadcast_to(np.eye(3), (len(frames.pelvis), 3, 3))


def _foot_other(frames: Frames, hand: int) -> Place:
    return _foot(frames, 1 - hand)


ANCHORS: dict[str, Anchor] = {
    **{
        name: _fixed(lambda f: f.head, lambda f: f.head_axes, at, lambda s: s.head * np.array([s.face_width, 1.0, 1.0]))
        for name, at in _HEAD.items()
    },
    **{
        name: _fixed(lambda f: f.neck_base, lambda f: f.neck_axes, at, lambda s: np.full(3, s.scale))
        for name, at in _NECK.items()
    },
    **{
        name: _fixed(
            lambda f: f.thorax, lambda f: f.thorax_axes, at, lambda s: s.scale * np.array([s.girth, 1.0, s.girth])
        )
        for name, at in _THORAX.items()
    },
    **{
        name: _fixed(
            lambda f: f.pelvis, lambda f: f.pelvis_axes, at, lambda s: s.scale * np.array([s.girth, 1.0, s.girth])
        )
        for name, at in _PELVIS.items()
    },
    "shoulder": _shoulder(same=True),
    "shoulder_other": _shoulder(same=False),
    "space": _space,
    "thigh": _segment("hips", "knees", True, _UP),
    "thigh_other": _segment("hips", "knees", False, _UP),
    "shank": _segment("knees", "ankles", True, _FRONT),
    "shank_other": _segment("knees", "ankles", False, _FRONT),
    "forearm_other": _segment("elbows", "wrists", False, _UP),
    "upper_arm_other": _segment("shoulders", "elbows", False, _FRONT),
    "foot": _foot,
    "foot_other": _foot_other,
}
