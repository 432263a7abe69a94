"""What motion programs write: channels that add up, and layers that take hands and legs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simulation.geometry import Array
from simulation.hand import SHAPE_SIZE

LEFT, RIGHT = 0, 1

CHANNELS = (
    "lean",
    "side",
    "twist",
    "slouch",
    "pelvis_x",
    "pelvis_y",
    "pelvis_z",
    "pelvis_yaw",  # rad; slouch 0..1.5; metres
    "shrug_left",
    "shrug_right",
    "protract",  # metres the shoulders rise and come forward
    "head_yaw",
    "head_pitch",
    "head_roll",
    "head_forward",  # rad against the torso; metres
    "blink",
    "squint",
    "brow",
    "mouth_open",
    "smile",
    "pout",
    "knee_out_left",
    "knee_out_right",  # sideways share of the direction in which the knee points
    "foot_x_left",
    "foot_x_right",
    "foot_z_left",
    "foot_z_right",  # metres outwards and forward on the floor
    "foot_y_left",
    "foot_y_right",
    "heel_left",
    "heel_right",
    "toe_left",
    "toe_right",  # metres, rad lifted
    "foot_yaw_left",
    "foot_yaw_right",  # rad outwards
)
_COLUMN = {name: index for index, name in enumerate(CHANNELS)}


@dataclass(slots=True)
class Reach:
    """Takes one hand from where it is to a place on the body, frames start .. start + len(weight).

    Directions and offsets are in the anchor's axes with x pointing outwards on the hand's own side.
    """

    hand: int
    start: int
    weight: Array  # (n,) 0: as before, 1: there
    anchor: str
    offset: Array  # (n, 3) metres from the anchor, scaled with the body
    fingers: Array  # (n, 3) where the fingers point
    palm: Array  # (n, 3) where the palm faces
    contact: tuple[int, ...]  # the hand joints whose mean is brought to the place
    shape: Array  # (n, SHAPE_SIZE)
    arc: Array  # (3,) metres: detour on the way, in the torso's axes
    swivel: float | None = None  # how far the elbow points outwards, 0 down .. 1 sideways

    def extend(self, stop: int, fade: Array | None = None) -> None:
        """Hold the last frame up to frame `stop`, then let the weight follow `fade`."""
        held = stop - self.start - len(self.weight)
        if held < 0:
            raise ValueError("a held reach must end before the motion that releases it starts")
        self.weight = np.concatenate((self.weight, np.ones(held), () if fade is None else fade))
        for name in ("offset", "fingers", "palm", "shape"):
            values = getattr(self, name)
            setattr(
                self, name, np.concatenate((values, np.repeat(values[-1:], len(self.weight) - len(values), axis=0)))
            )


@dataclass(slots=True)
class Step:
    """Takes one foot off its place on the floor, frames start .. start + len(weight)."""

    leg: int
    start: int
    weight: Array  # (n,)
    anchor: str  # "seat" or "other_knee"
    ankle: Array  # (n, 3) metres from the anchor, x outwards on the leg's own side
    pole: Array  # (3,) where the knee points
    pitch: Array  # (n,) rad the toes point down
    yaw: Array  # (n,) rad the toes point outwards
    arc: Array  # (3,) metres: detour on the way


@dataclass(slots=True)
class Controls:
    """Everything that poses a body for `count` frames."""

    count: int
    fps: float
    values: Array = field(init=False)  # (count, len(CHANNELS))
    hand_offset: Array = field(init=False)  # (2, count, 3) metres, torso axes, x outwards: added to the hands' places
    shape_offset: Array = field(init=False)  # (2, count, SHAPE_SIZE) added to the fingers' shape
    reaches: list[Reach] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    expression: Array | None = None  # (count, 2, U) strengths of the left and right halves of action_units.UNITS
    face_shape: Array | None = None  # (FACE_POINTS, 3) cm: how this face at rest differs from the canonical one

    def __post_init__(self) -> None:
        self.values = np.zeros((self.count, len(CHANNELS)))
        self.hand_offset = np.zeros((2, self.count, 3))
        self.shape_offset = np.zeros((2, self.count, SHAPE_SIZE))

    def channel(self, name: str) -> Array:
        """(count,) view of one channel."""
        return self.values[:, _COLUMN[name]]

    def pair(self, name: str) -> tuple[Array, Array]:
        """Views of a channel's left and right."""
        return self.channel(f"{name}_left"), self.channel(f"{name}_right")

    def crop(self, count: int) -> None:
        """Keep the first `count` frames."""
        self.count, self.values = count, self.values[:count]
        self.hand_offset, self.shape_offset = self.hand_offset[:, :count], self.shape_offset[:, :count]
        self.reaches = [layer for layer in self.reaches if layer.start < count]
        self.steps = [layer for layer in self.steps if layer.start < count]
        for layer in self.reaches:
            kept = count - layer.start
            layer.weight, layer.offset, layer.shape = layer.weight[:kept], layer.offset[:kept], layer.shape[:kept]
            layer.fingers, layer.palm = layer.fingers[:kept], layer.palm[:kept]
        for step in self.steps:
            kept = count - step.start
            step.weight, step.ankle, step.pitch, step.yaw = (
                step.weight[:kept],
                step.ankle[:kept],
                step.pitch[:kept],
                step.yaw[:kept],
            )
