"""Landmark drawings of simulated interviews, kept on disk to train on.

Drawing a window costs about as much as training on it, so each session is drawn once, at the spacing of a window's
samples, and kept on disk: any `length` drawings in a row are a window. Lines on black pack well: a session takes a
seventh of its pixels, and thousands fit into the machine's memory. Sessions are numbered; number, split and seed
decide a session, so that the drawings of another machine, or of another process, are the same.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from engines.specs.base import OFFICIAL_SPAN_S
from events.scores import Event, FloatArray
from simulation.cache_folder import Report, digest_of, lock_folder, make_missing, write_whole
from simulation.interview import BALANCED, IDLE, NATURAL
from simulation.session import Session, Settings, simulate
from simulation.tracker_noise import NoiseSettings
from simulation.windows import Float32Array, UInt8Array, draw, events_of, targets

RATES_HZ = (15.0, 20.0, 25.0, 30.0, 30.0)  # of cameras
MODES = (*[BALANCED] * 6, *[NATURAL] * 2, *[IDLE] * 2)
NOISE = NoiseSettings(faces_lost_session=0.4)  # more often than usual: heads without a face are hard to learn
MISSED_S = 6.0  # at most: recordings begin at any moment, actions may be under way
PACKING = 1  # level of zlib: the fastest


@dataclass(frozen=True, slots=True)
class Plan:
    """Which sessions, and how they are cut into windows."""

    split: str  # "train", "validation" or "test": people, cameras and events are never shared between splits
    sessions: int
    seconds: float  # length of a session
    seed: int
    size: int  # S
    length: int  # T
    focus: float = 0.5  # see `simulation.windows.targets`
    span_s: float = OFFICIAL_SPAN_S

    @property
    def identity(self) -> str:
        """All that decides the drawings; more sessions of the same kind, or another focus, share a folder."""
        return digest_of(replace(self, sessions=0, focus=0.0))

    @property
    def spacing_s(self) -> float:
        """Time between two samples of a window."""
        return self.span_s / self.length

    @property
    def drawings(self) -> int:
        """Drawings per session."""
        return int(self.seconds / self.spacing_s) - 1

    @property
    def positions(self) -> int:
        """Windows per session that begin at different drawings."""
        return self.drawings - self.length + 1

    def session(self, number: int) -> tuple[Session, float]:
        """The session of this number, and when its first drawing is (seconds)."""
        rng = np.random.default_rng([self.seed, number, 1])
        seed = int(rng.integers(2**31))
        settings = Settings(mode=str(rng.choice(MODES)), split=self.split, noise=NOISE)
        missed_s = float(rng.uniform(0.0, MISSED_S))
        session = simulate(seed, self.seconds + MISSED_S, float(rng.choice(RATES_HZ)), settings).after(missed_s)
        return session, float(rng.uniform(0.05, self.spacing_s))


class Cache:
    """A plan's drawings on disk, one file per session, written in one step."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Open or make a cache.

        Raises:
            BadInput: the folder cannot be written, or holds drawings of other sessions.
        """
        self.folder, self.plan = folder, plan
        lock_folder(folder, plan.identity)

    def fill(self, workers: int, report: Report) -> None:
        """Draw all sessions that are not there yet, in `workers` processes."""
        missing = [number for number in range(self.plan.sessions) if not self._files(number)[1].exists()]
        make_missing(self.make, missing, workers, f"drawing {self.plan.split}", report)

    def window(self, number: int, position: int) -> tuple[UInt8Array, float, list[Event]]:
        """A window's drawings uint8 (T, S, S, 3), its end in seconds, and the ground truth of its session.

        `position` is 0..`plan.positions` - 1.
        """
        ends_s, events = self._truth(number)
        drawings = _unpack(self._files(number)[0], position, position + self.plan.length, self.plan)
        return drawings, float(ends_s[position]), events

    def targets(self, number: int) -> Float32Array:
        """Targets of the windows of a session, float32 (`plan.positions`, 52)."""
        ends_s, events = self._truth(number)
        return targets(events, ends_s, self.plan.span_s, self.plan.length, self.plan.focus)

    def _truth(self, number: int) -> tuple[FloatArray, list[Event]]:
        """When the windows of a session end, in seconds (`plan.positions`,), and its events."""
        file = self._files(number)[1]
        if not file.exists():
            self.make(number)
        rows = np.load(file)  # (1 + E, 3): when the first drawing is, then the events
        last = np.arange(self.plan.positions) + self.plan.length - 1
        events = [(int(index), float(onset), float(offset)) for index, onset, offset in rows[1:]]
        return rows[0, 0] + last * self.plan.spacing_s, events

    def _files(self, number: int) -> tuple[Path, Path]:
        name = f"{number:06d}"
        return self.folder / f"{name}.drawings", self.folder / f"{name}.truth.npy"

    def make(self, number: int) -> None:
        """Draw a session."""
        plan = self.plan
        session, first_s = plan.session(number)
        moments = np.round((first_s + np.arange(plan.drawings) * plan.spacing_s) * 1e9).astype(np.int64)
        indices = np.searchsorted(session.times_ns, moments, side="right") - 1
        drawings = draw(session, indices, plan.size)
        rows = np.array([(first_s, 0.0, 0.0), *events_of(session)], np.float64)
        frames, truth = self._files(number)
        write_whole(frames, partial(_pack, drawings=drawings))
        write_whole(truth, partial(np.save, arr=rows))  # last: its presence says that both are there


def _pack(path: Path, drawings: UInt8Array) -> None:
    """Each drawing for itself, behind the places (D + 1,) where they begin and end."""
    packed = [zlib.compress(drawing.tobytes(), PACKING) for drawing in drawings]
    places = np.cumsum([8 * (len(packed) + 1), *(len(one) for one in packed)], dtype=np.int64)
    path.write_bytes(places.tobytes() + b"".join(packed))


def _unpack(path: Path, start: int, stop: int, plan: Plan) -> UInt8Array:
    """Drawings `start`..`stop` of a file, uint8 (stop - start, S, S, 3)."""
    with path.open("rb") as file:
        file.seek(8 * start)
        places = np.frombuffer(file.read(8 * (stop - start + 1)), np.int64)
        file.seek(int(places[0]))
        packed = file.read(int(places[-1] - places[0]))
    ends = places - places[0]
    raw = b"".join(zlib.decompress(packed[first:last]) for first, last in itertools.pairwise(ends.tolist()))
    return np.frombuffer(raw, np.uint8).reshape(stop - start, plan.size, plan.size, 3).copy()
