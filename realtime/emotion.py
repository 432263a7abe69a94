"""The rolling estimate of the five emotions: what overlapping stretches say, the newest the most, and how sure that is.

It speaks of expression, never of feeling. Every stretch of video gives calibrated shares of the five emotions; where
nothing is to be seen they are flat. Their sums, fading with the time constant, are the counts of a Dirichlet
distribution over the shares of the last seconds: its mean is the estimate, its marginals give the credible intervals.
Seconds in which neither face nor body was seen count for nothing, so that the estimate fades to "not enough to go on".
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.runtimes.base import Runtime
from engines.spec import EmotionSpec
from engines.taxonomy import EMOTIONS
from realtime.clock import NS_PER_S, SessionStart
from realtime.config import EmotionSettings
from realtime.messages import Stretch
from realtime.stream import EventStream, emotion_line

FloatArray = npt.NDArray[np.float64]

PRIOR = 0.5  # counts of each emotion before anything is seen (Jeffreys)
SAMPLES = 4000  # of the Dirichlet distribution, for the interval
BODY_ALONE, FACE_ALONE = 0.5, 0.5  # share of the evidence that a branch brings where the model has both
HISTORY_NS = 60 * NS_PER_S  # for the overlay

NOTE = ("emotions: an estimate of expression, not of feeling; to infer emotions at work, in education or in job "
        "interviews is prohibited in the EU (AI Act, Art. 5(1)(f)); switch it off with --no-emotion")


@dataclass(frozen=True, slots=True, eq=False)
class EmotionEstimate:
    """The estimate at one moment of media time."""

    camera_id: int
    time_ns: int
    probs: FloatArray  # (5,) share of each emotion over the last seconds; they add up to 1
    interval: FloatArray  # (5, 2) 95 % credible interval of each share
    evidence_s: float  # seconds in which there was something to see, recent ones counted the most
    face_visible: float  # 0..1 of the newest stretch
    abstains: bool  # not enough to go on: `probs` says nothing


class RollingEmotion:
    """One camera's estimate. A function of media time and of what the stretches said: the same at any speed."""

    def __init__(self, settings: EmotionSettings, seed: int = 0) -> None:
        self._settings = settings
        self._seed = seed
        self._mass = np.zeros(len(EMOTIONS))  # seconds said of each emotion, fading
        self._last_ns: int | None = None

    def push(self, camera_id: int, start_ns: int, end_ns: int, shares: FloatArray, seen: float,
             face_visible: float) -> EmotionEstimate:
        """Take what the model said of the stretch from `start_ns` to `end_ns`.

        Args:
            shares: (5,) calibrated, adding up to 1.
            seen: 0..1 how much of the stretch there was something to see.

        Raises:
            ValueError: not after the last stretch.
        """
        new_from_ns = start_ns if self._last_ns is None else max(start_ns, self._last_ns)
        if end_ns <= new_from_ns:
            raise ValueError(f"expected a stretch that ends after {new_from_ns}, got {end_ns}")
        if self._last_ns is not None:
            self._mass *= math.exp(-(end_ns - self._last_ns) / NS_PER_S / self._settings.time_constant_s)
        self._last_ns = end_ns
        self._mass += shares * seen * (end_ns - new_from_ns) / NS_PER_S
        counts = PRIOR + self._settings.counts_per_s * self._mass
        evidence_s = float(self._mass.sum())
        samples = np.random.default_rng(self._seed).dirichlet(counts, SAMPLES)  # (SAMPLES, 5)
        return EmotionEstimate(
            camera_id, end_ns, counts / counts.sum(), np.quantile(samples, [0.025, 0.975], axis=0).T, evidence_s,
            face_visible, abstains=evidence_s < self._settings.least_evidence_s,
        )  # fmt: skip


def evidence(spec: EmotionSpec, stretch: Stretch) -> tuple[float, float]:
    """How much of a stretch there was something to see for this model, and how much of it a face; both 0..1."""
    body, face = float(stretch.body_seen.mean()), float(stretch.face_seen.mean())
    if spec.face is None:
        return body, face
    if spec.body is None:
        return face, face
    return BODY_ALONE * body + FACE_ALONE * face, face


def inputs(spec: EmotionSpec, stretch: Stretch) -> dict[str, npt.NDArray[np.uint8]]:
    """What the model takes, (1, ...) each."""
    given = {"body": stretch.frames, "body_seen": stretch.body_seen, "face": stretch.faces,
             "face_seen": stretch.face_seen}  # fmt: skip
    return {name: np.ascontiguousarray(given[name][None]) for name in spec.inputs}


class EmotionModel:
    """The emotion network that every camera of a session shares."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.bundle, self.runtime, self.spec = bundle, runtime, bundle.card.maenet

    def shares(self, stretch: Stretch) -> FloatArray:
        """(5,) calibrated shares of the emotions in one stretch."""
        outputs = self.runtime.run(inputs(self.spec, stretch))
        return np.asarray(self.bundle.probabilities(outputs["emotion"])[0], np.float64)


class CameraEmotion:
    """One camera's stretches to estimates. The engine's thread calls it; others only read `history`."""

    def __init__(self, model: EmotionModel, settings: EmotionSettings, stream: EventStream,
                 start: SessionStart) -> None:
        self._model, self._stream, self._start = model, stream, start
        self._rolling = RollingEmotion(settings)
        self.history: deque[EmotionEstimate] = deque()  # newest last, of the last minute
        self.processed = 0

    def push(self, stretch: Stretch) -> None:
        """Judge a stretch and report the estimate."""
        seen, face_visible = evidence(self._model.spec, stretch)
        shares = self._model.shares(stretch) if seen else np.full(len(EMOTIONS), 1.0 / len(EMOTIONS))
        estimate = self._rolling.push(
            stretch.camera_id, stretch.start_ns, stretch.end_ns, shares, seen, face_visible
        )
        while self.history and estimate.time_ns - self.history[0].time_ns > HISTORY_NS:
            self.history.popleft()
        self.history.append(estimate)
        self.processed += 1
        self._stream.write(emotion_line(
            estimate.camera_id, estimate.time_ns - (self._start.ns or 0), estimate.probs, estimate.interval,
            estimate.evidence_s, estimate.face_visible, estimate.abstains,
        ))  # fmt: skip
