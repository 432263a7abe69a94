"""A simulated interview: what a landmark tracker would say of a scripted person, so no tracker is needed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from engines.landmarks.drawing import LandmarkDrawing
from realtime.capture.sources import SimulatedSpec, SourceSpec
from realtime.capture.sources.base import EndOfSource, Image, Source
from realtime.messages import CaptureState
from simulation.emotion import Episode, MoodSettings
from simulation.interview import TrueAction
from simulation.session import Session, Settings, simulate

FPS = 30.0
PICTURE_SIDE = 256  # pixels of the drawing that stands for the picture


class SimulatedSource(Source):
    """One simulated session; `Image.landmarks` are the tracker's, `Image.pixels` their drawing."""

    def __init__(self, seed: int, seconds: float, mode: str, resume_after_ns: int | None, moods: bool = False) -> None:
        super().__init__()
        self._seed, self._seconds, self._mode, self._resume_after_ns = seed, seconds, mode, resume_after_ns
        self._moods = moods
        self._next = 0
        self._drawing = LandmarkDrawing(PICTURE_SIDE)
        self._session: Session | None = None

    def open(self) -> None:
        self._session = simulate_session(self._seed, self._seconds, self._mode, self._moods)
        if self._resume_after_ns is not None:
            self._next = int((self._session.times_ns <= self._resume_after_ns).sum())
        self.state = CaptureState.STREAMING
        self.detail = f"{self._mode} interview, seed {self._seed}, {self._seconds:g} s"

    def read(self, timeout_s: float) -> Image | None:  # noqa: ARG002 - it never has to wait
        if self._session is None or self._next >= len(self._session):
            self.state = CaptureState.ENDED
            raise EndOfSource
        landmarks, numbers = self._session.landmarks(self._next), self._session.expression[self._next]
        self._next += 1
        self.pictures += 1
        return Image(
            self._drawing.draw(landmarks),
            self._next - 1,
            time.monotonic_ns(),
            landmarks.time_ns,
            landmarks,
            expression=numbers if np.isfinite(numbers).all() else None,
        )

    def close(self) -> None:
        self._session = None


def simulate_session(seed: int, seconds: float, mode: str, moods: bool = False) -> Session:
    """The session that a source of these arguments plays; of the split that no model is trained on."""
    return simulate(seed, seconds, FPS, Settings(mode=mode, split="test", mood=MoodSettings() if moods else None))


@dataclass(frozen=True, slots=True)
class Truth:
    """What a simulated interview shows; empty for every other source, of which nothing is known."""

    actions: tuple[TrueAction, ...] = ()
    episodes: tuple[Episode, ...] = ()

    def mood_at(self, time_s: float) -> str:
        """What the person feels, "none" for nothing in particular; empty where that is not known."""
        return next((one.name or "none" for one in self.episodes if one.onset_s <= time_s < one.offset_s), "")


def truth_of(source: SourceSpec) -> Truth:
    """What a source will show, as far as that is known."""
    if not isinstance(source, SimulatedSpec):
        return Truth()
    session = simulate_session(source.seed, source.seconds, source.mode, source.moods)
    return Truth(tuple(session.truth), tuple(session.episodes))
