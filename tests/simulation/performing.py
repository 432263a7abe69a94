"""One action performed on its own: no idle life, no noise, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation.body import Posed, pose_body
from simulation.controls import Controls
from simulation.motions import PROGRAMS, Motion, State
from simulation.postures import settle
from simulation.subject import Subject, draw_subject

FPS = 30.0
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Performance:
    index: int
    posed: Posed
    subject: Subject
    start: int
    stop: int
    hands: tuple[int, ...]
    legs: tuple[int, ...]

    @property
    def middle(self) -> int:
        return (self.start + self.stop) // 2

    def joint(self, *points: int) -> Array:
        """(T, 3) mean of pose points."""
        return np.asarray(self.posed.pose[:, list(points)].mean(axis=1))

    def inside(self, values: Array) -> Array:
        return values[self.start : self.stop]

    def angles(self) -> Array:
        """(T, 3) yaw, pitch, roll of the head in rad."""
        axes = self.posed.head_axes
        return np.stack(
            (
                np.arctan2(axes[:, 0, 2], axes[:, 2, 2]),
                np.arcsin(-axes[:, 1, 2]),
                np.arctan2(axes[:, 1, 0], axes[:, 1, 1]),
            ),
            axis=1,
        )

    def nearest(self, points: tuple[int, ...], place: Array, hands: tuple[int, ...] | None = None) -> float:
        """Metres between any of the hands' joints `points` and a place (T, 3) or (T, N, 3), halfway through."""
        place = place[self.middle].reshape(-1, 3)
        joints = np.concatenate([self.posed.hands[self.middle, hand][list(points)] for hand in hands or self.hands])
        return float(np.linalg.norm(joints[:, None] - place[None], axis=-1).min())


def perform(
    index: int,
    seed: int,
    seconds: float = 3.0,
    *,
    hands: tuple[int, ...] | None = None,
    stay: bool = False,
    hand_rest: str = "thighs",
    before: int | None = None,
) -> Performance:
    """Perform an action in the middle of a still session; `before`: an action performed ahead of it, left to stay."""
    rng = np.random.default_rng([index, seed])
    subject = draw_subject(rng)
    length = round(seconds * FPS)
    controls = Controls(length + 150, FPS)
    state = State()
    settle(Motion(controls, subject, rng, state, 0, controls.count), hand_rest, crossed=False)
    uses = PROGRAMS[index].uses
    one = (int(rng.integers(2)),)
    legs = (0, 1) if any("legs" in use for use in uses) else ()
    hands = hands or ((0, 1) if any(use in ("both hands", "hands") for use in uses) else one if "hand" in uses else ())
    if before is not None:
        PROGRAMS[before].program(Motion(controls, subject, rng, state, 5, 50, hands, legs, stay=True))
    motion = Motion(controls, subject, rng, state, 75, 75 + length, hands, legs, stay=stay)
    PROGRAMS[index].program(motion)
    for layer in state.stretched.values():
        layer.extend(controls.count)
    return Performance(index, pose_body(subject, controls), subject, motion.start, motion.stop, hands, legs)
