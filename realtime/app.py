"""One session, from the first frame to the last report: builds the rooms, watches over them, ends them."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.errors import BadInput, Failed
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from events.aggregator import Aggregator, thresholds
from realtime.analysis import Analysis
from realtime.capture import CaptureSpec
from realtime.clock import MonotonicClock, to_ns, to_s
from realtime.config import Config
from realtime.display import Display, framing_warnings
from realtime.inference import WindowQueue
from realtime.intake import Intake
from realtime.keys import link_for, load_keys
from realtime.latency import ROWS_RECENT, LatencyLog
from realtime.messages import CaptureState
from realtime.outputs import PublishOutput, RecordOutput, StdoutOutput
from realtime.overlay import OverlayState, TrueEvent, top_actions
from realtime.sources import SimulatedSpec, SourceSpec, probe
from realtime.sources.simulated import simulate_session
from realtime.stream import EventStream, Output, SessionLine, StatsLine
from realtime.supervisor import CaptureFailed, CaptureProcess
from realtime.views import PREVIEW_SIDE, prepare_view
from realtime.window import SlidingWindow
from realtime.wire import Receiver

TICK_S = 0.05  # how often the main thread looks around
STOP_S = 1.5  # all parts together get this long to end politely; a user's Ctrl-C is answered within 2 s
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class SessionFailed(Failed):
    """The session broke while it ran; one line says how."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for, checked as far as that goes without opening anything."""

    source: SourceSpec
    model: str
    config: Config
    speed: float | None = 1.0  # recordings: media seconds per second; None: as fast as the engine, nothing skipped
    headless: bool = False
    record: Path | None = None
    consent: str | None = None
    print_events: bool = True  # headless: the event stream on standard output
    limit_s: float | None = None  # end after this much of the session's clock
    latency_rows: int = ROWS_RECENT  # frames and windows whose stamps are kept one by one


def run(request: Request, after: Callable[[Session], None] = lambda _: None) -> None:
    """Run one session until its source ends or the user stops it.

    Args:
        after: given the session once it is over, unless it failed.

    Raises:
        BadInput: something the user can mend (exit code 2).
        SessionFailed: it broke while it ran (exit code 1).
    """
    with ExitStack() as stack:
        probe(request.source)
        model = Bundle.load(bundles.find(request.model))
        _ = model.card.manet  # an emotion model is none to find actions with
        stream = EventStream(_outputs(request, model, stack))
        if not request.source.tracked:
            prepare_view(request.config.view, _tell, model.card.view)
        engine = request.config.engine
        runtime = stack.enter_context(open_runtime(model, engine.runtime, engine.threads, report=_tell))
        stop = stack.enter_context(_stop_on_signals())
        folder = Path(tempfile.mkdtemp(prefix="manet-live-"))  # mode 0700: the socket and the capture's log
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        session = Session(request, model, runtime, stream, folder)
        try:
            session.run(stop)
        finally:
            session.close()
        after(session)
        if stream.lost:
            raise SessionFailed(stream.lost[0])  # the session is over, but what was asked for is not all there


class Session:
    """The rooms of one session and the loop that watches over them."""

    def __init__(self, request: Request, model: Bundle, runtime: Runtime, stream: EventStream, folder: Path) -> None:
        config, card, source = request.config, model.card, request.source
        self.request, self.model, self.runtime, self._stream = request, model, runtime, stream
        self._clock = clock = MonotonicClock()
        span_ns, hop_ns = to_ns(card.span_s), to_ns(config.window.hop_s)

        self.latency = LatencyLog(request.latency_rows)
        self.queue = WindowQueue(self.lossless, to_ns(config.engine.staleness_s), clock)
        window = SlidingWindow(0, card.length, span_ns, hop_ns, to_ns(config.window.max_gap_s))
        endpoint = f"ipc://{folder}/frames" if os.name == "posix" else "tcp://127.0.0.1:*"
        server_keys, client_keys = link_for(endpoint)
        largest_side = max(card.size, PREVIEW_SIDE)
        self._receiver = Receiver(endpoint, config.supervision.queue_frames, server_keys, largest_side)
        self.intake = Intake(self._receiver, window, self.queue, clock, self.latency, card.size)
        enter, exit_ = thresholds(config.aggregator, card.calibration.enter, card.calibration.exit)
        aggregator = Aggregator(
            0, span_ns, hop_ns, config.aggregator, enter, exit_, window.centre_shift_ns,
            clock.now_ns if source.live else None,
        )  # fmt: skip
        self.analysis = Analysis(self.queue, runtime, model, aggregator, stream, clock, self.latency)
        spec = CaptureSpec(
            source=source, view=config.view, size=card.size, endpoint=self._receiver.endpoint, camera_id=0,
            generation=0, queue_frames=config.supervision.queue_frames, speed=request.speed,
            preview=not request.headless and config.overlay.picture, keys=client_keys, sees=card.view,
        )  # fmt: skip
        self.capture = CaptureProcess(
            spec, folder / "capture.log", clock, to_ns(config.supervision.hang_s), config.supervision.max_restarts
        )
        self.messages: list[str] = []  # what happened, for the overlay; newest last
        self._next_stats_ns = self._stats_every_ns = to_ns(config.output.stats_every_s)
        self._truth = _truth(request.source)
        self._shown_state = (CaptureState.OPENING, "")
        self._refused_told: dict[str, int] = {}
        self._lost_told = 0  # of the stream's

    @property
    def lossless(self) -> bool:
        """A recording at full speed: the engine sets the pace and nothing is skipped."""
        return not self.request.source.live and self.request.speed is None

    @property
    def position_ns(self) -> int:
        """Time since the session's first frame: of the recording, or of the clock for a live source."""
        start_ns, newest = self.intake.window.start_ns, self.intake.latest
        if start_ns is None or newest is None:
            return 0
        return (self._clock.now_ns() if self.request.source.live else newest.media_ns) - start_ns

    def run(self, stop: threading.Event) -> None:
        """Start every part and look after them until the source ends or `stop` is set."""
        limit_ns = math.inf if self.request.limit_s is None else to_ns(self.request.limit_s)
        self._say("started")
        self.intake.start()
        self.analysis.start()
        self.capture.start()
        with self._display() as display:
            while self.analysis.alive and not stop.is_set() and self.position_ns < limit_ns:
                stop.wait(TICK_S)
                self._look()
                if display:
                    windows = self.latency.counts[1]
                    if display.refresh():
                        self.latency.drawn(windows, self._clock.now_ns())
                    if display.gone:
                        stop.set()
            self._conclude(interrupted=stop.is_set())

    def snapshot(self) -> OverlayState:
        """What the overlay shows of this moment."""
        card, request, newest = self.model.card, self.request, self.intake.latest
        stats = self.stats()
        aggregator, events = self.analysis.aggregator, tuple(reversed(self.analysis.events))
        return OverlayState(
            model=card.name,
            engine=self.runtime.name,
            source=request.source.name,
            trained_on=card.provenance.trained_on,
            untrained=not card.trained,
            replay=not request.source.live,
            speed=request.speed,
            simulated=isinstance(request.source, SimulatedSpec),
            elapsed_s=stats.time_s,
            capture=self.intake.status.state,
            capture_detail=self.intake.status.detail,
            framing=framing_warnings(newest.framing, request.config.view.crop) if newest else (),
            picture=newest.preview if newest else None,
            show_picture=request.config.overlay.picture,
            top=top_actions(aggregator.posteriors, aggregator.running),
            events=events,
            truth=self._truth,
            session_start_ns=self.intake.window.start_ns or 0,
            latency=self.latency.percentiles(),
            capture_fps=stats.capture_fps,
            windows_per_s=self.analysis.windows_per_s,
            dropped=stats.dropped,
            skipped=stats.skipped,
            restarts=stats.restarts,
            messages=tuple(self.messages),
        )

    def _display(self) -> AbstractContextManager[Display | None]:
        if self.request.headless:
            return nullcontext()
        return Display(self.snapshot, self.request.config.overlay.refresh_hz)

    def close(self) -> None:
        """End every part; harmless when they have ended. Nothing outlives this call."""
        deadline = time.monotonic() + STOP_S
        self.capture.ask_to_stop()
        self.queue.close(discard=True)
        self.capture.stop(STOP_S / 3)
        self.intake.stop(max(0.0, deadline - time.monotonic()))
        self.analysis.stop(max(0.0, deadline - time.monotonic()))
        self._receiver.close()

    def _look(self) -> None:
        newest, status = self.intake.latest, self.intake.status
        try:
            fault = self.capture.check(status.state, self.intake.waiting_since_ns, newest.media_ns if newest else None)
        except CaptureFailed as error:
            raise self._failed(str(error)) from None
        if fault:
            self._say("capture", fault)
        if (status.state, status.detail) != self._shown_state:
            self._shown_state = status.state, status.detail
            self._say("capture", f"{status.state.value}: {status.detail}" if status.detail else status.state.value)
        self._tell_what_is_lost()
        for part in (self.intake, self.analysis):
            if part.error is not None:
                raise self._broken(part.error)
        if self.position_ns >= self._next_stats_ns:
            self._next_stats_ns = (self.position_ns // self._stats_every_ns + 1) * self._stats_every_ns
            stats = self.stats()
            if stats.refused != self._refused_told:
                self._refused_told = stats.refused
                causes = ", ".join(f"{count} by {cause}" for cause, count in stats.refused.items())
                self._say("refused", f"connections that did not get in: {causes}")
            self._stream.write(stats)

    def _conclude(self, interrupted: bool) -> None:
        self.close()
        if self.analysis.error is not None:
            raise self._broken(self.analysis.error)
        self._stream.write(self.stats())
        self._tell_what_is_lost()
        status = self.intake.status
        if status.state is CaptureState.FAILED:
            failure = self._failed(status.detail)
            raise BadInput.from_line(status.detail) if status.bad_input else failure
        self._say("stopped" if interrupted else "ended")

    def _tell_what_is_lost(self) -> None:
        for line in self._stream.lost[self._lost_told :]:
            self._lost_told += 1
            self._say("record", line)

    def _broken(self, error: BaseException) -> BaseException:
        if isinstance(error, BrokenPipeError):  # whoever read our output has left: that is an end, not a failure
            return error
        return self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, line: str) -> SessionFailed:
        self._say("failed", line)
        return SessionFailed(line)

    def _say(self, state: str, detail: str = "") -> None:
        if detail:
            self.messages.append(detail)
            del self.messages[:-20]
        card = self.model.card
        self._stream.write(
            SessionLine(state, card.name, card.provenance.trained_on, self.runtime.name, self.request.source.name,
                        self.request.consent, detail)
        )  # fmt: skip

    def stats(self) -> StatsLine:
        """Where the session stands; `windows + skipped = windows_due` once it is over."""
        window = self.intake.window
        return StatsLine(
            time_s=round(to_s(self.position_ns), 3),
            capture_fps=round(self.intake.frames_per_s, 1),
            frames=self.intake.received,
            windows_due=window.due,
            windows=self.analysis.processed,
            dropped=self.intake.dropped,
            skipped=dict(sorted((Counter(window.skipped) + Counter(self.queue.skipped)).items())),
            latency_ms={
                stage: {"p50": p50, "p99": p99} for stage, (p50, p99) in self.latency.percentiles().items()
            },
            capture=self.intake.status.state.value,
            restarts=self.capture.restarts,
            refused=self.refused,
        )

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in, by cause."""
        return dict(sorted((Counter(self._receiver.refused) + Counter(self._stream.refused)).items()))


def _truth(source: SourceSpec) -> tuple[TrueEvent, ...]:
    """What a simulated interview will show, for the overlay; nothing is known of any other source."""
    if not isinstance(source, SimulatedSpec):
        return ()
    session = simulate_session(source.seed, source.seconds, source.mode)
    return tuple(TrueEvent(one.action, one.onset_s, one.offset_s) for one in session.truth)


def _outputs(request: Request, model: Bundle, stack: ExitStack) -> list[Output]:
    outputs: list[Output] = []

    def add(output: Output) -> None:
        outputs.append(output)
        stack.callback(output.close)

    config = request.config.output
    if config.publish:
        add(PublishOutput(config.publish, load_keys(Path(config.keys)) if config.keys else None))
    elif config.keys:
        raise BadInput("--publish with --keys", "--keys alone", "say where to publish")
    if request.record:
        add(RecordOutput(request.record, _session_record(request, model)))
    if request.headless and request.print_events:
        add(StdoutOutput())
    return outputs


def _session_record(request: Request, model: Bundle) -> dict[str, object]:
    return {
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "source": request.source.name,
        "speed": "max" if request.speed is None else request.speed,
        "consent": request.consent,
        "config": request.config,
        "model": model.card,
    }


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set; the handlers before it come back afterwards."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(line: str) -> None:
    print(f"manet-live: {line}", file=sys.stderr, flush=True)
