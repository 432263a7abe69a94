"""The emotion model of a session, and what becomes of each camera's stretches: estimates (`events.emotion`)."""

from __future__ import annotations

from collections import deque

import msgspec
import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.runtimes.base import Runtime
from engines.specs.base import EmotionSpec
from engines.taxonomy import EMOTIONS
from events.emotion import EmotionEstimate, RollingEmotion, evidence
from events.settings import EmotionSettings
from realtime.clock import NS_PER_S, SessionStart
from realtime.messages import Stretch
from realtime.output.event_stream import EventStream, emotion_line

FloatArray = npt.NDArray[np.float64]

HISTORY_NS = 60 * NS_PER_S  # for the overlay

NOTE = (
    "emotions: an estimate of expression, not of feeling; to infer emotions at work, in education or in job "
    "interviews is prohibited in the EU (AI Act, Art. 5(1)(f)); switch it off with --no-emotion"
)


def seen(spec: EmotionSpec, stretch: Stretch) -> tuple[float, float]:
    """How much of a stretch there was something to see for this model, and how much of it a face; both 0..1.

    A picture that is held to fill the stretch counts once.
    """
    counted = slice(None) if stretch.recorded_end_ns is None else np.unique(stretch.frame_ids, return_index=True)[1]
    body, face = float(stretch.body_seen[counted].mean()), float(stretch.face_seen[counted].mean())
    return evidence(body if spec.picture_size else None, face if spec.face_size else None), face


def inputs(spec: EmotionSpec, stretch: Stretch) -> dict[str, npt.NDArray[np.uint8]]:
    """What the model takes, (1, ...) each."""
    given = {
        "body": stretch.frames,
        "body_seen": stretch.body_seen,
        "face": stretch.faces,
        "face_seen": stretch.face_seen,
    }
    return {name: np.ascontiguousarray(given[name][None]) for name in spec.inputs}


class EmotionModel:
    """The emotion network that every camera of a session shares."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.bundle, self.runtime, self.spec = bundle, runtime, bundle.card.emotion

    def shares(self, stretch: Stretch) -> FloatArray:
        """(5,) calibrated shares of the emotions in one stretch."""
        outputs = self.runtime.run(inputs(self.spec, stretch))
        return np.asarray(self.bundle.probabilities(outputs["emotion"])[0], np.float64)


class CameraEmotion:
    """One camera's stretches to estimates. The engine's thread calls it; others only read `history`."""

    def __init__(
        self, model: EmotionModel, settings: EmotionSettings, stream: EventStream, start: SessionStart
    ) -> None:
        self._model, self._stream, self._start = model, stream, start
        fitted = model.bundle.card.calibration.counts_per_s
        self._rolling = RollingEmotion(settings, None if isinstance(fitted, msgspec.UnsetType) else fitted)
        self.history: deque[EmotionEstimate] = deque()  # newest last, of the last minute
        self.processed = 0

    def push(self, stretch: Stretch) -> None:
        """Judge a stretch and report the estimate."""
        share_seen, face_visible = seen(self._model.spec, stretch)
        shares = self._model.shares(stretch) if share_seen else np.full(len(EMOTIONS), 1.0 / len(EMOTIONS))
        end_ns = stretch.end_ns if stretch.recorded_end_ns is None else stretch.recorded_end_ns
        estimate = self._rolling.push(stretch.camera_id, stretch.start_ns, end_ns, shares, share_seen, face_visible)
        while self.history and estimate.time_ns - self.history[0].time_ns > HISTORY_NS:
            self.history.popleft()
        self.history.append(estimate)
        self.processed += 1
        self._stream.write(
            emotion_line(
                estimate.camera_id,
                estimate.time_ns - (self._start.ns or 0),
                estimate.probs,
                estimate.interval,
                estimate.evidence_s,
                estimate.face_visible,
                estimate.abstains,
            )
        )
