"""The emotion model of a session, and what becomes of each camera's windows of it: estimates (`events.emotion`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.runtimes.base import Runtime
from engines.specs.base import EmotionSpec
from engines.taxonomy import EMOTIONS
from events.emotion import EmotionEstimate, RollingEmotion, evidence
from realtime.analysis.lane import CameraContext, Consumer, Lane, Model
from realtime.analysis.queues import WindowQueue
from realtime.analysis.window import SlidingEmotionWindow
from realtime.clock import NS_PER_S, Clock, to_ns, to_s
from realtime.config import Config
from realtime.messages import EmotionWindow, Window
from realtime.output.lines import WindowTotals, emotion_line
from realtime.output.overlay import EmotionShown

FloatArray = npt.NDArray[np.float64]

HISTORY_NS = 60 * NS_PER_S  # for the overlay
FORGOTTEN_NS = 5 * NS_PER_S  # an estimate that is older is not shown

NOTE = (
    "emotions: an estimate of expression, not of feeling; to infer emotions at work, in education or in job "
    "interviews is prohibited in the EU (AI Act, Art. 5(1)(f)); switch it off with --no-emotion"
)


def seen(spec: EmotionSpec, window: EmotionWindow) -> tuple[float, float]:
    """How much of a window there was something to see for this model, and how much of it a face; both 0..1.

    A picture that is held to fill the window counts once.
    """
    counted = slice(None) if window.recorded_end_ns is None else np.unique(window.frame_ids, return_index=True)[1]
    body, face = float(window.body_seen[counted].mean()), float(window.face_seen[counted].mean())
    return evidence(body if spec.picture_size else None, face if spec.face_size else None), face


def inputs(spec: EmotionSpec, window: EmotionWindow) -> dict[str, npt.NDArray[np.uint8]]:
    """What the model takes, (1, ...) each."""
    given = {"body": window.frames, "body_seen": window.body_seen, "face": window.faces, "face_seen": window.face_seen}
    return {name: np.ascontiguousarray(given[name][None]) for name in spec.inputs}


class EmotionModel(Model):
    """The network that estimates emotions. A window of it may wait until the next one is due."""

    task = "emotion"

    def __init__(self, bundle: Bundle, runtime: Runtime, config: Config) -> None:
        super().__init__(bundle, runtime)
        self.spec = bundle.card.emotion
        self.face_size, self.staleness_ns = self.spec.face_size, to_ns(config.emotion.hop_s)

    def lane(self, camera: CameraContext, queue: WindowQueue) -> Lane:
        span_ns, hop_ns = to_ns(self.bundle.card.span_s), to_ns(camera.config.emotion.hop_s)
        max_gap_ns = to_ns(camera.config.window.max_gap_s)
        cutter = SlidingEmotionWindow(
            camera.camera_id, self.spec.length, span_ns, hop_ns, max_gap_ns, self.spec.face_size
        )
        return Lane(cutter, queue, EmotionConsumer(camera, self))

    def judge(self, windows: Sequence[Window], clock: Clock) -> list[FloatArray]:  # noqa: ARG002 - nothing is stamped
        """(5,) calibrated shares of the emotions in each window; the same of each where nothing was seen."""
        return [self.shares(window) for window in windows if isinstance(window, EmotionWindow)]

    def shares(self, window: EmotionWindow) -> FloatArray:
        """(5,) of one window."""
        if not seen(self.spec, window)[0]:
            return np.full(len(EMOTIONS), 1.0 / len(EMOTIONS))
        outputs = self.runtime.run(inputs(self.spec, window))
        return np.asarray(self.bundle.probabilities(outputs["emotion"])[0], np.float64)


class EmotionConsumer(Consumer):
    """One camera's shares to estimates."""

    def __init__(self, camera: CameraContext, model: EmotionModel) -> None:
        self._camera, self._spec = camera, model.spec
        fitted = model.bundle.card.calibration.counts_per_s
        counts_per_s = None if isinstance(fitted, msgspec.UnsetType) else fitted
        self._rolling = RollingEmotion(camera.config.emotion, counts_per_s)
        self.history: deque[EmotionEstimate] = deque()  # newest last, of the last minute

    def push(self, window: Window, result: FloatArray) -> None:
        if not isinstance(window, EmotionWindow):
            raise TypeError(f"expected an emotion window, got {type(window).__name__}")
        share_seen, face_visible = seen(self._spec, window)
        end_ns = window.end_ns if window.recorded_end_ns is None else window.recorded_end_ns
        estimate = self._rolling.push(window.camera_id, window.start_ns, end_ns, result, share_seen, face_visible)
        while self.history and estimate.time_ns - self.history[0].time_ns > HISTORY_NS:
            self.history.popleft()
        self.history.append(estimate)
        self.judged += 1
        self._camera.stream.write(emotion_line(estimate, self._camera.start.ns or 0))

    def stats(self, totals: WindowTotals) -> dict[str, Any]:
        return {"emotion_windows": totals}

    def shown(self, position_ns: int) -> dict[str, Any]:
        true, history = self._camera.truth.mood_at(to_s(position_ns)), list(self.history)
        if not history or position_ns - (history[-1].time_ns - (self._camera.start.ns or 0)) > FORGOTTEN_NS:
            return {"emotion": EmotionShown(true=true)}
        newest = history[-1]
        past = (
            (to_s(newest.time_ns - one.time_ns), None if one.abstains else tuple(one.probs.tolist())) for one in history
        )
        return {
            "emotion": EmotionShown(
                shares=tuple(newest.probs.tolist()),
                intervals=tuple((low, high) for low, high in newest.interval.tolist()),
                evidence_s=newest.evidence_s,
                face_visible=newest.face_visible,
                abstains=newest.abstains,
                history=tuple(past),
                true=true,
            )
        }
