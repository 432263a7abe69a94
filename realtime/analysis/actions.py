"""The action model of a session, and what becomes of each camera's predictions: events (`events.aggregator`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engines.bundle import Bundle
from engines.landmarks.movement import moved
from engines.runtimes.base import Runtime, Scores
from engines.taxonomy import ACTIONS, BODY_PARTS
from events.aggregator import Aggregator
from events.hierarchy import PART_OF_ACTION
from events.limits import limits
from events.posterior import PosteriorGrid
from events.steps import StepGrid
from events.types import ActionEvent, BoolArray, Float32Array, Prediction, Stamps, Steps
from realtime.analysis.landmark_window import SlidingLandmarks
from realtime.analysis.lane import CameraContext, Consumer, Lane, Model
from realtime.analysis.queues import WindowQueue
from realtime.analysis.window import SlidingWindow
from realtime.clock import NS_PER_S, Clock, to_ns, to_s
from realtime.config import Config
from realtime.counts import Counts
from realtime.messages import LandmarkWindow, Window
from realtime.output.lines import Posteriors, WindowTotals, action_line
from realtime.output.overlay import top_actions

RATE_OVER_WINDOWS = 20
EVENTS_KEPT = 200  # for the overlay; the stream has them all


class ActionModel(Model):
    """The network that finds micro-actions."""

    task = "actions"

    def __init__(self, bundle: Bundle, runtime: Runtime, config: Config) -> None:
        super().__init__(bundle, runtime)
        self.batch, self.staleness_ns = runtime.batch, to_ns(config.engine.staleness_s)

    def lane(self, camera: CameraContext, queue: WindowQueue) -> Lane:
        card, config = self.bundle.card, camera.config
        span_ns, hop_ns = to_ns(card.span_s), to_ns(config.window.hop_s)
        cutter = SlidingWindow(camera.camera_id, card.length, span_ns, hop_ns, to_ns(config.window.max_gap_s))
        grid = PosteriorGrid(span_ns, hop_ns, to_ns(config.aggregator.latency_s), cutter.centre_shift_ns)
        return self._lane(camera, queue, cutter, grid)

    def _lane(
        self,
        camera: CameraContext,
        queue: WindowQueue,
        cutter: SlidingWindow,
        grid: PosteriorGrid | StepGrid,
        begun: Counts | None = None,
    ) -> Lane:
        settings = camera.config.aggregator
        now_ns = camera.clock.now_ns if camera.live else None
        bounds = limits(settings, self.bundle.card.calibration)
        aggregator = Aggregator(camera.camera_id, grid, bounds, settings, now_ns)
        return Lane(cutter, queue, ActionConsumer(camera, aggregator, begun))

    def judge(self, windows: Sequence[Window], clock: Clock) -> list[Prediction]:
        """Run the engine on all windows at once and stamp them; each gets the scores that it would have alone."""
        infer_start_ns = clock.now_ns()
        scores = self._scores(windows)
        infer_end_ns = clock.now_ns()
        probs = self.bundle.probabilities(scores.logits)
        parts = self.bundle.part_probabilities(probs)
        return [
            Prediction(
                camera_id=window.camera_id,
                index=window.index,
                start_ns=window.start_ns,
                end_ns=window.end_ns,
                logits=scores.logits[row],
                probs=probs[row],
                embedding=None if scores.embedding is None else scores.embedding[row],
                stamps=self._stamped(window, infer_start_ns, infer_end_ns),
                recorded_end_ns=window.recorded_end_ns,
                parts=None if parts is None else parts[row],
            )
            for row, window in enumerate(windows)
        ]

    def _stamped(self, window: Window, start_ns: int, end_ns: int) -> Stamps:
        """Judged by this machine's engine, or by a server."""
        computed_ns, answered_ns = (0, end_ns) if self.runtime.remote else (end_ns, 0)
        return replace(
            window.stamps,
            infer_start_ns=start_ns,
            infer_end_ns=end_ns,
            computed_ns=computed_ns,
            answered_ns=answered_ns,
        )

    def _scores(self, windows: Sequence[Window]) -> Scores:
        clips = windows[0].frames[None] if len(windows) == 1 else np.stack([one.frames for one in windows])
        return self.runtime.infer(clips)  # (N, T, S, S, 3)


class LandmarkActionModel(ActionModel):
    """A network that sees landmarks and scores every step."""

    def lane(self, camera: CameraContext, queue: WindowQueue) -> Lane:
        card, config = self.bundle.card, camera.config
        span_ns, hop_ns = to_ns(card.span_s), to_ns(config.window.step_hop_s)
        cutter = SlidingLandmarks(camera.camera_id, card.length, span_ns, hop_ns, to_ns(config.window.max_gap_s))
        grid = StepGrid(span_ns, cutter.step_ns, to_ns(config.aggregator.lookahead_s))
        return self._lane(camera, queue, cutter, grid)

    def judge(self, windows: Sequence[Window], clock: Clock) -> list[Prediction]:
        """The same for every step; what a step's picture cannot show scores 0."""
        infer_start_ns = clock.now_ns()
        outputs = self.runtime.run({"landmarks": np.stack([window.frames for window in windows])})
        infer_end_ns = clock.now_ns()
        return [
            self._prediction(window, outputs["actions"][row], outputs["parts"][row], (infer_start_ns, infer_end_ns))
            for row, window in enumerate(windows)
            if isinstance(window, LandmarkWindow)
        ]

    def _prediction(
        self, window: LandmarkWindow, actions: Float32Array, parts: Float32Array, infer_ns: tuple[int, int]
    ) -> Prediction:
        """Of logits (T, 52) and (T, 7)."""
        probs = self.bundle.probabilities(actions) * window.shown
        part_probs = self.bundle.part_probabilities(probs, parts)
        moving = np.broadcast_to(moved(window.frames[None]), (len(window.frames), len(BODY_PARTS)))
        return Prediction(
            camera_id=window.camera_id,
            index=window.index,
            start_ns=window.start_ns,
            end_ns=window.end_ns,
            logits=actions,
            probs=probs,
            embedding=None,
            stamps=self._stamped(window, *infer_ns),
            recorded_end_ns=window.recorded_end_ns,
            steps=Steps(window.moments_ns, window.seen, moving),
            parts=None if part_probs is None else part_probs * parts_of(window.shown),
        )


def parts_of(shown: BoolArray) -> BoolArray:
    """(T, 52) which actions → (T, 7) which body parts have any of them."""
    return np.stack([shown[:, part == PART_OF_ACTION].any(axis=1) for part in range(len(BODY_PARTS))], axis=1)


class ActionConsumer(Consumer):
    """One camera's predictions to events."""

    def __init__(self, camera: CameraContext, aggregator: Aggregator, begun: Counts | None = None) -> None:
        """begun: how often a network that carries states began anew, by cause."""
        self.aggregator, self._camera, self._begun = aggregator, camera, begun
        self.events: deque[ActionEvent] = deque(maxlen=EVENTS_KEPT)  # newest last
        self._ends_ns: deque[int] = deque(maxlen=RATE_OVER_WINDOWS)
        self._finished = False
        self._to_captured_ns = 0  # to be added to media time
        self._baseline_reported = ""

    def push(self, window: Window, result: Prediction) -> None:
        events = self.aggregator.push(result)
        if self._camera.stream.wants_posteriors:
            self._to_captured_ns = result.stamps.captured_ns - int(window.times_ns[-1])
            self._write_posteriors()
        self._emit(events)
        stamps = replace(result.stamps, reported_ns=self._camera.clock.now_ns())
        self._camera.latency.window(window.index, int(window.frame_ids[-1]), stamps)
        self._ends_ns.append(stamps.infer_end_ns)
        self.judged += 1

    def finish(self) -> None:
        """Events still open are ended or retracted."""
        if not self._finished:
            self._finished = True
            events = self.aggregator.finish()
            if self._camera.stream.wants_posteriors:
                self._write_posteriors()
            self._emit(events)

    def _emit(self, events: list[ActionEvent]) -> None:
        for event in events:
            self.events.append(event)
            self._camera.stream.write(action_line(event, self._camera.start.ns or 0))

    def _write_posteriors(self) -> None:
        """The cells that were just judged."""
        start_ns = self._camera.start.ns or 0
        for cell in self.aggregator.judged:
            media_ns = (cell.start_ns + cell.end_ns) // 2
            values = np.full(len(ACTIONS) + len(BODY_PARTS), np.nan, np.float32)
            values[: len(cell.probs)] = cell.probs
            time_s, captured_ns = to_s(media_ns - start_ns), media_ns + self._to_captured_ns
            self._camera.stream.write_posteriors(Posteriors(self._camera.camera_id, time_s, captured_ns, values))

    @property
    def windows_per_s(self) -> float:
        """Windows judged per second over the last ones; 0 before the second."""
        ends_ns = list(self._ends_ns)
        if len(ends_ns) < 2 or ends_ns[-1] == ends_ns[0]:
            return 0.0
        return (len(ends_ns) - 1) * NS_PER_S / (ends_ns[-1] - ends_ns[0])

    @property
    def baseline(self) -> str:
        """How the person's rest is being measured or what it changed; empty without a baseline."""
        return str(self.aggregator.baseline or "")

    @property
    def baseline_windows(self) -> int:
        """Windows that the person's rest was measured on."""
        return self.aggregator.baseline.windows if self.aggregator.baseline else 0

    def notice(self) -> str:
        reported, self._baseline_reported = self._baseline_reported, self.baseline
        return self._baseline_reported if self._baseline_reported != reported else ""

    def stats(self, totals: WindowTotals) -> dict[str, Any]:
        begun = {} if self._begun is None else {"begun_anew": dict(sorted(self._begun.items()))}
        return {"windows_due": totals.due, "windows": totals.judged, "skipped": totals.skipped, **begun}

    def shown(self, position_ns: int) -> dict[str, Any]:  # noqa: ARG002 - events stay until others take their place
        return {
            "top": top_actions(self.aggregator.posteriors, self.aggregator.running),
            "lowered": self.aggregator.habitual,
            "events": tuple(reversed(self.events)),
            "windows_per_s": self.windows_per_s,
            "baseline": self.baseline,
        }
