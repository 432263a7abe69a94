"""One session while it runs: a pipeline for each camera, one engine, and the loop that watches over them."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from engines.common.errors import BadInput, Failed
from realtime.analysis.emotion import NOTE
from realtime.analysis.engine import Engine
from realtime.analysis.lane import Track
from realtime.analysis.queues import FairTurns
from realtime.camera_pipeline import CameraPipeline
from realtime.capture.supervisor import PAUSE_NS
from realtime.clock import SessionStart, to_ns, to_s
from realtime.display import Display
from realtime.messages import CaptureState
from realtime.output.lines import Line, MarkerLine, SessionLine, StatsLine
from realtime.output.overlay import OverlayState
from realtime.session_setup import Setup

TICK_S = 0.05  # period of the main thread's checks
STOP_S = 1.2  # all parts together get this long to end politely; a user's Ctrl-C is answered within 2 s
MESSAGES_KEPT = 20


class SessionFailed(Failed):
    """The session broke while it ran; one line says how."""


class SessionLoop:
    """The parts of one session and the loop that watches over them.

    Attributes:
        pipelines: by camera id.
        closing: what was judged, a line for each camera, once it is over.
        messages: what happened, for the overlay; newest last.
        unfinished: parts that still run after `close`; what they use must be left open.
    """

    def __init__(self, setup: Setup, display: Display | None = None) -> None:
        request, self.setup, self._display = setup.request, setup, display or Display()
        self.request, self.model, self.runtime = request, setup.models[0].bundle, setup.models[0].runtime
        self._stream, self._clock = setup.stream, setup.clock
        count, changed = len(request.sources), threading.Condition()
        turns = [FairTurns(count, request.lossless, model.staleness_ns, self._clock, changed) for model in setup.models]
        # Live cameras share a clock, and so a beginning; a recording has one of its own.
        starts = [SessionStart()] * count if request.live else [SessionStart() for _ in range(count)]
        self.pipelines = [
            CameraPipeline(camera_id, setup, [one.queues[camera_id] for one in turns], starts[camera_id])
            for camera_id in range(count)
        ]
        tracks = [
            Track(model, turns[at], [pipeline.lanes[at] for pipeline in self.pipelines])
            for at, model in enumerate(setup.models)
        ]
        pace = self._stream.wait_for_space if request.lossless else lambda _: None
        self.engine = Engine(tracks, changed, self._clock, request.config.engine.nice, pace)
        self._turns = turns
        self._on_begin: Callable[[], None] | None = None  # None once it was called
        self._next_stats_ns = self._stats_every_ns = to_ns(request.config.output.stats_every_s)
        self._refused_reported: dict[str, int] = {}
        self._outputs_reported: set[str] = set()
        self._media_reported: set[tuple[int, str]] = set()  # camera, fault
        self._stop_by: float | None = None  # once it is closing
        self._capture_share = 2 / 3 if request.media_files else 1 / 3  # of that time; a video has to be closed
        self.closing: list[str] = []
        self.messages: list[str] = []
        self.unfinished: list[str] = []

    @property
    def begun(self) -> bool:
        """A picture has come, from whichever camera."""
        return any(pipeline.intake.received for pipeline in self.pipelines)

    @property
    def position_ns(self) -> int:
        """Time since the session's first frame, of the camera that is furthest."""
        return max(pipeline.position_ns for pipeline in self.pipelines)

    def run(
        self, stop: threading.Event, on_begin: Callable[[], None] = lambda: None, suspend: threading.Event | None = None
    ) -> None:
        """Start every part and look after them until every source ends or `stop` is set.

        A camera that fails leaves the others running, unless the user can fix it before anything has begun.

        Args:
            on_begin: called once when the first picture has come.
            suspend: set by the terminal's Ctrl-Z: this process is stopped until it is continued.

        Raises:
            BadInput: a camera failed for a reason that the user can fix.
            SessionFailed: another broke, or the engine did.
        """
        limit_ns = math.inf if self.request.limit_s is None else to_ns(self.request.limit_s)
        suspend, self._on_begin = suspend or threading.Event(), on_begin
        self._report_start()
        self.engine.start()
        for pipeline in self.pipelines:
            pipeline.begin()
        with self._display:
            while self.engine.alive and not stop.is_set() and self.position_ns < limit_ns:
                if self._stream.reader_left:
                    stop.set()
                before_ns = self._clock.now_ns()
                stop.wait(TICK_S)
                if suspend.is_set():
                    self._suspend()
                    suspend.clear()
                stood_ns = self._clock.now_ns() - before_ns
                if stood_ns > PAUSE_NS:
                    self._report("paused", f"this process stood still for {to_s(stood_ns):.1f} s")
                self._check()
                for key, at_ns in self._display.pressed_keys():
                    if (label := self.request.about.markers.get(key)) is not None:
                        self.mark(label, at_ns)
                if any(pipeline.hopeless for pipeline in self.pipelines):
                    break
                self._draw()
                if self._display.gone:
                    stop.set()
            self._conclude(interrupted=stop.is_set())

    def _report_start(self) -> None:
        provenance = self.model.card.provenance
        line = self.setup.session_line("started")
        self._write(msgspec.structs.replace(line, trained_on=provenance.trained_on, consent=self.request.consent))
        for model in self.setup.models:
            if model.task == "emotion":
                card = model.bundle.card
                self._report("emotion", f"{NOTE}; model {card.name}, trained on {card.provenance.trained_on}")

    def mark(self, label: str, at_ns: int | None = None) -> float | None:
        """Write a marker of this moment, or of one just past; callable from any thread.

        Args:
            at_ns: monotonic clock; it dates the marker of a live session, a recording's is dated by its newest picture.

        Returns:
            Its time in s; None before the first picture, when there is no clock to date it by.
        """
        if not self.begun:
            return None
        past_ns = self._clock.now_ns() - at_ns if at_ns is not None and self.request.live else 0
        line = MarkerLine(round(max(to_s(self.position_ns - past_ns), 0.0), 3), label)
        self._write(line)
        self.messages.append(f"marker: {label}")
        return line.time_s

    def snapshot(self) -> tuple[OverlayState, ...]:
        """What the overlay shows of this moment, by camera."""
        messages = tuple(self.messages)
        return tuple(pipeline.snapshot(messages) for pipeline in self.pipelines)

    def stats(self) -> list[StatsLine]:
        """Where each camera stands."""
        refused, lines_lost = self.refused, self._stream.lines_lost
        return [pipeline.stats(refused=refused, lines_lost=lines_lost) for pipeline in self.pipelines]

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in at any socket of the session, by cause."""
        total = sum((Counter(pipeline.refused) for pipeline in self.pipelines), Counter(self._stream.refused))
        return dict(sorted(total.items()))

    def close(self) -> None:
        """End every part within `STOP_S`; harmless when they have ended. What outlives this call is `unfinished`."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_S
        stop_by = self._stop_by

        def left(share: float = 1.0) -> float:
            return max(0.0, stop_by - STOP_S * (1.0 - share) - time.monotonic())

        for pipeline in self.pipelines:
            pipeline.ask_to_stop()
        for turns in self._turns:
            turns.close()
        running = [line for pipeline in self.pipelines for line in pipeline.close(left(self._capture_share), left())]
        self.unfinished = running + ([] if self.engine.stop(left()) else ["the engine"])

    def _suspend(self) -> None:
        """Stop, as Ctrl-Z does. A recording waits; a live camera does not, and what it loses is counted."""
        for pipeline in self.pipelines:
            pipeline.capture.pause()
        waiting_until = time.monotonic() + self.request.config.engine.staleness_s
        while self._turns[0].waiting and time.monotonic() < waiting_until:
            time.sleep(TICK_S)  # else what waits would be too old afterwards
        self._display.leave()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # the system knows whether a shell can continue us
        signal.signal(signal.SIGTSTP, handler)
        self._display.come_back()
        for pipeline in self.pipelines:
            pipeline.capture.resume()

    def _draw(self) -> None:
        windows = [pipeline.latency.counts[1] for pipeline in self.pipelines]
        if self._display.refresh(self.snapshot):
            for pipeline, count in zip(self.pipelines, windows, strict=True):
                pipeline.latency.drawn(count, self._clock.now_ns())

    def _check(self) -> None:
        self._notice_beginning()
        for pipeline in self.pipelines:
            try:
                lines = pipeline.check()
            except Exception as error:  # noqa: BLE001 - whatever broke the drain thread ends the session
                raise self._broken(error) from None
            self._write(*lines, *pipeline.reports())
        self._report_losses()
        self._report_media()
        for model in self.setup.models:
            if notice := model.runtime.notice():
                self._report("engine", notice)
        if self.engine.error is not None:
            raise self._broken(self.engine.error) from self.engine.error
        if self.position_ns >= self._next_stats_ns:
            self._next_stats_ns = (self.position_ns // self._stats_every_ns + 1) * self._stats_every_ns
            if self.refused != self._refused_reported:
                self._refused_reported = self.refused
                causes = ", ".join(f"{count} by {cause}" for cause, count in self._refused_reported.items())
                self._report("refused", f"connections that did not get in: {causes}")
            self._write(*self.stats())

    def _notice_beginning(self) -> None:
        if self.begun and self._on_begin is not None:
            self._on_begin()
            self._on_begin = None

    def _conclude(self, interrupted: bool) -> None:
        self.close()
        self._notice_beginning()
        if self.engine.error is not None:
            raise self._broken(self.engine.error) from self.engine.error
        for pipeline in self.pipelines:
            lines, words = pipeline.finish()
            self._write(*lines)
            self.closing.append(self._named(words, pipeline.camera_id))
        self.messages += self.closing
        self._write(*self.stats())
        self._report_losses()
        self._report_media()
        failed = [pipeline for pipeline in self.pipelines if pipeline.status.state is CaptureState.FAILED]
        if self.unfinished:
            raise self._failed(f"still at work {STOP_S:g} s after the end: {', '.join(self.unfinished)}")
        if failed:
            failure = self._failed("; ".join(self._named(one.status.detail, one.camera_id) for one in failed))
            fixable = [pipeline.status for pipeline in failed if pipeline.status.bad_input]
            raise BadInput.from_line(fixable[0].detail) if fixable else failure
        self._report("stopped" if interrupted else "ended")

    def _report_losses(self) -> None:
        lost, lines_lost = self._stream.lost, self._stream.lines_lost
        for output in (lost.keys() | lines_lost.keys()) - self._outputs_reported:
            self._outputs_reported.add(output)
            self._report("output", lost.get(output) or f"{output} does not keep up: its reader loses lines")

    @property
    def media_faults(self) -> list[str]:
        """Why something that was to be recorded is not all there, one line each."""
        return [pipeline.status.media_fault for pipeline in self.pipelines if pipeline.status.media_fault]

    def _report_media(self) -> None:
        for pipeline in self.pipelines:
            status = pipeline.status
            texts = [status.media_fault] if status.media_fault else []
            if status.media_left_out:
                texts.append("the video does not keep up: pictures are left out of it")
            for text in texts:
                if (pipeline.camera_id, text) not in self._media_reported:
                    self._media_reported.add((pipeline.camera_id, text))
                    self._write(self.setup.session_line("output", text, pipeline.camera_id))

    def _broken(self, error: BaseException) -> SessionFailed:
        return self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, line: str) -> SessionFailed:
        self._report("failed", line)
        return SessionFailed(line)

    def _named(self, line: str, camera_id: int | None) -> str:
        """With the camera's name before it where there is more than one."""
        if camera_id is None or len(self.pipelines) == 1:
            return line
        return f"{self.request.sources[camera_id].name}: {line}"

    def _report(self, state: str, detail: str = "") -> None:
        self._write(self.setup.session_line(state, detail))

    def _write(self, *lines: Line) -> None:
        for line in lines:
            self._stream.write(line)
            if isinstance(line, SessionLine) and line.detail:
                self.messages.append(self._named(line.detail, line.camera))
        del self.messages[:-MESSAGES_KEPT]
