"""One camera's way through a session: its capture, its receiver, its lanes. Only the engine is shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from realtime.analysis.actions import ActionConsumer
from realtime.analysis.lane import CameraContext
from realtime.analysis.queues import WindowQueue
from realtime.analysis.receiver import ReceiverThread
from realtime.analysis.visibility import Visibility, in_words
from realtime.camera_link import open_link
from realtime.capture.sources import SimulatedSpec
from realtime.capture.sources.simulated import truth_of
from realtime.capture.supervisor import CaptureFailed
from realtime.clock import NS_PER_MS, SessionStart, to_ns, to_s
from realtime.display import framing_warnings
from realtime.latency import LatencyLog
from realtime.messages import CaptureState, CaptureStatus
from realtime.output.lines import Line, OtherClock, RecordingLine, SessionLine, StatsLine
from realtime.output.overlay import OverlayState, TrueEvent
from realtime.session_setup import Setup


class CameraPipeline:
    """All that a session has for one camera.

    Args:
        camera_id: its place among the request's sources.
        queues: where the engine takes the windows of each model from.
        start: what its times count from.

    Raises:
        BadInput: the endpoint of a camera of another machine cannot be had.
    """

    def __init__(self, camera_id: int, setup: Setup, queues: Sequence[WindowQueue], start: SessionStart) -> None:
        request, self.start, self._setup = setup.request, start, setup
        self.camera_id, self.source = camera_id, request.sources[camera_id]
        self.latency, self._truth = LatencyLog(request.latency_rows), truth_of(self.source)
        self._receiver, self.capture = open_link(camera_id, setup)
        camera = CameraContext(
            camera_id, self.source.live, request.config, start, setup.stream, setup.clock, self.latency, self._truth
        )
        self.lanes = [model.lane(camera, queue) for model, queue in zip(setup.models, queues, strict=True)]
        max_gap_ns = to_ns(request.config.window.max_gap_s)
        self._visibility = Visibility(camera_id, start, max_gap_ns, setup.view.sees == "landmarks")
        self.intake = ReceiverThread(self._receiver, self.lanes, camera, setup.view, self._visibility)
        self._given_up = ""  # why, once the capture process could not be kept alive
        self._reported = (CaptureState.OPENING, "")
        self._recording_reported = False

    @property
    def actions(self) -> ActionConsumer:
        """Its events so far."""
        consumer = self.lanes[0].consumer
        if not isinstance(consumer, ActionConsumer):
            raise TypeError(f"expected the first model to find actions, got {self._setup.models[0].task}")
        return consumer

    @property
    def status(self) -> CaptureStatus:
        """What the capture process last reported, or why there is none any more."""
        status = self.intake.status
        if not self._given_up:
            return status
        return CaptureStatus(status.camera_id, status.generation, CaptureState.FAILED, self._given_up)

    @property
    def hopeless(self) -> bool:
        """It failed before its first frame, for a reason that the user can fix."""
        return self.status.bad_input and not self.intake.received

    @property
    def position_ns(self) -> int:
        """Time since the session's first frame: of the recording, or of the clock for a live source."""
        newest = self.intake.latest
        if self.start.ns is None or newest is None:
            return 0
        return (self._setup.clock.now_ns() if self.source.live else newest.media_ns) - self.start.ns

    def begin(self) -> None:
        """Start the drain thread and the capture process."""
        self.intake.start()
        self.capture.start()

    def check(self) -> list[SessionLine]:
        """Look after the capture process; what there is to report of it.

        Raises:
            BaseException: what broke the drain thread.
        """
        if self.intake.error is not None:
            raise self.intake.error
        lines = []
        newest = self.intake.latest
        try:
            fault = self.capture.check(
                self.status.state, self.intake.waiting_since_ns, newest.media_ns if newest else None
            )
            lines += [fault] if fault else []
        except CaptureFailed as error:
            self._given_up = str(error)
            for lane in self.lanes:
                lane.queue.close()  # what is due is judged; nothing more will be
        status = self.status
        if (status.state, status.detail) != self._reported:
            self._reported = status.state, status.detail
            lines.append(f"{status.state.value}: {status.detail}" if status.detail else status.state.value)
        return [self._setup.session_line("capture", line, self.camera_id) for line in lines]

    def reports(self) -> list[Line]:
        """What else there is to report since the last call: its recording, who is in view, its baseline."""
        lines: list[Line] = [*self._recording(), *self._visibility.pop()]
        for lane in self.lanes:
            if notice := lane.consumer.notice():
                lines.append(self._setup.session_line("baseline", notice, self.camera_id))
        return lines

    def _recording(self) -> list[RecordingLine]:
        """What the recording is: once, when its first frame has come."""
        found = self.status.recording
        if self._recording_reported or found is None or self.start.ns is None:
            return []
        self._recording_reported = True
        fields = msgspec.structs.asdict(found)
        offset_s = round(to_s(self.start.ns - fields.pop("begins_ns")), 6)
        return [RecordingLine(self.camera_id, self.source.name, offset_s, **fields)]

    def finish(self) -> tuple[list[Line], str]:
        """It is over: what was judged, in lines and in words."""
        self._visibility.finish(self._setup.clock.now_ns() if self.source.live else None)
        baseline, totals = self.actions.aggregator.baseline, self.lanes[0].totals
        line = self._visibility.summary(totals, self.actions.baseline_windows)
        return [*self.reports(), line], in_words(line, baseline.rest_s if baseline else 0.0)

    def ask_to_stop(self) -> None:
        """Tell the capture process to leave; do not wait."""
        self.capture.ask_to_stop()

    def close(self, capture_s: float, drain_s: float) -> list[str]:
        """End what is left of it, each part in its time; harmless when it has ended. Close its queues first.

        Returns:
            What did not end; whatever that uses stays open.
        """
        running = [] if self.capture.stop(capture_s) else [f"the link to {self.source.name}"]
        if self.intake.stop(drain_s):
            self._receiver.close()
        else:
            running.append(f"the receiver of {self.source.name}")
        return running

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in, by cause."""
        return dict(Counter(self._receiver.refused) + Counter(self.capture.refused))

    def stats(self, **of_session: Any) -> StatsLine:
        """Where it stands; `windows + skipped = windows_due` once it is over.

        Args:
            of_session: fields that the whole session shares.
        """
        clock = self.status.clock
        fields: dict[str, Any] = {
            key: value for lane in self.lanes for key, value in lane.consumer.stats(lane.totals).items()
        }
        return StatsLine(
            camera=self.camera_id,
            time_s=round(to_s(self.position_ns), 3),
            capture_fps=round(self.intake.frames_per_s, 1),
            frames=self.intake.received,
            dropped=self.intake.dropped,
            latency_ms={stage: {"p50": p50, "p99": p99} for stage, (p50, p99) in self.latency.percentiles().items()},
            capture=self.status.state.value,
            restarts=self.capture.restarts,
            other_clock_ms=None
            if clock is None
            else OtherClock(round(clock.offset_ns / NS_PER_MS, 4), round(clock.error_ns / NS_PER_MS, 4)),
            **fields,
            **of_session,
        )

    def snapshot(self, messages: tuple[str, ...]) -> OverlayState:
        """What the overlay shows of this moment."""
        request, models, newest = self._setup.request, self._setup.models, self.intake.latest
        card, stats, status = models[0].bundle.card, self.stats(), self.status
        start_ns, position_ns = self.start.ns or 0, self.position_ns
        framing: tuple[str, ...] = ()
        if newest is not None:
            since_s, slow = to_s(newest.media_ns - start_ns), self._visibility.slow
            framing = framing_warnings(newest.framing, request.config.view.crop, since_s, slow)
        shown = {key: value for lane in self.lanes for key, value in lane.consumer.shown(position_ns).items()}
        return OverlayState(
            model=card.name,
            engine=models[0].runtime.name,
            source=self.source.name,
            trained_on=card.provenance.trained_on,
            untrained=not all(model.bundle.card.trained for model in models),
            replay=not self.source.live,
            speed=request.speed,
            simulated=isinstance(self.source, SimulatedSpec),
            elapsed_s=stats.time_s,
            capture=status.state,
            capture_detail=status.detail,
            framing=framing,
            picture=newest.preview if newest else None,
            show_picture=request.config.overlay.picture,
            truth=tuple(TrueEvent(one.action, one.onset_s, one.offset_s) for one in self._truth.actions),
            session_start_ns=start_ns,
            latency=self.latency.percentiles(),
            capture_fps=stats.capture_fps,
            dropped=stats.dropped,
            skipped=stats.skipped,
            restarts=stats.restarts,
            messages=messages,
            **shown,
        )
