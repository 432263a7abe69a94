"""A session, for a command or a program that embeds it: opens what it needs, runs it, closes everything."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.common.log import log
from engines.runtimes import Runtime, open_runtime
from realtime.analysis.actions import ActionModel, LandmarkActionModel
from realtime.analysis.emotion import NOTE, EmotionModel
from realtime.analysis.lane import Model
from realtime.analysis.stream import StreamActionModel
from realtime.capture.sources import LandmarkFileSpec, SourceSpec, parse_source, probe
from realtime.capture.sources.standard_input import with_standard_input
from realtime.capture.views.make import fetch_models
from realtime.clock import MonotonicClock
from realtime.config import Config
from realtime.control_socket import ControlSocket
from realtime.display import Display
from realtime.output.event_stream import EventStream
from realtime.output.observer import Observer
from realtime.priority import at_low_priority
from realtime.request import Request
from realtime.session_loop import SessionFailed, SessionLoop
from realtime.session_setup import Setup
from realtime.transport.ipc_paths import private_folder

DEFAULT_MODEL, DEFAULT_EMOTION = "landmarks", "emotions"
FLUSH_S = 0.4  # that observers get for what still waits, when the session is over
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
SUSPEND_SIGNALS = [signal.SIGTSTP] if hasattr(signal, "SIGTSTP") else []  # Ctrl-Z

Source = SourceSpec | str | int


class Session:
    """One or several cameras or recordings, watched until they end.

        class Printer(Observer):
            def on_action(self, event):
                print(event.onset_s, event.state, event.action)

        Session("interview.mp4", observers=[Printer()]).run()

    Args:
        sources: a webcam's number, the URL of a stream, the path of a recording, or a spec; or several of them.
        model: name or folder of the bundle that finds actions.
        observers: who receives what is reported; they are closed with the session.
        display: draws it, where it is to be drawn.
        models: opened by `open_models` for several sessions of one configuration; None: its own.
        settings: the other fields of a `Request`, among them `config`, `speed` and `emotion`.

    Raises:
        BadInput: sources that cannot go together.
    """

    def __init__(
        self,
        sources: Source | Sequence[Source],
        model: str = DEFAULT_MODEL,
        observers: Sequence[Observer] = (),
        display: Display | None = None,
        models: Sequence[Model] | None = None,
        **settings: Any,
    ) -> None:
        several = (sources,) if isinstance(sources, Source) else sources
        config = settings.setdefault("config", Config())
        self.request = Request(tuple(parse_source(one, config) for one in several), model, **settings)
        self._display, self._models = display or Display(), models
        self._stream = EventStream(observers)

    def run(self, stop: threading.Event | None = None, handle_signals: bool = False) -> SessionLoop:
        """Run until every source ends or `stop` is set; what it came to.

        Files that observers make are taken back where not one picture comes: a failed start leaves nothing behind.

        Args:
            handle_signals: Ctrl-C, SIGTERM and a closed terminal end it, Ctrl-Z suspends it. Main thread only.

        Raises:
            BadInput: something the user can fix.
            SessionFailed: it broke while it ran, or an output did.
        """
        with ExitStack() as stack:
            stack.callback(self._close)
            request = replace(self.request, sources=stack.enter_context(with_standard_input(self.request.sources)))
            for source in request.sources:
                probe(source)
            request.check_media()
            runtimes = stack.enter_context(ExitStack())
            models = open_models(request, runtimes) if self._models is None else tuple(self._models)
            emotion = any(model.task == "emotion" for model in models)
            if emotion and not request.headless:  # while the overlay is drawn nothing may be printed
                log.info(NOTE)
            stops = set_by(STOP_SIGNALS) if handle_signals else nullcontext(stop or threading.Event())
            stop = stack.enter_context(stops)
            suspend = stack.enter_context(set_by(SUSPEND_SIGNALS if handle_signals else []))
            folder = private_folder()  # the sockets and the captures' logs
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self._stream.start(_description(request, models))
            loop = SessionLoop(Setup(request, models, self._stream, folder, MonotonicClock()), self._display)

            def begin() -> None:
                self._stream.begin()
                if emotion and request.headless:
                    log.info(NOTE)

            try:
                control = None if request.control is None else ControlSocket(request.control, loop.mark)
                with closing(control) if control else nullcontext(), closing(loop):
                    if control:
                        control.start()
                    loop.run(stop, begin, suspend)
                    if request.lossless:
                        self._stream.drain(stop)
            finally:
                if loop.unfinished:
                    runtimes.pop_all()  # in use: left to the end of this process
            for line in loop.closing:
                log.info(line)
            self._close()
            for line in (*self._stream.lost.values(), *loop.media_faults):
                raise SessionFailed(line)  # the session is over, but what was asked for is not all there
            return loop

    def _close(self) -> None:
        """End the observers; harmless when they have ended."""
        before = self._stream.lines_lost
        self._stream.close(FLUSH_S)
        for name, count in self._stream.lines_lost.items():
            if count > before.get(name, 0) and name not in self._stream.lost:
                log.warning("%s: %d lines were not read in time and are lost", name, count - before.get(name, 0))


def open_models(request: Request, runtimes: ExitStack) -> tuple[Model, ...]:
    """The models of a session, ready, and what their view needs. Their runtimes are the stack's to close.

    Raises:
        BadInput: no such model, none that fits, or a model file of the view that cannot be had.
    """
    bundle = Bundle.load(bundles.find(request.model))
    bundle.card.need("actions")  # an emotion model is none to find actions with
    landmarks = next((one.name for one in request.sources if isinstance(one, LandmarkFileSpec)), None)
    if bundle.card.view != "landmarks" and (landmarks or request.record_landmarks):
        wanted = "a model that sees landmarks" if landmarks else "--record-landmarks with a model that sees landmarks"
        raise BadInput(wanted, f"{bundle.card.name}, which sees pixels", "choose another --model, or leave it out")
    tracked = all(source.tracked for source in request.sources)
    if not tracked:
        fetch_models(request.view([bundle]))
    emotion_bundle = find_emotion(request, bundle, tracked)
    config = request.config

    def opened(one: Bundle) -> Runtime:
        engine = config.engine
        return runtimes.enter_context(
            at_low_priority(
                engine.nice,
                lambda: open_runtime(one, engine.runtime, engine.threads, log.info, log.debug, config.server),
            )
        )

    network = bundle.card.network
    kind = (
        LandmarkActionModel if "landmarks" in network.inputs else StreamActionModel if network.states else ActionModel
    )
    actions = kind(bundle, opened(bundle), config)
    if emotion_bundle is None:
        return (actions,)
    body = emotion_bundle.card.sees_body_of(bundle.card)
    return actions, EmotionModel(emotion_bundle, opened(emotion_bundle), config, body)


def find_emotion(request: Request, model: Bundle, tracked: bool) -> Bundle | None:
    """The emotion model; None where none is wanted or there is none, and then says why.

    Raises:
        BadInput: the one asked for does not fit, or what it needs cannot be had.
    """
    if not request.config.emotion.on:
        return None
    asked = request.emotion is not None
    if not asked and DEFAULT_EMOTION not in bundles.known():
        log.warning("no emotion estimate: the model %s is not there", DEFAULT_EMOTION)
        return None
    bundle = Bundle.load(bundles.find(DEFAULT_EMOTION if request.emotion is None else request.emotion))
    spec, card = bundle.card.emotion, model.card
    bodiless = bundle.card.view == card.view and not spec.picture_size
    if asked and not bundle.card.sees_body_of(card) and not bodiless:
        wanted, given = f"{card.size} pixels of {card.view}", f"{spec.picture_size} pixels of {bundle.card.view}"
        raise BadInput(
            f"an emotion model that sees {wanted}, as {card.name} does",
            f"{bundle.card.name}: {given}",
            "choose another --emotion, or --no-emotion",
        )
    try:
        if not tracked:
            fetch_models(request.view([model, bundle]))
    except BadInput as error:
        if asked:
            raise
        log.warning("no emotion estimate: %s", error)  # the micro-actions do not depend on it
        return None
    if not bundle.card.sees_body_of(card):
        log.info("emotions: from the face alone, as %s sees %s", card.name, f"{card.size} pixels of {card.view}")
    return bundle


def _description(request: Request, models: Sequence[Model]) -> Mapping[str, object]:
    """What is known of a session before it begins, for its record."""
    emotion = next((model for model in models if model.task == "emotion"), None)
    return {
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "sources": [source.name for source in request.sources],  # by camera id
        "speed": "max" if request.speed is None else request.speed,
        "consent": request.consent,
        "metadata": request.about.filled_in,
        "media": request.media_files,
        "config": request.config,
        "model": models[0].bundle.card,
        "emotion_model": emotion.bundle.card if emotion else None,
        "emotion_note": NOTE if emotion else None,
    }


def stop_on_signals() -> AbstractContextManager[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set; the handlers before it come back afterwards."""
    return set_by(STOP_SIGNALS)


@contextmanager
def set_by(signals: Sequence[signal.Signals]) -> Iterator[threading.Event]:
    """An event that these signals set; the handlers before it come back afterwards."""
    event = threading.Event()
    before = {number: signal.signal(number, lambda *_: event.set()) for number in signals}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
