"""Stretches of simulated interviews with emotions, kept on disk: many short sessions, a few stretches of each.

Simulating and drawing a stretch costs more than a training step on it, and a model knows a session by heart after a
dozen looks. Number, split and seed decide a session.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np

from engines.landmarks.points import FACE_POINTS
from engines.specs.base import EmotionSpec
from engines.taxonomy import ACTIONS
from events.scores import FloatArray
from simulation.action_units import UNITS, displacement, draw_shape
from simulation.emotion import MoodSettings
from simulation.emotion_windows import EmotionWindows as Cut
from simulation.emotion_windows import cut, draw_faces, faces_seen
from simulation.interview import BALANCED, NATURAL
from simulation.session import Session, Settings, simulate
from training.drawings_folder import claim, digest_of, write_whole
from training.emotion.stretches import Example, Float32Array, Varied, pack, unpack, vary

RATES_HZ = (15.0, 20.0, 25.0, 30.0, 30.0)  # of cameras
NATURAL_SHARE = 0.5  # of sessions; in the others every action is about equally frequent
MARGIN_S = 1.5  # a session begins this much before its first stretch may: the drawing settles
EVERY = 50  # sessions in a file
OTHER_FACE = 0.7  # how much a training face differs from the one simulated, relative to how much people differ
# Standard deviation of the strength, where positive, at which a training face wears each action unit all the time: many
# faces at rest smile a little, or frown, by build. Only what moves tells those from a feeling.
RESTING_UNIT = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """Which sessions, and which stretches of them."""

    split: str  # "train", "validation" or "test": people, cameras and events are never shared between splits
    sessions: int
    seed: int
    spec: EmotionSpec  # what is drawn
    span_s: float
    stretches: int = 3  # of each session

    @property
    def seconds(self) -> float:
        """Length of a session: stretches lie side by side, with some room."""
        return MARGIN_S + 1.25 * self.stretches * self.span_s

    def session(self, number: int) -> Session:
        """The session of this number."""
        rng = np.random.default_rng([self.seed, number, 2])
        mode = NATURAL if rng.random() < NATURAL_SHARE else BALANCED
        mood = MoodSettings(episode_s=(8.0, 30.0))
        settings = Settings(mode=mode, split=self.split, mood=mood)
        return simulate(int(rng.integers(2**31)), self.seconds, float(rng.choice(RATES_HZ)), settings)

    def cut(self, number: int) -> Cut:
        """The stretches of a session; without the inputs of the face branch."""
        session = self.session(number)
        rng = np.random.default_rng([self.seed, number, 3])
        slots = np.arange(self.stretches) + rng.random(self.stretches)
        room = (self.seconds - MARGIN_S) / self.stretches - self.span_s
        width = (self.seconds - MARGIN_S) / self.stretches
        starts = MARGIN_S + np.arange(self.stretches) * width + (slots % 1.0) * room
        return cut(session, starts + self.span_s, self.span_s, self.spec, face=False)

    def identity(self) -> str:
        """All that decides what is kept, the program included, as a digest: the full network and the one without a face
        branch share a folder."""
        body = {name: list(shape) for name, shape in self.spec.inputs.items() if name.startswith("body")}
        spec = msgspec.json.encode(body).decode()
        settings = f"{self.split} {self.seed} {self.span_s} {self.stretches} {spec}"
        return digest_of(settings)


class Stored(msgspec.Struct, frozen=True):
    """A stretch as it is kept: pictures compressed, actions by index."""

    inputs: dict[str, tuple[bytes, tuple[int, ...]]]
    faces: bytes  # float32 (T, FACE_POINTS, 2); the face's drawings are made of them when they are asked for
    felt: list[float]
    actions: list[int]

    @classmethod
    def all_of(cls, found: Cut) -> list[Stored]:
        """Of every stretch that was cut from a session."""
        return [
            cls(
                {name: pack(array[at]) for name, array in found.inputs.items()},
                found.faces[at].tobytes(),
                found.felt[at].tolist(),
                np.flatnonzero(found.actions[at]).tolist(),
            )
            for at in range(len(found.felt))
        ]

    def open(self, face_size: int, rng: np.random.Generator | None, bodies: bool) -> Example:
        """The stretch, maybe without its bodies; with `rng` the face is somebody else's, with the same expressions."""
        done = np.zeros(len(ACTIONS), np.float32)
        done[self.actions] = 1.0
        inputs = {name: unpack(*packed) for name, packed in self.inputs.items() if bodies or name != "body"}
        if face_size:
            faces = np.frombuffer(self.faces, np.float32).reshape(-1, FACE_POINTS, 2)
            if rng is not None:
                other = OTHER_FACE * draw_shape(rng)[:, :2] + resting(rng)[:, :2]
                faces = (faces + other).astype(np.float32)
            inputs["face"], inputs["face_seen"] = draw_faces(faces, face_size), faces_seen(faces)
        return Example(inputs, np.array(self.felt, np.float32), done)


def resting(rng: np.random.Generator) -> FloatArray:
    """(FACE_POINTS, 3) cm by which a face at rest looks as if it showed something."""
    strength = np.clip(rng.normal(0.0, RESTING_UNIT, len(UNITS)), 0.0, None)
    return np.asarray(displacement(np.stack((strength, strength))[None])[0])


class Stretches(Varied):
    """A plan's stretches: made once, kept in `folder`, read into memory compressed. A `Source`."""

    def __init__(self, plan: Plan, folder: Path, *, vary: bool, seed: int = 0) -> None:
        """Open or make the folder.

        Raises:
            BadInput: it cannot be written, or holds stretches of other sessions.
        """
        self.plan, self.folder, self._vary, self._seed = plan, folder, vary, seed
        self._stored: list[Stored] = []
        claim(folder, plan.identity())

    def fill(self, workers: int, report: Callable[[int], None]) -> None:
        """Make what is not there yet, in `workers` processes, and read all of it; `report` is told of sessions."""
        firsts = range(0, self.plan.sessions, EVERY)
        missing = [first for first in firsts if not self._file(first).exists()]
        done = self.plan.sessions - len(missing) * EVERY
        if workers < 1:
            for first in missing:
                self.make(first)
                report(done := done + EVERY)
        elif missing:
            with ProcessPoolExecutor(workers, get_context("spawn")) as pool:  # torch has threads, which a fork loses
                for _ in pool.map(self.make, missing):
                    report(done := done + EVERY)
        self._stored = [one for first in firsts for one in _read(self._file(first))]

    def make(self, first: int) -> None:
        """Write the file that begins with this session."""
        numbers = range(first, min(first + EVERY, self.plan.sessions))
        stored = [one for number in numbers for one in Stored.all_of(self.plan.cut(number))]
        write_whole(self._file(first), lambda path: path.write_bytes(msgspec.msgpack.encode(stored)))

    def _file(self, first: int) -> Path:
        return self.folder / f"{first:06d}.stretches"

    def __len__(self) -> int:
        return len(self._stored)

    def item(self, index: int, epoch: int) -> Example:
        """See `Source.item`."""
        face_size = self.plan.spec.face_size
        if not self._vary:
            return self._stored[index].open(face_size, None, self._bodies)
        rng = np.random.default_rng([self._seed, epoch, index])
        return vary(self._stored[index].open(face_size, rng, self._bodies), rng, drawn=True)

    def labels(self) -> tuple[Float32Array, Float32Array]:
        """See `Source.labels`."""
        actions = np.zeros((len(self), len(ACTIONS)), np.float32)
        for row, one in enumerate(self._stored):
            actions[row, one.actions] = 1.0
        return np.array([one.felt for one in self._stored], np.float32), actions


def _read(path: Path) -> list[Stored]:
    return msgspec.msgpack.decode(path.read_bytes(), type=list[Stored])
