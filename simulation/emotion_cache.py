"""Emotion windows of simulated interviews, kept on disk: many short sessions, a few windows of each.

Simulating and drawing a window costs more than a training step on it, and a model knows a session by heart after a
dozen epochs. Number, split and seed decide a session.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from engines.expressions import NUMBERS
from engines.landmarks.points import FACE_POINTS
from engines.landmarks.steps import STEP_S
from engines.landmarks.tracks import SCALE
from engines.specs.base import EmotionSpec
from engines.taxonomy import ACTIONS
from events.scores import FloatArray
from simulation.action_units import UNITS, displacement, draw_shape
from simulation.cache_folder import Report, digest_of, lock_folder, make_missing, write_whole
from simulation.emotion import MoodSettings
from simulation.emotion_windows import (
    AnyArray,
    EmotionWindows,
    Float32Array,
    Pictures,
    UInt8Array,
    cut,
    draw_faces,
    expression_inputs,
    faces_seen,
    typed,
)
from simulation.interview import BALANCED, NATURAL
from simulation.session import Session, Settings, simulate

RATES_HZ = (15.0, 20.0, 25.0, 30.0, 30.0)  # of cameras
NATURAL_SHARE = 0.5  # of sessions; in the others every action is about equally frequent
MARGIN_S = 1.5  # a session begins this much before its first window may: the drawing settles
EVERY = 50  # sessions in a file
BODY_SIZE = 112  # pixels of bodies that are drawn for a network without them: all branches share the drawings
MOST = 32767  # of landmarks times `SCALE`
PACKING = 1  # level of zlib: drawings are mostly black
OTHER_FACE = 0.7  # how much a training face differs from the one simulated, relative to how much people differ
# Standard deviation of the strength, where positive, at which a training face wears each action unit all the time: many
# faces at rest smile a little, or frown, by build. Only what moves tells those from a feeling.
RESTING_UNIT = 0.2


@dataclass(frozen=True, slots=True)
class EmotionPlan:
    """Which sessions, and which emotion windows of them."""

    split: str  # "train", "validation" or "test": people, cameras and events are never shared between splits
    sessions: int
    seed: int
    length: int  # T
    size: int  # S, pixels of the body's pictures; 0: landmark steps in their place
    span_s: float
    windows: int = 3  # of each session

    @property
    def seconds(self) -> float:
        """Length of a session: windows lie side by side, with a margin."""
        return MARGIN_S + 1.25 * self.windows * self.span_s

    def session(self, number: int) -> Session:
        """The session of this number."""
        rng = np.random.default_rng([self.seed, number, 2])
        mode = NATURAL if rng.random() < NATURAL_SHARE else BALANCED
        mood = MoodSettings(episode_s=(8.0, 30.0))
        settings = Settings(mode=mode, split=self.split, mood=mood)
        return simulate(int(rng.integers(2**31)), self.seconds, float(rng.choice(RATES_HZ)), settings)

    def cut(self, number: int) -> EmotionWindows:
        """The windows of a session; without the inputs of the face branch."""
        session = self.session(number)
        rng = np.random.default_rng([self.seed, number, 3])
        slots = np.arange(self.windows) + rng.random(self.windows)
        margin_s = (self.seconds - MARGIN_S) / self.windows - self.span_s
        width = (self.seconds - MARGIN_S) / self.windows
        starts = MARGIN_S + np.arange(self.windows) * width + (slots % 1.0) * margin_s
        steps = 0 if self.size else round(self.span_s / STEP_S)
        return cut(session, starts + self.span_s, self.span_s, Pictures(self.length, self.size, 0, steps))

    @property
    def folder(self) -> str:
        """Name of the folder that keeps them, so that plans of other networks may stand beside it."""
        return f"{self.split}-{self.seed}-{self.length}x{self.size}"

    @property
    def identity(self) -> str:
        """All that decides what is kept; more sessions of the same kind, and all branches, share a folder."""
        return digest_of(replace(self, sessions=0))


class KeptWindow(msgspec.Struct, frozen=True):
    """An emotion window as it is kept: pictures and landmarks compressed, actions by index."""

    inputs: dict[str, tuple[bytes, tuple[int, ...]]]  # landmarks in picture heights, as `SCALE`ths
    faces: bytes  # float32 (T, FACE_POINTS, 2); the face's drawings are made of them when they are asked for
    expressions: bytes  # float32 (T, NUMBERS); NaN: no face
    felt: list[float]  # (6,) share of each emotion, and of none
    actions: list[int]

    @classmethod
    def all_of(cls, found: EmotionWindows) -> list[KeptWindow]:
        """Of every window that was cut from a session."""
        return [
            cls(
                {name: _pack(array[at]) for name, array in found.inputs.items()},
                found.faces[at].tobytes(),
                found.expressions[at].tobytes(),
                found.felt[at].tolist(),
                np.flatnonzero(found.actions[at]).tolist(),
            )
            for at in range(len(found.felt))
        ]

    def open(self, spec: EmotionSpec, rng: np.random.Generator | None, bodies: bool) -> dict[str, AnyArray]:
        """The inputs of a network; with `rng` the face is another person's, with the same expressions."""
        wanted = spec.inputs.keys() - ({"body", "landmarks"} if not bodies else set())
        inputs: dict[str, AnyArray] = {
            name: _unpack(*packed) for name, packed in self.inputs.items() if name in wanted and name != "landmarks"
        }
        if "landmarks" in wanted:
            inputs["landmarks"] = _unpack_landmarks(*self.inputs["landmarks"])
        if spec.face_size:
            faces = np.frombuffer(self.faces, np.float32).reshape(-1, FACE_POINTS, 2)
            if rng is not None:
                other = OTHER_FACE * draw_shape(rng)[:, :2] + resting(rng)[:, :2]
                faces = (faces + other).astype(np.float32)
            inputs["face"], inputs["face_seen"] = draw_faces(faces, spec.face_size), faces_seen(faces)
        if spec.reads_expressions:
            inputs |= expression_inputs(np.frombuffer(self.expressions, np.float32).reshape(-1, NUMBERS))
        return typed(inputs, spec)


def resting(rng: np.random.Generator) -> FloatArray:
    """(FACE_POINTS, 3) cm by which a face at rest looks as if it showed something."""
    strength = np.clip(rng.normal(0.0, RESTING_UNIT, len(UNITS)), 0.0, None)
    return np.asarray(displacement(np.stack((strength, strength))[None])[0])


class EmotionCache:
    """A plan's emotion windows: made once, kept in a folder, in memory compressed."""

    def __init__(self, folder: Path, plan: EmotionPlan, workers: int, report: Report) -> None:
        """Open or make them, in `workers` processes.

        Raises:
            BadInput: the folder cannot be written, or holds windows of other sessions.
        """
        self.plan = plan
        lock_folder(folder, plan.identity)
        firsts = range(0, plan.sessions, EVERY)
        missing = [first for first in firsts if not _file(folder, plan, first).exists()]
        make_missing(partial(_make, folder, plan), missing, workers, f"drawing {plan.split}", report)
        files = [_file(folder, plan, first).read_bytes() for first in firsts]
        self.windows = [one for file in files for one in msgspec.msgpack.decode(file, type=list[KeptWindow])]

    def labels(self) -> tuple[Float32Array, Float32Array]:
        """`felt` (N, 6), and actions (N, 52), 0 or 1, of all windows."""
        actions = np.zeros((len(self.windows), len(ACTIONS)), np.float32)
        for row, one in enumerate(self.windows):
            actions[row, one.actions] = 1.0
        return np.array([one.felt for one in self.windows], np.float32), actions


def _file(folder: Path, plan: EmotionPlan, first: int) -> Path:
    """Of these sessions: fewer than `EVERY` at the end, where more may be made later."""
    return folder / f"{first:06d}-{min(first + EVERY, plan.sessions):06d}.windows"


def _make(folder: Path, plan: EmotionPlan, first: int) -> None:
    """Write the file that begins with this session."""
    numbers = range(first, min(first + EVERY, plan.sessions))
    kept = [one for number in numbers for one in KeptWindow.all_of(plan.cut(number))]
    write_whole(_file(folder, plan, first), lambda path: path.write_bytes(msgspec.msgpack.encode(kept)))


def plan_size(spec: EmotionSpec) -> int:
    """`EmotionPlan.size` of a network's windows."""
    return 0 if spec.steps else spec.picture_size or BODY_SIZE


def _pack(array: AnyArray) -> tuple[bytes, tuple[int, ...]]:
    if array.dtype == np.float32:  # landmarks: two bytes a number
        array = np.clip(np.rint(array * SCALE), -MOST, MOST).astype(np.int16)
    return zlib.compress(np.ascontiguousarray(array).tobytes(), PACKING), array.shape


def _unpack(data: bytes, shape: tuple[int, ...]) -> UInt8Array:
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape).copy()  # torch wants it writable


def _unpack_landmarks(data: bytes, shape: tuple[int, ...]) -> Float32Array:
    return np.frombuffer(zlib.decompress(data), np.int16).reshape(shape).astype(np.float32) / np.float32(SCALE)
