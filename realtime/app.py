"""A session from request to end: opens what it needs, runs it, closes everything."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.common.command_line import notify
from engines.common.errors import BadInput
from engines.common.new_files import NewFiles
from engines.common.printable import printable
from engines.runtimes import open_runtime
from realtime.analysis.emotion import NOTE, EmotionModel
from realtime.capture.sources import RemoteSpec, probe
from realtime.capture.sources.standard_input import with_standard_input
from realtime.capture.views.view import prepare_view
from realtime.output.event_stream import EventStream
from realtime.output.outputs import PublishOutput, RecordOutput, StdoutOutput, check_record
from realtime.output.writer import Output
from realtime.priority import stepped_back
from realtime.request import Request
from realtime.session import Session, SessionFailed
from realtime.transport.authentication import load_keys
from realtime.transport.ipc_paths import private_folder

DEFAULT_EMOTION = "emotions-small"
FLUSH_S = 0.4  # that outputs get for what still waits, when the session is over
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
SUSPEND_SIGNALS = [signal.SIGTSTP] if hasattr(signal, "SIGTSTP") else []  # Ctrl-Z


def run(request: Request, after: Callable[[Session], None] = lambda _: None) -> None:
    """Run one session until every source ends or the user stops it.

    The user's files are made last, and taken back where not one picture comes: a failed start leaves nothing behind.

    Args:
        after: given the session once it is over, unless it failed.

    Raises:
        BadInput: something the user can mend (exit code 2).
        SessionFailed: it broke while it ran (exit code 1).
    """
    with ExitStack() as stack:
        if request.record is not None:
            check_record(request.record)
        opened = stack.enter_context(ExitStack())  # what is nobody's yet
        publish = _publisher(request)
        if publish:
            opened.callback(publish.close)
        sources = stack.enter_context(with_standard_input(request.sources, tell))
        request = replace(request, sources=sources)
        for source in request.sources:
            probe(source)
        model = Bundle.load(bundles.find(request.model))
        model.card.need("actions")  # an emotion model is none to find actions with
        emotion_bundle = _emotion_bundle(request, model)
        if not all(source.tracked for source in request.sources):
            faces = emotion_bundle is not None and bool(emotion_bundle.card.emotion.face_size)
            prepare_view(request.config.view, tell, model.card.view, faces)
        engine, details = request.config.engine, tell if request.verbose else None
        runtimes = stack.enter_context(ExitStack())
        runtime = runtimes.enter_context(
            stepped_back(engine.nice, lambda: open_runtime(model, engine.runtime, engine.threads, tell, details))
        )
        emotion = None
        if emotion_bundle is not None:
            bundle = emotion_bundle
            emotion = EmotionModel(
                bundle,
                runtimes.enter_context(
                    stepped_back(
                        engine.nice, lambda: open_runtime(bundle, engine.runtime, engine.threads, tell, details)
                    )
                ),
            )
        if emotion and not request.headless:  # while the overlay is drawn nothing may be printed
            tell(NOTE)
        stop = stack.enter_context(stop_on_signals())
        suspend = stack.enter_context(_set_by(SUSPEND_SIGNALS))
        folder = private_folder()  # the sockets and the captures' logs
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        made = stack.enter_context(NewFiles())
        record = _session_record(request, model, emotion_bundle)
        stream = EventStream(_outputs(request, publish, record, made))
        opened.pop_all()  # the outputs are the stream's to close from here on
        stack.callback(_close, stream)
        session = Session(request, model, runtime, stream, folder, emotion)
        try:
            with closing(session):
                session.run(stop, lambda: tell(NOTE) if emotion and request.headless else None, suspend)
                if request.lossless:
                    stream.drain(stop)
        finally:
            if session.begun:
                made.keep()
            if session.unfinished:
                runtimes.pop_all()  # in use: left to the end of this process
        for line in session.closing:
            tell(line)
        if request.record is not None and not session.begun:
            tell(f"not one picture came: no record is kept in {request.record}")
        after(session)
        _close(stream)
        for line in stream.lost.values():
            raise SessionFailed(line)  # the session is over, but what was asked for is not all there


def _emotion_bundle(request: Request, model: Bundle) -> Bundle | None:
    """The emotion model, which must see what the action model sees; None where there is none, or none is wanted.

    Raises:
        BadInput: the one asked for does not fit.
    """
    if not request.config.emotion.on:
        return None
    if request.emotion is None and DEFAULT_EMOTION not in bundles.known():
        return None
    bundle = Bundle.load(bundles.find(DEFAULT_EMOTION if request.emotion is None else request.emotion))
    spec, card = bundle.card.emotion, model.card
    if bundle.card.view == card.view and spec.picture_size in (0, card.size):
        return bundle
    if request.emotion is None:  # it is the default of its view alone
        return None
    wanted, given = f"{card.size} pixels of {card.view}", f"{spec.picture_size} pixels of {bundle.card.view}"
    raise BadInput(
        f"an emotion model that sees {wanted}, as {card.name} does",
        f"{bundle.card.name}: {given}",
        "choose another --emotion, or --no-emotion",
    )


def _close(stream: EventStream) -> None:
    """End the outputs; harmless when they have ended."""
    before = stream.lines_lost
    stream.close(FLUSH_S)
    for output, count in stream.lines_lost.items():
        if count > before.get(output, 0) and output not in stream.lost:
            tell(f"{output}: {count - before.get(output, 0)} lines were not read in time and are lost")


def _publisher(request: Request) -> PublishOutput | None:
    """Raises BadInput: the endpoint cannot be had, the keys cannot be used, or there is nothing to use them for."""
    config = request.config.output
    if config.publish is not None:
        return PublishOutput(config.publish, load_keys(Path(config.keys)) if config.keys is not None else None)
    if config.keys is not None and not any(isinstance(source, RemoteSpec) for source in request.sources):
        raise BadInput("--publish or --listen with --keys", "--keys alone", "say where to publish")
    return None


def _outputs(
    request: Request, publish: PublishOutput | None, record: dict[str, object], made: NewFiles
) -> list[Output]:
    outputs: list[Output] = [publish] if publish else []
    if request.record is not None:
        outputs.append(RecordOutput(request.record, record, made))
    if request.prints:
        outputs.append(StdoutOutput())
    return outputs


def _session_record(request: Request, model: Bundle, emotion: Bundle | None) -> dict[str, object]:
    return {
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "sources": [source.name for source in request.sources],  # by camera id
        "speed": "max" if request.speed is None else request.speed,
        "consent": request.consent,
        "config": request.config,
        "model": model.card,
        "emotion_model": emotion.card if emotion else None,
        "emotion_note": NOTE if emotion else None,
    }


def stop_on_signals() -> AbstractContextManager[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set; the handlers before it come back afterwards."""
    return _set_by(STOP_SIGNALS)


@contextmanager
def _set_by(signals: Sequence[signal.Signals]) -> Iterator[threading.Event]:
    event = threading.Event()
    before = {number: signal.signal(number, lambda *_: event.set()) for number in signals}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(line: str) -> None:
    """A line for people, on standard error."""
    notify(f"manet-live: {printable(line)}")
