"""The command line: parse, build, run; nothing else."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from engines.common.command_line import run_guarded, show_log
from engines.common.errors import BadInput
from engines.common.log import log
from events.settings import as_lookahead
from realtime import config as configuration
from realtime.about import load_about
from realtime.arguments import DEMO_SECONDS, FORM, parser
from realtime.capture.mediapipe.process import block_reports
from realtime.capture.sources import RemoteSpec, SimulatedSpec, SourceSpec, StreamSpec, parse_source, recording_spec
from realtime.capture.sources.camera import list_cameras
from realtime.capture.sources.urls import check_listening
from realtime.clock import MonotonicClock
from realtime.config import Config
from realtime.display import Display, TerminalDisplay
from realtime.latency import ROWS_FILES
from realtime.latency_command import Files, measure, measure_events
from realtime.output.lsl import LslOutput
from realtime.output.observer import Observer
from realtime.output.outputs import PublishOutput, RecordOutput, StdoutOutput
from realtime.remote.camera_end import serve
from realtime.session import Session, stop_on_signals
from realtime.transport.authentication import CAMERAS, LISTENERS, load_client_keys, load_keys, make_keys
from simulation.interview import NATURAL

CANNOT_DRAW = ("", "dumb", "unknown")  # values of TERM
EVENTS_SECONDS = 60.0  # of each interview


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed while running, 2 bad usage or bad input."""
    signal.signal(signal.SIGTERM, _interrupt)  # until the session takes over, SIGTERM is a Ctrl-C
    try:
        code = run_guarded(lambda: _run(argv))
    except BrokenPipeError:  # the reader of our output left; nothing more can be written there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    if argv is None and threading.active_count() > 1:
        _leave(code)
    return code


def _leave(code: int) -> NoReturn:
    """End the process at once: a thread still works, or waits for a reader, and must not see its libraries unloaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def _run(argv: Sequence[str] | None) -> None:
    arguments = parser().parse_args(argv)
    if arguments.command in ("cameras", "keys", "capture"):
        {"cameras": _cameras, "keys": _keys, "capture": _capture}[arguments.command](arguments)
        return
    config = configuration.load(arguments.config, _overrides(arguments))
    if arguments.print_config:
        print(configuration.describe(config), end="")
        return
    if arguments.verbose:
        show_log(logging.DEBUG)
    if arguments.command == "latency":
        _latency(arguments, config)
        return
    headless = _headless(arguments)
    printed = [StdoutOutput()] if headless and sys.stdout is not None else []
    loop = _session(arguments, config, printed, headless).run(handle_signals=True)
    if arguments.record is not None and not loop.begun:
        log.info("not one picture came: no record is kept in %s", arguments.record)


def _latency(arguments: argparse.Namespace, config: Config) -> None:
    if arguments.screen and (arguments.events or arguments.demo or arguments.file):
        raise BadInput("--screen with a camera", "with something that films no screen", "leave one of the two out")
    files = Files(arguments.json, arguments.csv, arguments.plot, arguments.trace)
    if arguments.events:
        seconds = arguments.limit or EVENTS_SECONDS
        measure_events(arguments.model, arguments.events, seconds, arguments.seed, config.engine.threads, files)
        return
    headless = _headless(arguments) or arguments.screen
    settings = {"latency_rows": ROWS_FILES, "limit_s": arguments.limit, "read_codes": arguments.screen}
    measure(lambda: _session(arguments, config, [], headless, **settings), files, arguments.screen)


def _session(
    arguments: argparse.Namespace, config: Config, outputs: list[StdoutOutput], headless: bool, **settings: Any
) -> Session:
    """With the outputs that were asked for beside those given; its record comes last."""
    if arguments.record_posteriors and arguments.record is None:
        raise BadInput("--record DIR with --record-posteriors", "none", "give one, or leave the other out")
    record = [] if arguments.record is None else [RecordOutput(arguments.record, arguments.record_posteriors)]
    sources = _sources(arguments, config)
    speed = _speed(getattr(arguments, "speed", "realtime"))
    if arguments.lsl is not None and speed != 1.0:
        raise BadInput("--lsl at --speed realtime", f"--speed {arguments.speed}", "leave one of the two out")
    streams = [LslOutput(arguments.lsl)] if arguments.lsl is not None else []
    observers: list[Observer] = [*_publisher(config, sources), *streams, *record, *outputs]
    return Session(
        sources,
        arguments.model,
        observers,
        Display() if headless else TerminalDisplay(config.overlay.refresh_hz),
        config=config,
        speed=speed,
        headless=headless,
        consent=arguments.consent,
        record_landmarks=arguments.record_landmarks,
        record_video=arguments.record_video,
        control=arguments.control,
        about=load_about(arguments.form, **{name: getattr(arguments, name) for name in FORM}),
        emotion=arguments.emotion,
        **settings,
    )


def _publisher(config: Config, sources: Sequence[SourceSpec]) -> list[PublishOutput]:
    """Raises BadInput: the endpoint cannot be had, the keys cannot be used, or there is nothing to use them for."""
    output = config.output
    if output.publish is not None:
        return [PublishOutput(output.publish, load_keys(Path(output.keys)) if output.keys is not None else None)]
    if output.keys is not None and not any(isinstance(source, RemoteSpec) for source in sources):
        raise BadInput("--publish or --listen with --keys", "--keys alone", "name an endpoint to publish on")
    return []


def _sources(arguments: argparse.Namespace, config: Config) -> list[SourceSpec]:
    if arguments.command == "demo":
        return [SimulatedSpec(arguments.seed, arguments.seconds, arguments.mode, moods=config.emotion.on)]
    if arguments.command == "replay":
        return [recording_spec(file, arguments.fps, arguments.stream) for file in arguments.files]
    if arguments.command == "latency":
        return [_one_source(arguments, config, arguments.limit or DEMO_SECONDS)]
    return [_camera(one, config) for one in arguments.sources or [0]]


def _one_source(arguments: argparse.Namespace, config: Config, demo_seconds: float) -> SourceSpec:
    if arguments.demo:
        return SimulatedSpec(arguments.seed, demo_seconds, NATURAL)
    if getattr(arguments, "file", None):
        return recording_spec(arguments.file)
    return _camera(0 if arguments.source is None else arguments.source, config)


def _camera(one: int | str | RemoteSpec, config: Config) -> SourceSpec:
    return StreamSpec(one, config.stream) if isinstance(one, str) else parse_source(one, config)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = 1.0 if text == "realtime" else float(text)
    except ValueError:
        speed = 0.0
    if not 0.01 <= speed <= 100.0:
        raise BadInput("--speed realtime, max or a factor from 0.01 to 100", repr(text), "give one of these")
    return speed


def _headless(arguments: argparse.Namespace) -> bool:
    if arguments.headless:
        return True
    instead = "no overlay is drawn" if arguments.command == "latency" else "printing the event stream"
    terminal = os.environ.get("TERM", "")
    if sys.stdout is None:
        log.info("standard output is closed: no overlay is drawn, no event stream printed")
    elif not sys.stdout.isatty():
        log.info("standard output is not a terminal: %s, as --headless does", instead)
    elif os.name == "posix" and terminal in CANNOT_DRAW:
        shown = terminal or "nothing"
        log.info("a terminal of TERM=%s cannot show the overlay: %s, as --headless does", shown, instead)
    else:
        return False
    return True


def _overrides(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    return {
        "view": {"crop": arguments.crop},
        "window": {"hop_s": arguments.hop, "step_hop_s": arguments.hop},
        "engine": {"runtime": arguments.engine, "threads": arguments.threads},
        "server": {"address": arguments.server, "fallback": arguments.engine_fallback},
        "aggregator": {
            "latency_s": arguments.latency,
            "lookahead_s": None if arguments.latency is None else as_lookahead(arguments.latency),
            "baseline_s": arguments.baseline,
        },
        "emotion": {"on": False if arguments.no_emotion else True if arguments.emotion else None},
        "overlay": {"picture": False if arguments.no_picture else None},
        "output": {"publish": arguments.publish, "keys": arguments.keys},
    }


def _cameras(_: argparse.Namespace) -> None:
    cameras = list_cameras()
    for camera in cameras:
        print(f"{camera.index}: {camera.width}x{camera.height} at {camera.fps:g} fps ({camera.name})")
    if not cameras:
        print("no camera opens on this machine")


def _keys(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.folder
    for path in make_keys(folder, arguments.client, arguments.camera):
        print(f"made {path}")
    for option, allow_list in (("--publish ENDPOINT", LISTENERS), ("--listen ENDPOINT", CAMERAS)):
        names = ", ".join(sorted(path.stem for path in folder.glob(f"{allow_list}/*.pub")))
        print(f"let in with {option} --keys {folder}: {names or 'nobody yet'}")


def _capture(arguments: argparse.Namespace) -> None:
    source: Any = _one_source(arguments, configuration.load(arguments.config), arguments.seconds)
    endpoint = arguments.connect if "://" in arguments.connect else f"tcp://{arguments.connect}"
    check_listening(endpoint)
    keys = load_client_keys(arguments.key)
    block_reports()  # it films in this very process
    with stop_on_signals() as stop:
        serve(source, endpoint, keys, MonotonicClock(), stop)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
