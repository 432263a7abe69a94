"""Simulated sessions as landmark sequences in two files: fast to make, and read again and again.

`frames.npy` holds all pictures in a row, int16 as in `engines.landmarks.tracks`; `sessions.npz` where sessions begin,
their rates, what truly happens and a digest of all that decides them, the simulation's own source included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.common.errors import BadInput
from engines.landmarks.tracks import VALUES, Int16Array, encode
from simulation.cache_folder import digest_of
from simulation.interview import BALANCED, IDLE, NATURAL
from simulation.session import Session, Settings, simulate
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

    def session(self, number: int) -> tuple[Session, str]:
        """The session of this number, and its mode."""
        rng = np.random.default_rng([self.seed, number, 1])
        seed, mode = int(rng.integers(2**31)), str(rng.choice(MODES))
        mode = self.mode or mode
        missed_s = float(rng.uniform(0.0, MISSED_S))
        settings = Settings(mode=mode, split=self.split, noise=NOISE)
        return simulate(seed, self.seconds + MISSED_S, RATE_HZ, settings).after(missed_s), mode

    def identity(self) -> str:
        """SHA-256 of all that decides the landmarks."""
        return digest_of((self, RATE_HZ, MODES, NOISE, MISSED_S))


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkSessions:
    """All sessions of a plan."""

    frames: Int16Array  # (F, VALUES) of all sessions in a row
    first: npt.NDArray[np.int64]  # (S + 1,) where sessions begin and end
    fps: FloatArray  # (S,)
    aspect: FloatArray  # (S,)
    modes: tuple[str, ...]
    events: FloatArray  # (E, 5): session, action, onset s, offset s, share that is seen


def load_or_make(folder: Path, plan: LandmarkPlan, report: Callable[[int, int], None]) -> LandmarkSessions:
    """The sessions of a plan, from `folder` where they are there already.

    Args:
        folder: of these sessions alone.
        plan: which.
        report: receives how many are made, of how many.

    Raises:
        BadInput: the folder cannot be written, or holds other sessions.
    """
    table = folder / SESSIONS
    if table.exists():
        with np.load(table) as found:
            if str(found["identity"]) != plan.identity():
                raise BadInput("landmarks of these sessions", f"others in {folder}", "delete them or name another")
            fields = [found[name] for name in ("first", "fps", "aspect", "modes", "events")]
        first, fps, aspect, modes, events = fields
        frames = np.load(folder / FRAMES, mmap_mode="r")
        return LandmarkSessions(frames, first, fps, aspect, tuple(map(str, modes)), events)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _make(folder, plan, report)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{folder} ({error.strerror})", "choose another") from None
    return made


def _make(folder: Path, plan: LandmarkPlan, report: Callable[[int, int], None]) -> LandmarkSessions:
    frames: list[Int16Array] = []
    events: list[tuple[float, ...]] = []
    rates, aspects, modes = [], [], []
    for number in range(plan.sessions):
        session, mode = plan.session(number)
        kept = slice(0, round(plan.seconds * session.fps))
        camera = session.camera
        frames.append(encode(session.pose[kept], session.hands[kept], session.face[kept], camera.height, camera.width))
        events += [(number, one.index, one.onset_s, one.offset_s, one.seen) for one in session.truth]
        rates.append(session.fps)
        aspects.append(camera.width / camera.height)
        modes.append(mode)
        report(number + 1, plan.sessions)
    first = np.cumsum([0, *(len(one) for one in frames)], dtype=np.int64)
    whole = np.concatenate(frames) if frames else np.zeros((0, VALUES), np.int16)
    table = np.array(events, np.float64).reshape(-1, 5)
    np.save(folder / FRAMES, whole)
    unfinished = folder / f".{SESSIONS}"
    with unfinished.open("wb") as file:
        np.savez(
            file,
            first=first,
            fps=np.array(rates),
            aspect=np.array(aspects),
            modes=np.array(modes),
            events=table,
            identity=np.array(plan.identity()),
        )
    unfinished.rename(folder / SESSIONS)  # last: its presence says that both are there
    return LandmarkSessions(whole, first, np.array(rates), np.array(aspects), tuple(modes), table)
