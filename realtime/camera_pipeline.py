"""One camera's way through a session: its capture process, its windows, its events."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import zmq

from engines.bundle import Bundle
from engines.common.errors import BadInput
from events.aggregator import Aggregator
from events.limits import limits
from events.posterior import PosteriorGrid
from realtime.analysis.emotion import CameraEmotion, EmotionModel
from realtime.analysis.engine import CameraAnalysis
from realtime.analysis.queues import WindowQueue
from realtime.analysis.receiver import Intake
from realtime.analysis.visibility import Visibility, in_words
from realtime.analysis.window import SlidingStretch, SlidingWindow
from realtime.capture.process import CaptureSpec
from realtime.capture.sources import RemoteSpec, SimulatedSpec, SourceSpec
from realtime.capture.sources.simulated import simulate_session
from realtime.capture.sources.urls import side_door
from realtime.capture.supervisor import CaptureFailed, CaptureProcess
from realtime.capture.views.view import PREVIEW_SIDE
from realtime.clock import NS_PER_MS, NS_PER_S, Clock, SessionStart, to_ns, to_s
from realtime.display import framing_warnings
from realtime.latency import LatencyLog
from realtime.messages import CaptureState, CaptureStatus
from realtime.output.event_stream import (
    EventStream,
    OtherClock,
    RecordingLine,
    StatsLine,
    StretchTotals,
    SummaryLine,
    VisibilityLine,
)
from realtime.output.overlay import EmotionShown, OverlayState, TrueEvent, top_actions
from realtime.remote.analysis_end import RemoteCapture
from realtime.remote.talk import Order
from realtime.request import Request
from realtime.transport.authentication import CAMERAS, link_for, load_keys
from realtime.transport.wire import PROTOCOL, Receiver
from simulation.emotion import Episode

FORGOTTEN_NS = 5 * NS_PER_S  # an estimate that is older is not shown


class Channel:
    """All that a session has for one camera; only the engine is shared.

    Args:
        camera_id: its place among the request's sources.
        queue: where the engine takes its windows from.
        emotion, stretch_queue: the same for the emotion model, where there is one.
        start: what its times count from.
        folder: for its socket and the log of its capture process.
    """

    def __init__(
        self,
        camera_id: int,
        request: Request,
        model: Bundle,
        queue: WindowQueue,
        start: SessionStart,
        stream: EventStream,
        clock: Clock,
        folder: Path,
        emotion: EmotionModel | None = None,
        stretch_queue: WindowQueue | None = None,
    ) -> None:
        config, card = request.config, model.card
        self._stretch_queue, self._emotion_model = stretch_queue, emotion
        self.camera_id, self.source, self.start, self.queue = camera_id, request.sources[camera_id], start, queue
        self._request, self._clock = request, clock
        span_ns, hop_ns = to_ns(card.span_s), to_ns(config.window.hop_s)
        self.latency = LatencyLog(request.latency_rows)
        window = SlidingWindow(camera_id, card.length, span_ns, hop_ns, to_ns(config.window.max_gap_s))
        self._receiver, self.capture = self._door(model, folder)
        stretches = None
        self.emotion: CameraEmotion | None = None
        if emotion is not None:
            stretches = SlidingStretch(
                camera_id,
                emotion.spec.length,
                to_ns(emotion.bundle.card.span_s),
                to_ns(config.emotion.hop_s),
                to_ns(config.window.max_gap_s),
                emotion.spec.face_size,
            )
            self.emotion = CameraEmotion(emotion, config.emotion, stream, start)
        self._visibility = Visibility(camera_id, start, to_ns(config.window.max_gap_s), card.view == "landmarks")
        self.intake = Intake(
            self._receiver,
            window,
            queue,
            clock,
            self.latency,
            start,
            card.size,
            camera_id,
            stretches,
            stretch_queue,
            self._visibility,
        )
        grid = PosteriorGrid(span_ns, hop_ns, to_ns(config.aggregator.latency_s), window.centre_shift_ns)
        aggregator = Aggregator(
            camera_id,
            grid,
            limits(config.aggregator, card.calibration),
            config.aggregator,
            clock.now_ns if self.source.live else None,
        )
        self.analysis = CameraAnalysis(queue, aggregator, stream, clock, self.latency, start)
        self._truth, self._moods = _truth(self.source)
        self._given_up = ""  # why, once the capture process could not be kept alive
        self._told = (CaptureState.OPENING, "")
        self._baseline_told = ""
        self._recording_told = False

    def _door(self, model: Bundle, folder: Path) -> tuple[Receiver, CaptureProcess | RemoteCapture]:
        """Where its frames come in, and whoever looks after what sends them.

        Raises:
            BadInput: a camera of another machine without keys, or an endpoint that cannot be had.
        """
        request, config, size = self._request, self._request.config, model.card.size
        frames, largest = config.supervision.queue_frames, max(size, PREVIEW_SIDE)
        preview = not request.headless and config.overlay.picture
        face_size = self._emotion_model.spec.face_size if self._emotion_model else 0
        if isinstance(self.source, RemoteSpec):
            if config.output.keys is None:
                raise BadInput("--listen with --keys DIR", "--listen alone", "make keys with `keys DIR --camera NAME`")
            keys = load_keys(Path(config.output.keys), CAMERAS)
            order = Order(
                PROTOCOL,
                0,
                self.camera_id,
                config.view,
                model.card.view,
                size,
                frames,
                preview,
                face_size,
                config.emotion.face_margin,
                request.read_codes,
            )
            endpoint = self.source.endpoint
            try:
                receiver = Receiver(endpoint, frames, keys, largest)
                endpoint = side_door(endpoint)
                return receiver, RemoteCapture(endpoint, keys, order, self._clock)
            except zmq.ZMQError as error:
                raise BadInput(
                    "a free endpoint for --listen",
                    f"{endpoint} ({error.strerror})",
                    "choose another address or port, or stop what holds it",
                ) from None
        endpoint = f"ipc://{folder}/frames-{self.camera_id}" if os.name == "posix" else "tcp://127.0.0.1:*"
        server_keys, client_keys = link_for(endpoint)
        receiver = Receiver(endpoint, frames, server_keys, largest)
        spec = CaptureSpec(
            source=self.source,
            view=config.view,
            size=size,
            endpoint=receiver.endpoint,
            camera_id=self.camera_id,
            generation=0,
            queue_frames=frames,
            speed=request.speed,
            preview=preview,
            keys=client_keys,
            sees=model.card.view,
            face_size=face_size,
            face_margin=config.emotion.face_margin,
            codes=request.read_codes,
        )
        return receiver, CaptureProcess(
            spec,
            folder / f"capture-{self.camera_id}.log",
            self._clock,
            config.supervision,
        )

    @property
    def status(self) -> CaptureStatus:
        """What the capture process last said of itself, or why there is none any more."""
        status = self.intake.status
        if not self._given_up:
            return status
        return CaptureStatus(status.camera_id, status.generation, CaptureState.FAILED, self._given_up)

    @property
    def hopeless(self) -> bool:
        """It failed before its first frame, for a reason that the user can mend."""
        return self.status.bad_input and not self.intake.received

    @property
    def position_ns(self) -> int:
        """Time since the session's first frame: of the recording, or of the clock for a live source."""
        newest = self.intake.latest
        if self.start.ns is None or newest is None:
            return 0
        return (self._clock.now_ns() if self.source.live else newest.media_ns) - self.start.ns

    def begin(self) -> None:
        """Start the drain thread and the capture process."""
        self.intake.start()
        self.capture.start()

    def look(self) -> list[str]:
        """Look after the capture process; what there is to tell, a line each.

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
            for queue in filter(None, (self.queue, self._stretch_queue)):
                queue.close()  # what is due is judged; nothing more will be
        status = self.status
        if (status.state, status.detail) != self._told:
            self._told = status.state, status.detail
            lines.append(f"{status.state.value}: {status.detail}" if status.detail else status.state.value)
        return lines

    def look_at_recording(self) -> RecordingLine | None:
        """What the recording is: once, when its first frame has come."""
        found = self.status.recording
        if self._recording_told or found is None or self.start.ns is None:
            return None
        self._recording_told = True
        return RecordingLine(
            self.camera_id,
            self.source.name,
            round(to_s(self.start.ns - found.begins_ns), 6),
            found.width,
            found.height,
            found.fps,
            found.streams,
            found.stream,
        )

    def look_at_visibility(self) -> list[VisibilityLine]:
        """Who came into view or left since the last look, and what of them."""
        return self._visibility.pop()

    def summary(self) -> tuple[SummaryLine, str]:
        """What was judged, and the same in words; once it is over."""
        self._visibility.finish(self._clock.now_ns() if self.source.live else None)
        baseline, stats = self.analysis.aggregator.baseline, self.stats({}, {})
        line = self._visibility.summary(
            stats.windows_due, stats.windows, baseline.windows if baseline else 0, stats.skipped
        )
        return line, in_words(line, baseline.rest_s if baseline else 0.0)

    @property
    def baseline(self) -> str:
        """How the person's rest is being measured or what it changed; empty without a baseline."""
        return str(self.analysis.aggregator.baseline or "")

    def look_at_baseline(self) -> str:
        """What there is to tell of the baseline since the last look; empty without news."""
        told, self._baseline_told = self._baseline_told, self.baseline
        return self._baseline_told if self._baseline_told != told else ""

    def ask_to_stop(self) -> None:
        """Tell the capture process to leave; do not wait."""
        self.capture.ask_to_stop()

    def close(self, capture_s: float, drain_s: float) -> list[str]:
        """End what is left of it, each part in its time; harmless when it has ended. Close its queue first.

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
        side = self.capture.refused if isinstance(self.capture, RemoteCapture) else {}
        return dict(Counter(self._receiver.refused) + Counter(side))

    def stats(self, refused: dict[str, int], lines_lost: dict[str, int]) -> StatsLine:
        """Where it stands; `windows + skipped = windows_due` once it is over.

        Args:
            refused, lines_lost: of the whole session.
        """
        window = self.intake.window
        clock = self.status.clock
        return StatsLine(
            camera=self.camera_id,
            time_s=round(to_s(self.position_ns), 3),
            capture_fps=round(self.intake.frames_per_s, 1),
            frames=self.intake.received,
            windows_due=window.due,
            windows=self.analysis.processed,
            dropped=self.intake.dropped,
            skipped=dict(sorted((Counter(window.skipped) + Counter(self.queue.skipped)).items())),
            latency_ms={stage: {"p50": p50, "p99": p99} for stage, (p50, p99) in self.latency.percentiles().items()},
            capture=self.status.state.value,
            restarts=self.capture.restarts,
            refused=refused,
            stretches=self._stretch_totals(),
            lines_lost=lines_lost,
            other_clock_ms=None
            if clock is None
            else OtherClock(round(clock.offset_ns / NS_PER_MS, 4), round(clock.error_ns / NS_PER_MS, 4)),
        )

    def _stretch_totals(self) -> StretchTotals | None:
        stretches, queue = self.intake.stretches, self._stretch_queue
        if stretches is None or queue is None or self.emotion is None:
            return None
        skipped = dict(sorted((Counter(stretches.skipped) + Counter(queue.skipped)).items()))
        return StretchTotals(stretches.due, self.emotion.processed, skipped)

    def snapshot(self, model: Bundle, engine: str, messages: tuple[str, ...]) -> OverlayState:
        """What the overlay shows of this moment."""
        card, request, newest = model.card, self._request, self.intake.latest
        stats, status = self.stats({}, {}), self.status
        aggregator = self.analysis.aggregator
        return OverlayState(
            model=card.name,
            engine=engine,
            source=self.source.name,
            trained_on=card.provenance.trained_on,
            untrained=not (card.trained and (self._emotion_model is None or self._emotion_model.bundle.card.trained)),
            replay=not self.source.live,
            speed=request.speed,
            simulated=isinstance(self.source, SimulatedSpec),
            elapsed_s=stats.time_s,
            capture=status.state,
            capture_detail=status.detail,
            framing=framing_warnings(
                newest.framing, request.config.view.crop, to_s(newest.media_ns - (self.start.ns or 0))
            )
            if newest
            else (),
            picture=newest.preview if newest else None,
            show_picture=request.config.overlay.picture,
            top=top_actions(aggregator.posteriors, aggregator.running),
            usual=aggregator.usual,
            events=tuple(reversed(self.analysis.events)),
            truth=self._truth,
            session_start_ns=self.start.ns or 0,
            latency=self.latency.percentiles(),
            capture_fps=stats.capture_fps,
            windows_per_s=self.analysis.windows_per_s,
            dropped=stats.dropped,
            skipped=stats.skipped,
            restarts=stats.restarts,
            messages=messages,
            emotion=self._shown_emotion(),
            baseline=self.baseline,
        )

    def _shown_emotion(self) -> EmotionShown | None:
        if self.emotion is None:
            return None
        position_s = to_s(self.position_ns)
        true = next((one.name or "none" for one in self._moods if one.onset_s <= position_s < one.offset_s), "")
        history = list(self.emotion.history)
        if not history or self.position_ns - (history[-1].time_ns - (self.start.ns or 0)) > FORGOTTEN_NS:
            return EmotionShown(true=true)
        newest = history[-1]
        return EmotionShown(
            shares=tuple(newest.probs.tolist()),
            intervals=tuple((low, high) for low, high in newest.interval.tolist()),
            evidence_s=newest.evidence_s,
            face_visible=newest.face_visible,
            abstains=newest.abstains,
            true=true,
            history=tuple(
                (to_s(newest.time_ns - one.time_ns), None if one.abstains else tuple(one.probs.tolist()))
                for one in history
            ),
        )


def _truth(source: SourceSpec) -> tuple[tuple[TrueEvent, ...], tuple[Episode, ...]]:
    """What a simulated interview will show, for the overlay: actions, moods. Nothing is known of any other source."""
    if not isinstance(source, SimulatedSpec):
        return (), ()
    session = simulate_session(source.seed, source.seconds, source.mode, source.moods)
    return tuple(TrueEvent(one.action, one.onset_s, one.offset_s) for one in session.truth), session.episodes
