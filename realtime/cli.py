"""The command line: parse, build, run; nothing else."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from engines.common.command_line import Parser, run_guarded
from engines.common.errors import BadInput
from realtime import config as configuration
from realtime.app import run, stop_on_signals, tell
from realtime.capture.mediapipe.process import block_reports
from realtime.capture.sources import CameraSpec, FileSpec, RemoteSpec, SimulatedSpec, SourceSpec, StreamSpec
from realtime.capture.sources.camera import list_cameras
from realtime.capture.sources.urls import check_listening
from realtime.clock import MonotonicClock
from realtime.measure import Files, measure, measure_events
from realtime.remote.camera_end import serve
from realtime.request import Request
from realtime.transport.authentication import CAMERAS, LISTENERS, load_client_keys, make_keys
from simulation.interview import MODES, NATURAL

DEFAULT_MODEL = "landmarks-small"
DEMO_SECONDS = 30
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
    arguments = _parser().parse_args(argv)
    if arguments.command == "cameras":
        _cameras()
        return
    if arguments.command == "keys":
        _keys(arguments.folder, arguments.client, arguments.camera)
        return
    if arguments.command == "capture":
        _capture(arguments)
        return
    config = configuration.load(arguments.config, _overrides(arguments))
    if arguments.print_config:
        print(configuration.describe(config), end="")
        return
    if arguments.command != "latency":
        run(_request(arguments, config))
        return
    if arguments.screen and (arguments.events or arguments.demo or arguments.files):
        raise BadInput("--screen with a camera", "with something that films no screen", "leave one of the two out")
    files = Files(arguments.json, arguments.csv, arguments.plot, arguments.trace)
    if arguments.events:
        measure_events(
            arguments.model,
            arguments.events,
            arguments.limit or EVENTS_SECONDS,
            arguments.seed,
            config.engine.threads,
            files,
        )
    else:
        measure(_request(arguments, config), files, arguments.screen)


def _request(arguments: argparse.Namespace, config: configuration.Config) -> Request:
    return Request(
        sources=_sources(arguments, config),
        model=arguments.model,
        config=config,
        speed=_speed(getattr(arguments, "speed", "realtime")),
        headless=_headless(arguments),
        print_events=sys.stdout is not None,
        record=arguments.record,
        consent=arguments.consent,
        verbose=arguments.verbose,
        emotion=arguments.emotion,
        limit_s=getattr(arguments, "limit", None),
    )


def _sources(arguments: argparse.Namespace, config: configuration.Config) -> tuple[SourceSpec, ...]:
    if arguments.command == "demo":
        return (SimulatedSpec(arguments.seed, arguments.seconds, arguments.mode, moods=config.emotion.on),)
    if arguments.command == "latency" and arguments.demo:
        return (SimulatedSpec(arguments.seed, arguments.limit or DEMO_SECONDS, NATURAL),)
    if getattr(arguments, "files", None):
        return tuple(
            FileSpec(str(file), fps=getattr(arguments, "fps", None), stream=getattr(arguments, "stream", None))
            for file in arguments.files
        )
    chosen: list[int | str | RemoteSpec] = arguments.cameras or [0]
    return tuple(one if isinstance(one, RemoteSpec) else _local(one, config) for one in chosen)


def _local(camera: int | str, config: configuration.Config) -> CameraSpec | StreamSpec:
    return StreamSpec(camera, config.stream) if isinstance(camera, str) else CameraSpec(camera, config.camera)


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
        tell("standard output is closed: no overlay is drawn, no event stream printed")
    elif not sys.stdout.isatty():
        tell(f"standard output is not a terminal: {instead}, as --headless does")
    elif os.name == "posix" and terminal in CANNOT_DRAW:
        tell(f"a terminal of TERM={terminal or 'nothing'} cannot show the overlay: {instead}, as --headless does")
    else:
        return False
    return True


def _overrides(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    return {
        "view": {"crop": arguments.crop},
        "window": {"hop_s": arguments.hop},
        "engine": {"runtime": arguments.engine, "threads": arguments.threads},
        "aggregator": {"latency_s": arguments.latency, "baseline_s": arguments.baseline},
        "emotion": {"on": False if arguments.no_emotion else True if arguments.emotion else None},
        "overlay": {"picture": False if arguments.no_picture else None},
        "output": {"publish": arguments.publish, "keys": arguments.keys},
    }


def _cameras() -> None:
    cameras = list_cameras()
    for camera in cameras:
        print(f"{camera.index}: {camera.width}x{camera.height} at {camera.fps:g} fps ({camera.name})")
    if not cameras:
        print("no camera opens on this machine")


def _keys(folder: Path, clients: Sequence[str], cameras: Sequence[str]) -> None:
    for path in make_keys(folder, clients, cameras):
        print(f"made {path}")
    for option, allow_list in (("--publish ENDPOINT", LISTENERS), ("--listen ENDPOINT", CAMERAS)):
        names = ", ".join(sorted(path.stem for path in folder.glob(f"{allow_list}/*.pub")))
        print(f"let in with {option} --keys {folder}: {names or 'nobody yet'}")


def _capture(arguments: argparse.Namespace) -> None:
    config = configuration.load(arguments.config)
    source = (
        SimulatedSpec(arguments.seed, arguments.seconds, NATURAL)
        if arguments.demo
        else (_local(arguments.cameras[0] if arguments.cameras else 0, config))
    )
    endpoint = arguments.connect if "://" in arguments.connect else f"tcp://{arguments.connect}"
    check_listening(endpoint)
    keys = load_client_keys(arguments.key)
    block_reports()  # it films in this very process
    with stop_on_signals() as stop:
        serve(source, endpoint, keys, MonotonicClock(), stop, tell)


def _parser() -> Parser:
    parser = Parser(prog="manet-live", description="Real-time micro-action monitor for interviews.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    common = _common()

    demo = commands.add_parser("demo", parents=[common], help="a simulated recording: no camera, no download")
    demo.add_argument("--seconds", type=_seconds, default=DEMO_SECONDS, metavar="S", help="its length (default 30)")
    demo.add_argument("--seed", type=_natural, default=0, metavar="N", help="the same seed gives the same recording")
    demo.add_argument(
        "--mode",
        choices=MODES,
        default=NATURAL,
        help="what happens: natural (default), every action equally often, or nothing",
    )
    _add_speed(demo)

    live = commands.add_parser("live", parents=[common], help="webcams and network streams, on one engine")
    for option, kind, metavar, what in (
        ("--camera", _natural, "N", "webcam number (default 0); give it once for each"),
        ("--url", str, "URL", "rtsp://, http:// or udp:// stream; once for each"),
    ):
        live.add_argument(option, type=kind, action="append", dest="cameras", metavar=metavar, help=what)
    live.add_argument(
        "--listen",
        type=RemoteSpec,
        action="append",
        dest="cameras",
        metavar="ENDPOINT",
        help="a camera of another machine, which runs `capture`; tcp://ADDRESS:PORT, with --keys",
    )

    capture = commands.add_parser("capture", help="film for a `live --listen` on another machine")
    capture.add_argument("--connect", required=True, metavar="HOST:PORT", help="where it listens")
    capture.add_argument("--key", type=_path, required=True, metavar="FILE", help="NAME.key, made there by `keys`")
    filmed = capture.add_mutually_exclusive_group()
    filmed.add_argument("--camera", type=_camera, dest="cameras", metavar="N", help="webcam number (default 0)")
    filmed.add_argument("--url", type=_url, dest="cameras", metavar="URL", help="rtsp://, http:// or udp:// stream")
    filmed.add_argument("--demo", action="store_true", help="a simulated interview")
    capture.add_argument("--seconds", type=_seconds, default=DEMO_SECONDS, metavar="S", help="of it (default 30)")
    capture.add_argument("--seed", type=_natural, default=0, metavar="N", help="of it")
    capture.add_argument("--config", type=_path, metavar="FILE.toml", help="settings of camera and stream")

    replay = commands.add_parser("replay", parents=[common], help="recordings, through the live path, on one engine")
    replay.add_argument(
        "files",
        type=_path,
        nargs="+",
        metavar="FILE",
        help="a recording, - for standard input; all at once where several",
    )
    _add_speed(replay)
    replay.add_argument("--fps", type=_rate, metavar="N", help="true frames/s, where its times are wrong")
    replay.add_argument(
        "--stream", type=_natural, metavar="N", help="video stream, from 0 (the default one, else the longest)"
    )

    latency = commands.add_parser("latency", parents=[common], help="a session, and how long every stage of it took")
    measured = latency.add_mutually_exclusive_group()
    measured.add_argument("files", type=_files, nargs="?", metavar="FILE", help="a recording")
    measured.add_argument("--demo", action="store_true", help="a simulated recording")
    measured.add_argument(
        "--events",
        type=_natural,
        nargs="?",
        const=10,
        metavar="N",
        help="when events are dated and reported, against the truth of N simulated interviews (default 10)",
    )
    measured.add_argument("--camera", type=_camera, dest="cameras", metavar="N", help="webcam number (default 0)")
    measured.add_argument("--url", type=_url, dest="cameras", metavar="URL", help="rtsp://, http:// or udp:// stream")
    measured.add_argument("--listen", type=_remote, dest="cameras", metavar="ENDPOINT", help="another machine's camera")
    latency.add_argument(
        "--screen",
        action="store_true",
        help="from glass to glass: codes are shown full-screen, or in the terminal; point the camera at them",
    )
    latency.add_argument("--seconds", type=_seconds, dest="limit", metavar="S", help="end after this much of it")
    latency.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the simulated recording")
    _add_speed(latency)
    for name, what in (
        ("json", "the figures"),
        ("csv", "every frame"),
        ("plot", "stages over time, distribution"),
        ("trace", "every frame and window, for Perfetto"),
    ):
        latency.add_argument(f"--{name}", type=_path, metavar="FILE", help=f"write {what}")

    keys = commands.add_parser("keys", help="key pairs for --publish to other hosts, and --listen to their cameras")
    keys.add_argument("folder", type=_path, metavar="DIR", help="where they are kept")
    keys.add_argument(
        "--client", action="append", default=[], metavar="NAME", help="may read --publish; give it NAME.key"
    )
    keys.add_argument("--camera", action="append", default=[], metavar="NAME", help="may send frames; give it NAME.key")

    commands.add_parser("cameras", help="list the webcams that open")
    return parser


def _add_speed(command: argparse.ArgumentParser) -> None:
    command.add_argument("--speed", default="realtime", metavar="SPEED", help="realtime (default), max, or a factor")


def _common() -> Parser:
    common = Parser(add_help=False)
    common.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|DIR", help=f"default: {DEFAULT_MODEL}")
    emotion = common.add_mutually_exclusive_group()
    emotion.add_argument("--emotion", metavar="NAME|DIR", help="emotion model (default: the one that fits the view)")
    emotion.add_argument("--no-emotion", action="store_true", help="load nothing of the emotion estimate")
    common.add_argument(
        "--engine",
        metavar="RUNTIME",
        help="auto, tensorrt, tensorrt-rtx, openvino, onnxruntime or torch (default auto)",
    )
    common.add_argument("--threads", type=int, metavar="N", help="engine threads; 0: the runtime's choice")
    common.add_argument("--crop", metavar="CROP", help="center (official), full or person")
    common.add_argument("--hop", type=float, metavar="S", help="seconds between windows")
    common.add_argument("--latency", type=float, metavar="S", help="fast (the hop) to steady (the model's span)")
    common.add_argument(
        "--baseline",
        type=float,
        metavar="S",
        help="the person sits still for the first S seconds, and that raises no events later",
    )
    common.add_argument("--config", type=_path, metavar="FILE.toml", help="settings; the command line wins over it")
    common.add_argument("--print-config", action="store_true", help="show the effective settings and stop")
    common.add_argument("--record", type=_path, metavar="DIR", help="write the event log of the session there")
    common.add_argument("--consent", metavar="TEXT", help="the consent given, noted in the stream and the record")
    common.add_argument("--publish", metavar="ENDPOINT", help="also publish the event stream over ZeroMQ")
    common.add_argument("--keys", metavar="DIR", help="encrypt it, for those whose keys are there (see `keys`)")
    common.add_argument("-v", "--verbose", action="store_true", help="say how the engine was chosen")
    common.add_argument("--headless", action="store_true", help="JSON lines on standard output, no overlay")
    common.add_argument("--no-picture", action="store_true", help="overlay without the person's picture")
    return common


def _seconds(text: str) -> float:
    if not 1.0 <= (seconds := float(text)) <= 3600.0:
        raise argparse.ArgumentTypeError(f"expected 1 to 3600 seconds, got {text}")
    return seconds


def _rate(text: str) -> float:
    if not 1 / 60 <= (rate := float(text)) <= 2000.0:
        raise argparse.ArgumentTypeError(f"expected 1/60 to 2000 frames/s, got {text}")
    return rate


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty name")
    return Path(text)


def _files(text: str) -> list[Path]:
    return [_path(text)]


def _camera(text: str) -> list[int]:
    return [_natural(text)]


def _url(text: str) -> list[str]:
    return [text]


def _remote(text: str) -> list[RemoteSpec]:
    return [RemoteSpec(text)]


def _natural(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up, got {text}")
    return number


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
