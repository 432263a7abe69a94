"""What a motion program works with, and the register of programs.

A program writes into a section of the controls. It starts from rest at its first frame and is back at rest at its last;
the way out and the way back belong to the action. The exceptions change the posture and leave it changed: sitting
straightly, spreading and closing the legs, stretching and retracting the feet, retracting the arms, and, where
`Motion.stay` is set, bowing the head and stretching the arms; there the action ends when the body has arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simulation.controls import Controls, Reach, Step
from simulation.geometry import Array, envelope, minimum_jerk, unit, wander
from simulation.hand import RELAXED
from simulation.subject import Subject

TIPS, INDEX, INDEX_MIDDLE, PALM, WRIST, PINCH_TIPS, KNUCKLES, THUMB = (
    (8, 12, 16),
    (8,),
    (8, 12),
    (0, 5, 9, 17),
    (0,),
    (4, 8),
    (6, 10),
    (4,),
)

TOGETHER = ("clasped", "stacked", "between")  # rests in which the hands hold each other


@dataclass(slots=True)
class State:
    """What earlier actions of the session left behind; limits keep the body plausible."""

    knee_out: list[float] = field(default_factory=lambda: [0.15, 0.15])
    foot_z: list[float] = field(default_factory=lambda: [0.0, 0.0])
    foot_x: list[float] = field(default_factory=lambda: [0.0, 0.0])
    slouch: float = 0.5
    bowed: float = 0.0  # rad the head was left bowed
    stretched: dict[int, Reach] = field(default_factory=dict)  # hand -> the reach it was left in
    aside: float = 0.0  # rad of yaw at which the head rests, against the trunk
    crossed: bool = False  # the legs rest crossed
    hand_rests: list[str] = field(default_factory=lambda: ["thighs", "thighs"])  # where each hand rests (see postures)

    @property
    def hands_rest_together(self) -> bool:
        return self.hand_rests[0] in TOGETHER


@dataclass(slots=True)
class Motion:
    """One action to be written: frames start .. stop of the controls."""

    controls: Controls
    subject: Subject
    rng: np.random.Generator
    state: State
    start: int
    stop: int
    hands: tuple[int, ...] = ()
    legs: tuple[int, ...] = ()
    stay: bool = False

    @property
    def count(self) -> int:
        return self.stop - self.start

    @property
    def fps(self) -> float:
        return self.controls.fps

    @property
    def times(self) -> Array:
        """(count,) seconds since the onset."""
        return np.arange(self.count) / self.fps

    @property
    def length(self) -> float:
        """Seconds."""
        return (self.count - 1) / self.fps

    @property
    def hand(self) -> int:
        return self.hands[0]

    @property
    def sign(self) -> float:
        """At random, to the left or to the right."""
        return 1.0 if self.rng.random() < 0.5 else -1.0

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pick(self, *weights: float) -> int:
        """Index of one of several styles."""
        shares = np.array(weights) / sum(weights)
        return int(self.rng.choice(len(weights), p=shares))

    def size(self, low: float, high: float) -> float:
        """An amplitude at random, scaled by the person's vigour but never outside the range by more than a fifth."""
        value = self.between(low, high) * self.subject.vigour**0.5
        return float(np.clip(value, 0.8 * low, 1.2 * high))

    def ease(self, low: float, high: float) -> float:
        """Seconds of a movement at this person's tempo."""
        return self.between(low, high) / self.subject.tempo

    def envelope(self, attack: float, release: float, overshoot: float = 0.0) -> Array:
        return envelope(self.times, self.length, attack, release, overshoot)

    def arrive(self, seconds: float | None = None) -> Array:
        """(count,) 0 to 1 within `seconds` (default: the whole action), then held."""
        return minimum_jerk(self.times / max(seconds or self.length, 1e-3))

    def cycle(self, hertz: float, drift: float = 0.1) -> Array:
        """(count,) phase in rad of an oscillation whose pace drifts a little; starts at 0."""
        pace = hertz * (1.0 + drift * wander(self.rng, self.count, self.fps, 0.6)[:, 0])
        return np.asarray(2 * np.pi * np.cumsum(pace) / self.fps)

    def wander(self, seconds: float, width: int = 1) -> Array:
        """(count, width) smooth noise of standard deviation 1."""
        return wander(self.rng, self.count, self.fps, seconds, width)

    def add(self, channel: str, curve: Array) -> None:
        self.controls.channel(channel)[self.start : self.stop] += curve

    def shift(self, channel: str, curve: Array, amount: float) -> None:
        """Add amount · curve now and `amount` for the rest of the session; the curve ends at 1."""
        self.controls.channel(channel)[self.start : self.stop] += amount * curve
        self.controls.channel(channel)[self.stop :] += amount

    def reach(
        self,
        hand: int,
        weight: Array,
        anchor: str,
        offset: tuple[float, float, float] | Array,
        fingers: tuple[float, float, float],
        palm: tuple[float, float, float],
        contact: tuple[int, ...],
        shape: Array = RELAXED,
        *,
        motion: Array | None = None,
        arc: tuple[float, float, float] = (0.03, 0.02, 0.1),
        swivel: float | None = None,
        loose: float = 0.015,
        turn: float = 0.18,
    ) -> Reach:
        """Bring a hand somewhere (see Reach); so many parameters that a call says all of a movement.

        motion: (count, 3) added to the offset; loose, turn: random differences between one performance and the next in
        metres and in the hand's direction.
        """
        count = len(weight)
        place = np.asarray(offset, dtype=np.float64) + self.rng.normal(0.0, loose, 3)
        path = (
            np.broadcast_to(place, (count, 3))
            + (0.0 if motion is None else motion)
            + 0.004 * self.wander(0.7, 3)[:count]
        )
        ahead = unit(np.array(fingers) + self.rng.normal(0.0, turn, 3))
        facing = unit(np.array(palm) + self.rng.normal(0.0, turn, 3))
        shapes = np.asarray(shape) + 0.05 * self.rng.standard_normal(6)
        layer = Reach(
            hand,
            self.start,
            weight,
            anchor,
            path,
            np.tile(ahead, (count, 1)),
            np.tile(facing, (count, 1)),
            contact,
            np.tile(shapes, (count, 1)),
            np.array(arc) * self.between(0.6, 1.4) * self.subject.scale,
            swivel,
        )
        self.controls.reaches.append(layer)
        return layer

    def step(
        self,
        leg: int,
        weight: Array,
        anchor: str,
        ankle: tuple[float, float, float],
        pole: tuple[float, float, float],
        pitch: float,
        yaw: float = 0.1,
        *,
        motion: Array | None = None,
        loose: float = 0.02,
        arc: tuple[float, float, float] = (0.0, 0.06, 0.08),
    ) -> None:
        """Take a foot off its place (see Step); so many parameters as `reach`. pitch, yaw in rad."""
        count = len(weight)
        place = np.array(ankle) + self.rng.normal(0.0, loose, 3)
        path = np.broadcast_to(place, (count, 3)) + (0.0 if motion is None else motion)
        self.controls.steps.append(
            Step(
                leg,
                self.start,
                weight,
                anchor,
                path,
                np.array(pole),
                np.full(count, pitch),
                np.full(count, yaw),
                np.array(arc) * self.subject.scale,
            )
        )

    def fingers(self, hand: int, curve: Array) -> None:
        """Add to a hand's shape; curve (count, SHAPE_SIZE)."""
        self.controls.shape_offset[hand, self.start : self.stop] += curve

    def move_hand(self, hand: int, curve: Array) -> None:
        """Add to a hand's place; curve (count, 3) metres in the torso's axes, x outwards."""
        self.controls.hand_offset[hand, self.start : self.stop] += curve


Program = Callable[[Motion], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A program and what it occupies: "torso", "head", "hand" (one), "hands" (one or both), "both hands", "leg" (one),
    "legs" (one or both), "both legs".
    """

    program: Program
    uses: tuple[str, ...]
    shortest_s: float


PROGRAMS: dict[int, Entry] = {}


def motion(index: int, *uses: str, shortest_s: float = 0.8) -> Callable[[Program], Program]:
    """Register the program of an action."""

    def register(program: Program) -> Program:
        PROGRAMS[index] = Entry(program, uses, shortest_s)
        return program

    return register
