"""One session, from the first frame to the last report: a channel for each camera, one engine, and who watches."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from engines.bundle import Bundle
from engines.common.errors import BadInput, Failed
from engines.runtimes.base import Runtime
from realtime.analysis.emotion import NOTE, EmotionModel
from realtime.analysis.engine import Engine
from realtime.analysis.queues import FairTurns
from realtime.camera_pipeline import Channel
from realtime.capture.supervisor import PAUSE_NS
from realtime.clock import MonotonicClock, SessionStart, to_ns, to_s
from realtime.display import Display
from realtime.messages import CaptureState
from realtime.output.event_stream import EventStream, SessionLine, StatsLine
from realtime.output.overlay import OverlayState
from realtime.request import Request

TICK_S = 0.05  # how often the main thread looks around
STOP_S = 1.2  # all parts together get this long to end politely; a user's Ctrl-C is answered within 2 s


class SessionFailed(Failed):
    """The session broke while it ran; one line says how."""


class Session:
    """The rooms of one session and the loop that watches over them.

    Attributes:
        channels: by camera id.
    """

    def __init__(
        self,
        request: Request,
        model: Bundle,
        runtime: Runtime,
        stream: EventStream,
        folder: Path,
        emotion: EmotionModel | None = None,
    ) -> None:
        self.emotion = emotion
        self.request, self.model, self.runtime, self._stream = request, model, runtime, stream
        self._clock = clock = MonotonicClock()
        count, config = len(request.sources), request.config
        changed = threading.Condition()
        self._turns = turns = FairTurns(count, request.lossless, to_ns(config.engine.staleness_s), clock, changed)
        # a stretch may wait until the next is due
        self._stretches = stretches = (
            FairTurns(count, request.lossless, to_ns(config.emotion.hop_s), clock, changed) if emotion else None
        )
        # Live cameras share a clock, and so a beginning; a recording has one of its own.
        starts = [SessionStart()] * count if request.live else [SessionStart() for _ in range(count)]
        self.channels = [
            Channel(
                camera_id,
                request,
                model,
                turns.queues[camera_id],
                starts[camera_id],
                stream,
                clock,
                folder,
                emotion,
                stretches.queues[camera_id] if stretches else None,
            )
            for camera_id in range(count)
        ]
        self.engine = Engine(
            turns,
            [channel.analysis for channel in self.channels],
            runtime,
            model,
            clock,
            config.engine.nice,
            stretches,
            [channel.emotion for channel in self.channels if channel.emotion],
            stream.wait_for_room if request.lossless else None,
        )
        self.closing: list[str] = []  # what was judged, a line for each camera, once it is over
        self._on_begin: Callable[[], None] | None = None  # None once it was called
        self.messages: list[str] = []  # what happened, for the overlay; newest last
        self._next_stats_ns = self._stats_every_ns = to_ns(config.output.stats_every_s)
        self._refused_told: dict[str, int] = {}
        self._outputs_told: set[str] = set()
        self._stop_by: float | None = None  # once it is closing
        self.unfinished: list[str] = []  # parts that still run after `close`; what they use must be left open

    @property
    def begun(self) -> bool:
        """A picture has come, from whichever camera."""
        return any(channel.intake.received for channel in self.channels)

    @property
    def position_ns(self) -> int:
        """Time since the session's first frame, of the camera that is furthest."""
        return max(channel.position_ns for channel in self.channels)

    def run(
        self, stop: threading.Event, on_begin: Callable[[], None] = lambda: None, suspend: threading.Event | None = None
    ) -> None:
        """Start every part and look after them until every source ends or `stop` is set.

        A camera that fails leaves the others running, unless the user can mend it before anything has begun.

        Args:
            on_begin: called once when the first picture has come.
            suspend: set by the terminal's Ctrl-Z: this process is stopped until it is continued.

        Raises:
            BadInput: a camera failed for a reason that the user can mend.
            SessionFailed: another broke, or the engine did.
        """
        limit_ns = math.inf if self.request.limit_s is None else to_ns(self.request.limit_s)
        self._on_begin = on_begin
        self._say("started")
        if self.emotion:
            card = self.emotion.bundle.card
            self._say("emotion", f"{NOTE}; model {card.name}, trained on {card.provenance.trained_on}")
        self.engine.start()
        for channel in self.channels:
            channel.begin()
        with self._display() as display:
            while self.engine.alive and not stop.is_set() and self.position_ns < limit_ns:
                if self._stream.reader_left:
                    stop.set()
                before_ns = self._clock.now_ns()
                stop.wait(TICK_S)
                if suspend is not None and suspend.is_set():
                    self._suspend(display)
                    suspend.clear()
                stood_ns = self._clock.now_ns() - before_ns
                if stood_ns > PAUSE_NS:
                    self._say("paused", f"this process stood still for {to_s(stood_ns):.1f} s")
                self._look()
                if any(channel.hopeless for channel in self.channels):
                    break
                if display:
                    self._draw(display)
                    if display.gone:
                        stop.set()
            self._conclude(interrupted=stop.is_set())

    def snapshot(self) -> tuple[OverlayState, ...]:
        """What the overlay shows of this moment, by camera."""
        messages = tuple(self.messages)
        return tuple(channel.snapshot(self.model, self.runtime.name, messages) for channel in self.channels)

    def stats(self) -> list[StatsLine]:
        """Where each camera stands."""
        refused, lines_lost = self.refused, self._stream.lines_lost
        return [channel.stats(refused, lines_lost) for channel in self.channels]

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in at any door of the session, by cause."""
        total = sum((Counter(channel.refused) for channel in self.channels), Counter(self._stream.refused))
        return dict(sorted(total.items()))

    def close(self) -> None:
        """End every part within `STOP_S`; harmless when they have ended. What outlives this call is `unfinished`."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_S
        stop_by = self._stop_by

        def left(share: float = 1.0) -> float:
            return max(0.0, stop_by - STOP_S * (1.0 - share) - time.monotonic())

        for channel in self.channels:
            channel.ask_to_stop()
        self._turns.close()
        if self._stretches:
            self._stretches.close()
        running = [line for channel in self.channels for line in channel.close(left(1 / 3), left())]
        self.unfinished = running + ([] if self.engine.stop(left()) else ["the engine"])

    def _suspend(self, display: Display | None) -> None:
        """Stop, as Ctrl-Z does. A recording waits; a live camera does not, and what it loses is counted."""
        for channel in self.channels:
            channel.capture.pause()
        waiting_until = time.monotonic() + self.request.config.engine.staleness_s
        while self._turns.waiting and time.monotonic() < waiting_until:
            time.sleep(TICK_S)  # else what waits would be too old afterwards
        if display:
            display.leave()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # the system knows whether somebody is there to continue us
        signal.signal(signal.SIGTSTP, handler)
        if display:
            display.come_back()
        for channel in self.channels:
            channel.capture.resume()

    def _display(self) -> AbstractContextManager[Display | None]:
        if self.request.headless:
            return nullcontext()
        return Display(self.snapshot, self.request.config.overlay.refresh_hz)

    def _draw(self, display: Display) -> None:
        windows = [channel.latency.counts[1] for channel in self.channels]
        if display.refresh():
            for channel, count in zip(self.channels, windows, strict=True):
                channel.latency.drawn(count, self._clock.now_ns())

    def _look(self) -> None:
        self._notice_beginning()
        for channel in self.channels:
            try:
                lines = channel.look()
            except Exception as error:  # noqa: BLE001 - whatever broke the drain thread ends the session
                raise self._broken(error) from None
            for line in lines:
                self._say("capture", line, channel)
        self._tell_recordings()
        self._tell_visibility()
        self._tell_baselines()
        self._tell_what_is_lost()
        if self.engine.error is not None:
            raise self._broken(self.engine.error)
        if self.position_ns >= self._next_stats_ns:
            self._next_stats_ns = (self.position_ns // self._stats_every_ns + 1) * self._stats_every_ns
            self._write_stats()

    def _write_stats(self) -> None:
        if self.refused != self._refused_told:
            self._refused_told = self.refused
            causes = ", ".join(f"{count} by {cause}" for cause, count in self._refused_told.items())
            self._say("refused", f"connections that did not get in: {causes}")
        for line in self.stats():
            self._stream.write(line)

    def _notice_beginning(self) -> None:
        if self.begun and self._on_begin is not None:
            self._on_begin()
            self._on_begin = None

    def _conclude(self, interrupted: bool) -> None:
        self.close()
        self._notice_beginning()
        if self.engine.error is not None:
            raise self._broken(self.engine.error)
        self._tell_recordings()
        self._summarise()
        for line in self.stats():
            self._stream.write(line)
        self._tell_baselines()
        self._tell_what_is_lost()
        failed = [channel for channel in self.channels if channel.status.state is CaptureState.FAILED]
        if self.unfinished:
            raise self._failed(f"still at work {STOP_S:g} s after the end: {', '.join(self.unfinished)}")
        if failed:
            lines = [self._named(channel.status.detail, channel) for channel in failed]
            failure = self._failed("; ".join(lines))
            mendable = [channel for channel in failed if channel.status.bad_input]
            raise BadInput.from_line(mendable[0].status.detail) if mendable else failure
        self._say("stopped" if interrupted else "ended")

    def _tell_recordings(self) -> None:
        for channel in self.channels:
            if line := channel.look_at_recording():
                self._stream.write(line)

    def _tell_visibility(self) -> None:
        for channel in self.channels:
            for line in channel.look_at_visibility():
                self._stream.write(line)

    def _summarise(self) -> None:
        """What was judged: in the stream, and in words."""
        summaries = [channel.summary() for channel in self.channels]
        self._tell_visibility()
        for channel, (line, words) in zip(self.channels, summaries, strict=True):
            self._stream.write(line)
            self.closing.append(self._named(words, channel))
        self.messages += self.closing

    def _tell_baselines(self) -> None:
        for channel in self.channels:
            if news := channel.look_at_baseline():
                self._say("baseline", news, channel)

    def _tell_what_is_lost(self) -> None:
        lost, lines_lost = self._stream.lost, self._stream.lines_lost
        for output in (lost.keys() | lines_lost.keys()) - self._outputs_told:
            self._outputs_told.add(output)
            self._say("output", lost.get(output) or f"{output} does not keep up: its reader loses lines")

    def _broken(self, error: BaseException) -> SessionFailed:
        return self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, line: str) -> SessionFailed:
        self._say("failed", line)
        return SessionFailed(line)

    def _named(self, line: str, channel: Channel) -> str:
        """With the camera's name before it where there is more than one."""
        return line if len(self.channels) == 1 else f"{channel.source.name}: {line}"

    def _say(self, state: str, detail: str = "", channel: Channel | None = None) -> None:
        if detail:
            self.messages.append(self._named(detail, channel) if channel else detail)
            del self.messages[:-20]
        card = self.model.card
        source = channel.source.name if channel else self.request.source_names
        camera = channel.camera_id if channel else None
        line = SessionLine(state, card.name, self.runtime.name, source, detail, camera)
        if state == "started":
            line = msgspec.structs.replace(line, trained_on=card.provenance.trained_on, consent=self.request.consent)
        self._stream.write(line)
