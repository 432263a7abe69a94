"""Simulated sessions as landmark sequences in two files: fast to make, and read again and again.

`frames.npy` holds all pictures in a row, int16 as in `engines.landmarks.tracks`; `sessions.npz` where sessions begin,
their rates, what truly happens and a digest of all that decides them, the simulation's own source included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.common.errors import BadInput
from engines.common.process_pool import process_pool
from engines.landmarks.tracks import VALUES, Int16Array, encode
from simulation.cache_folder import digest_of
from simulation.interview import BALANCED, IDLE, NATURAL
from simulation.session import Settings, simulate
from simulation.tracker_noise import NoiseSettings

RATE_HZ = 30.0  # of cameras; lower ones come from leaving pictures out
MODES = (*[BALANCED] * 6, *[NATURAL] * 2, *[IDLE] * 2)
NOISE = NoiseSettings(faces_lost_session=0.3)  # more often than usual: heads without a face are hard to learn
MISSED_S = 6.0  # at most: recordings begin at any moment, actions may be under way
FRAMES, SESSIONS = "frames.npy", "sessions.npz"

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LandmarkPlan:
    """Which sessions."""

    split: str  # people, cameras and events are never shared between splits
    sessions: int
    seconds: float  # length of a session
    seed: int
    mode: str | None = None  # of all sessions; None: drawn from `MODES`

    def session(self, number: int) -> MadeSession:
        """The session of this number: the same in every plan that differs in the number of sessions alone."""
        rng = np.random.default_rng([self.seed, number, 1])
        seed, mode = int(rng.integers(2**31)), str(rng.choice(MODES))
        mode = self.mode or mode
        missed_s = float(rng.uniform(0.0, MISSED_S))
        settings = Settings(mode=mode, split=self.split, noise=NOISE)
        session = simulate(seed, self.seconds + MISSED_S, RATE_HZ, settings).after(missed_s)
        camera, kept = session.camera, slice(0, round(self.seconds * session.fps))
        frames = encode(session.pose[kept], session.hands[kept], session.face[kept], camera.height, camera.width)
        events = [(number, one.index, one.onset_s, one.offset_s, one.seen) for one in session.truth]
        return MadeSession(frames, np.array(events).reshape(-1, 5), session.fps, camera.width / camera.height, mode)

    def identity(self) -> str:
        """SHA-256 of all that decides the landmarks."""
        return digest_of((self, RATE_HZ, MODES, NOISE, MISSED_S))


@dataclass(frozen=True, slots=True, eq=False)
class MadeSession:
    """One session of a plan."""

    frames: Int16Array  # (T, VALUES)
    events: FloatArray  # (E, 5) as in `LandmarkSessions`
    fps: float
    aspect: float  # width / height of the picture
    mode: str


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkSessions:
    """All sessions of a plan."""

    frames: Int16Array  # (F, VALUES) of all sessions in a row; a file, of which what is read takes memory
    first: npt.NDArray[np.int64]  # (S + 1,) where sessions begin and end
    fps: FloatArray  # (S,)
    aspect: FloatArray  # (S,)
    modes: tuple[str, ...]
    events: FloatArray  # (E, 5): session, action, onset s, offset s, share that is seen


def load_or_make(
    folder: Path, plan: LandmarkPlan, report: Callable[[int, int], None], workers: int = 0
) -> LandmarkSessions:
    """The sessions of a plan, from `folder` where they are there already.

    Args:
        folder: of these sessions alone.
        plan: which.
        report: receives how many are made, of how many.
        workers: processes that make them; 0: this one.

    Raises:
        BadInput: the folder cannot be written, or holds other sessions.
    """
    table = folder / SESSIONS
    if not table.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _make(folder, plan, report, workers)
        except OSError as error:
            raise BadInput("a folder that can be written", f"{folder} ({error.strerror})", "choose another") from None
    with np.load(table) as found:
        if str(found["identity"]) != plan.identity():
            raise BadInput("landmarks of these sessions", f"others in {folder}", "delete them or name another")
        first, fps, aspect, modes, events = (found[name] for name in ("first", "fps", "aspect", "modes", "events"))
    frames = np.load(folder / FRAMES, mmap_mode="c")
    return LandmarkSessions(frames, first, fps, aspect, tuple(map(str, modes)), events)


def _make(folder: Path, plan: LandmarkPlan, report: Callable[[int, int], None], workers: int) -> None:
    made: list[MadeSession] = []
    first = [0]
    shape = (plan.sessions * round(plan.seconds * RATE_HZ), VALUES)
    frames = np.lib.format.open_memmap(folder / FRAMES, mode="w+", dtype=np.int16, shape=shape)
    for one in _sessions(plan, workers):
        first.append(first[-1] + len(one.frames))
        frames[first[-2] : first[-1]] = one.frames
        made.append(replace(one, frames=one.frames[:0]))
        report(len(made), plan.sessions)
    frames.flush()
    unfinished = folder / f".{SESSIONS}"
    with unfinished.open("wb") as file:
        np.savez(
            file,
            first=np.array(first, np.int64),
            fps=np.array([one.fps for one in made]),
            aspect=np.array([one.aspect for one in made]),
            modes=np.array([one.mode for one in made]),
            events=np.concatenate([one.events for one in made]),
            identity=np.array(plan.identity()),
        )
    unfinished.rename(folder / SESSIONS)  # last: its presence says that both are there


def _sessions(plan: LandmarkPlan, workers: int) -> Iterator[MadeSession]:
    """All sessions of a plan, in order."""
    numbers = range(plan.sessions)
    if workers < 1:
        yield from map(plan.session, numbers)
        return
    with process_pool(workers) as pool:
        yield from pool.map(plan.session, numbers, chunksize=8)
