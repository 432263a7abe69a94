"""The emotion model of a session, and what becomes of each camera's windows of it: estimates (`events.emotion`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.expressions import encode
from engines.runtimes.base import Runtime
from engines.taxonomy import EMOTIONS
from events.emotion import EmotionEstimate, RollingEmotion, evidence
from events.face_emotion import FaceEmotion, fused
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


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model says of a window, before the expression numbers of its camera's person are read."""

    shares: FloatArray  # (5,) calibrated
    seen: float  # 0..1: how much of the window there was something to see for the model
    face: float  # 0..1: how much of it there was a face


class EmotionModel(Model):
    """The network that estimates emotions. A window of it may wait until the next one is due.

    Where the network sees no pixels of faces, they are read as expression numbers, which each camera's consumer adds.

    Args:
        body: the network sees what the micro-action model sees; else the face alone counts.
    """

    task = "emotion"

    def __init__(self, bundle: Bundle, runtime: Runtime, config: Config, body: bool = True) -> None:
        super().__init__(bundle, runtime)
        self.spec, self.body = bundle.card.emotion, body
        self.steps = self.spec.steps if body else 0  # of landmarks, in a window
        self.staleness_ns = to_ns(config.emotion.hop_s)
        self.reads_faces = not bundle.card.pixel_faces

    def lane(self, camera: CameraContext, queue: WindowQueue) -> Lane:
        span_ns, hop_ns = to_ns(self.bundle.card.span_s), to_ns(camera.config.emotion.hop_s)
        max_gap_ns = to_ns(camera.config.window.max_gap_s)
        size = 0 if self.reads_faces else self.spec.face_size
        cutter = SlidingEmotionWindow(camera.camera_id, self.spec.length, span_ns, hop_ns, max_gap_ns, size, self.steps)
        return Lane(cutter, queue, EmotionConsumer(camera, self))

    def judge(self, windows: Sequence[Window], clock: Clock) -> list[Judged]:  # noqa: ARG002 - nothing is stamped
        """What the network says of each window; even shares where it saw nothing."""
        return [self.judged(window) for window in windows if isinstance(window, EmotionWindow)]

    def judged(self, window: EmotionWindow) -> Judged:
        """What the network says of one window."""
        counted = _counted(window)
        body = None
        if self.steps:  # no step is held
            body = min(1.0, float(window.body_seen.sum()) / len(counted))
        elif self.body and self.spec.picture_size:
            body = float(window.body_seen[counted].mean())
        face = float(window.face_seen[counted].mean()) if self.spec.face_size and not self.reads_faces else None
        share_seen = evidence(body, face)
        shares = np.full(len(EMOTIONS), 1.0 / len(EMOTIONS))
        if share_seen:
            outputs = self.runtime.run(self._inputs(window))
            shares = np.asarray(self.bundle.probabilities(outputs["emotion"])[0], np.float64)
        return Judged(shares, share_seen, face or 0.0)

    def _inputs(self, window: EmotionWindow) -> dict[str, npt.NDArray[Any]]:
        """What the network takes, (1, ...) each."""
        given = {
            "body": window.frames,
            "landmarks": window.landmarks,
            "body_seen": window.body_seen,
            "face": window.faces,
            "face_seen": window.face_seen,
            "expressions": encode(window.expressions),
        }
        if self.spec.reads_expressions:
            given |= {"face_seen": window.expression_seen}
        elif self.reads_faces and self.spec.face_size:  # it is shown none
            shape = (self.spec.length, self.spec.face_size, self.spec.face_size, 3)
            given |= {"face": np.zeros(shape, np.uint8), "face_seen": np.zeros(self.spec.length, np.uint8)}
        return {name: np.ascontiguousarray(given[name][None], self.spec.input_dtype) for name in self.spec.inputs}


def _counted(window: EmotionWindow) -> npt.NDArray[np.int64]:
    """The places of its pictures; one that is held to fill the window counts once."""
    places = np.arange(len(window.frame_ids))
    return places if window.recorded_end_ns is None else np.unique(window.frame_ids, return_index=True)[1]


@dataclass(frozen=True, slots=True)
class Reading:
    """What face and body of a window say together."""

    end_ns: int
    shares: FloatArray  # (5,)
    seen: float  # 0..1
    face_visible: float  # 0..1
    neutral: float  # 0..1 of the window


class Fusion:
    """One camera's windows: what the network says of each, with what the expression numbers say."""

    def __init__(self, model: EmotionModel, config: Config) -> None:
        self._reads, self._reads_too = model.reads_faces, model.spec.reads_expressions
        rest_ns, used_ns = to_ns(config.aggregator.baseline_s), to_ns(config.emotion.habituation_s)
        self._face = FaceEmotion(rest_ns, used_ns)
        self._notice = ""

    def take(self, window: EmotionWindow, judged: Judged) -> Reading:
        """The next window."""
        end_ns = window.end_ns if window.recorded_end_ns is None else window.recorded_end_ns
        if not self._reads:
            return Reading(end_ns, judged.shares, judged.seen, judged.face, 0.0)
        counted = _counted(window)
        there = counted[window.expression_seen[counted] > 0]
        face = len(there) / len(counted)
        measuring = self._face.measuring
        said = self._face.take(window.start_ns, end_ns, window.expressions[there])
        if measuring and not self._face.measuring:
            self._notice = str(self._face)
        shares = judged.shares
        if len(there):
            shares = fused(said, shares, self._reads_too) if judged.seen else said.shares
        return Reading(end_ns, shares, evidence(judged.seen, face), face, said.neutral * face)

    def notice(self) -> str:
        """What was taken off the face, once that is known."""
        notice, self._notice = self._notice, ""
        return notice


class EmotionConsumer(Consumer):
    """One camera's shares to estimates."""

    def __init__(self, camera: CameraContext, model: EmotionModel) -> None:
        self._camera, self._fusion = camera, Fusion(model, camera.config)
        fitted = model.bundle.card.calibration.counts_per_s
        counts_per_s = None if isinstance(fitted, msgspec.UnsetType) else fitted
        self._rolling = RollingEmotion(camera.config.emotion, counts_per_s)
        self.history: deque[EmotionEstimate] = deque()  # newest last, of the last minute

    def push(self, window: Window, result: Judged) -> None:
        if not isinstance(window, EmotionWindow):
            raise TypeError(f"expected an emotion window, got {type(window).__name__}")
        one = self._fusion.take(window, result)
        estimate = self._rolling.push(
            window.camera_id, window.start_ns, one.end_ns, one.shares, one.seen, one.face_visible, one.neutral
        )
        while self.history and estimate.time_ns - self.history[0].time_ns > HISTORY_NS:
            self.history.popleft()
        self.history.append(estimate)
        self.judged += 1
        self._camera.stream.write(emotion_line(estimate, self._camera.start.ns or 0))

    def notice(self) -> str:
        return self._fusion.notice()

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
                neutral=newest.neutral if newest.is_neutral else None,
                history=tuple(past),
                true=true,
            )
        }
