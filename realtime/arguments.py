"""The command line's arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from engines.common.command_line import Parser
from realtime.capture.sources import RemoteSpec
from realtime.session import DEFAULT_MODEL
from simulation.interview import MODES, NATURAL

DEMO_SECONDS = 30
FORM = ("participant", "interviewer", "room", "protocol")
LATENCY_FILES = {
    "json": "the figures",
    "csv": "every frame",
    "plot": "stages over time, distribution",
    "trace": "every frame and window, for Perfetto",
}


def parser() -> Parser:
    """Of all commands."""
    made = Parser(prog="manet-live", description="Real-time micro-action monitor for interviews.")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    common = _common()
    _add_demo(commands.add_parser("demo", parents=[common], help="a simulated recording: no camera, no download"))
    _add_live(commands.add_parser("live", parents=[common], help="webcams and network streams, on one engine"))
    _add_capture(commands.add_parser("capture", help="film for a `live --listen` on another machine"))
    _add_replay(
        commands.add_parser("replay", parents=[common], help="recordings, through the live path, on one engine")
    )
    _add_latency(
        commands.add_parser("latency", parents=[common], help="a session, and how long every stage of it took")
    )
    _add_keys(commands.add_parser("keys", help="key pairs for --publish to other hosts, and --listen to their cameras"))
    commands.add_parser("cameras", help="list the webcams that open")
    return made


def _add_demo(demo: Parser) -> None:
    demo.add_argument("--seconds", type=_seconds, default=DEMO_SECONDS, metavar="S", help="its length (default 30)")
    demo.add_argument("--seed", type=_natural, default=0, metavar="N", help="the same seed gives the same recording")
    help_ = "what happens: natural (default), every action equally often, or nothing"
    demo.add_argument("--mode", choices=MODES, default=NATURAL, help=help_)
    _add_speed(demo)


def _add_live(live: Parser) -> None:
    for option, kind, metavar, help_ in (
        ("--camera", _natural, "N", "webcam number (default 0); give it once for each"),
        ("--url", str, "URL", "rtsp://, http:// or udp:// stream; once for each"),
        ("--listen", RemoteSpec, "ENDPOINT", "another machine's camera, with --keys; it runs `capture`"),
    ):
        live.add_argument(option, type=kind, action="append", dest="sources", metavar=metavar, help=help_)


def _add_capture(capture: Parser) -> None:
    capture.add_argument("--connect", required=True, metavar="HOST:PORT", help="where it listens")
    capture.add_argument("--key", type=_path, required=True, metavar="FILE", help="NAME.key, made there by `keys`")
    filmed = capture.add_mutually_exclusive_group()
    _add_one_camera(filmed)
    filmed.add_argument("--demo", action="store_true", help="a simulated interview")
    capture.add_argument("--seconds", type=_seconds, default=DEMO_SECONDS, metavar="S", help="of it (default 30)")
    capture.add_argument("--seed", type=_natural, default=0, metavar="N", help="of it")
    capture.add_argument("--config", type=_path, metavar="FILE.toml", help="settings of camera and stream")


def _add_one_camera(group: argparse._MutuallyExclusiveGroup) -> None:
    group.add_argument("--camera", type=_natural, dest="source", metavar="N", help="webcam number (default 0)")
    group.add_argument("--url", dest="source", metavar="URL", help="rtsp://, http:// or udp:// stream")


def _add_replay(replay: Parser) -> None:
    help_ = "a recording, - for standard input; all at once where several"
    replay.add_argument("files", type=_path, nargs="+", metavar="FILE", help=help_)
    _add_speed(replay)
    replay.add_argument("--fps", type=_rate, metavar="N", help="true frames/s, where its times are wrong")
    help_ = "video stream, from 0 (the default one, else the longest)"
    replay.add_argument("--stream", type=_natural, metavar="N", help=help_)


def _add_latency(latency: Parser) -> None:
    measured = latency.add_mutually_exclusive_group()
    measured.add_argument("file", type=_path, nargs="?", metavar="FILE", help="a recording")
    measured.add_argument("--demo", action="store_true", help="a simulated recording")
    help_ = "when events are dated and reported, against the truth of N simulated interviews (default 10)"
    measured.add_argument("--events", type=_natural, nargs="?", const=10, metavar="N", help=help_)
    _add_one_camera(measured)
    measured.add_argument(
        "--listen", type=RemoteSpec, dest="source", metavar="ENDPOINT", help="another machine's camera"
    )
    help_ = "from glass to glass: codes are shown full-screen, or in the terminal; point the camera at them"
    latency.add_argument("--screen", action="store_true", help=help_)
    latency.add_argument("--seconds", type=_seconds, dest="limit", metavar="S", help="end after this much of it")
    latency.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the simulated recording")
    _add_speed(latency)
    for name, what in LATENCY_FILES.items():
        latency.add_argument(f"--{name}", type=_path, metavar="FILE", help=f"write {what}")


def _add_keys(keys: Parser) -> None:
    keys.add_argument("folder", type=_path, metavar="DIR", help="where they are kept")
    for option, help_ in (("--client", "may read --publish"), ("--camera", "may send frames")):
        help_ += "; give it NAME.key"
        keys.add_argument(option, action="append", default=[], metavar="NAME", help=help_)


def _add_speed(command: Parser) -> None:
    command.add_argument("--speed", default="realtime", metavar="SPEED", help="realtime (default), max, or a factor")


def _common() -> Parser:
    common = Parser(add_help=False)
    common.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|DIR", help=f"default: {DEFAULT_MODEL}")
    emotion = common.add_mutually_exclusive_group()
    emotion.add_argument("--emotion", metavar="NAME|DIR", help="emotion model (default: emotions)")
    emotion.add_argument("--no-emotion", action="store_true", help="load nothing of the emotion estimate")
    help_ = "auto, tensorrt, tensorrt-rtx, openvino, onnxruntime, torch or inference-server (default auto)"
    common.add_argument("--engine", metavar="RUNTIME", help=help_)
    common.add_argument("--server", metavar="HOST:PORT", help="of the inference-server; [server] of --config has more")
    help_ = "runtime that takes over when the server is lost"
    common.add_argument("--engine-fallback", metavar="RUNTIME", help=help_)
    common.add_argument("--threads", type=int, metavar="N", help="engine threads; 0: the runtime's choice")
    common.add_argument("--crop", metavar="CROP", help="center (official), full or person")
    common.add_argument("--hop", type=float, metavar="S", help="seconds between windows")
    common.add_argument("--latency", type=float, metavar="S", help="fast (the hop) to steady (the model's span)")
    help_ = "the person sits still for the first S seconds, and that raises no events later"
    common.add_argument("--baseline", type=float, metavar="S", help=help_)
    common.add_argument("--config", type=_path, metavar="FILE.toml", help="settings; the command line wins over it")
    common.add_argument("--print-config", action="store_true", help="show the effective settings and stop")
    common.add_argument("--record", type=_path, metavar="DIR", help="write the event log of the session there")
    help_ = "and the probabilities of every moment there, for `lab export --format parquet`"
    common.add_argument("--record-posteriors", action="store_true", help=help_)
    help_ = "record the person's landmarks, without identity, as a new file that `replay` reads"
    common.add_argument("--record-landmarks", type=_path, metavar="FILE", help=help_)
    help_ = "record the pictures, too; with --consent only"
    common.add_argument("--record-video", type=_path, metavar="FILE.mp4", help=help_)
    for field in FORM:
        common.add_argument(f"--{field}", metavar="TEXT", help="noted in the record")
    common.add_argument("--form", type=_path, metavar="FILE.toml", help="the same four, and keys for markers")
    help_ = "local ipc:// or tcp:// endpoint; each line `marker LABEL` sets a marker"
    common.add_argument("--control", metavar="ENDPOINT", help=help_)
    common.add_argument("--consent", metavar="TEXT", help="the consent given, noted in the stream and the record")
    common.add_argument("--publish", metavar="ENDPOINT", help="also publish the event stream over ZeroMQ")
    help_ = "also on Lab Streaming Layer: for this machine, or with `network`, unencrypted, for the local network"
    common.add_argument("--lsl", nargs="?", const="machine", choices=("machine", "network"), help=help_)
    common.add_argument("--keys", metavar="DIR", help="encrypt it, for those whose keys are there (see `keys`)")
    common.add_argument("-v", "--verbose", action="store_true", help="report how the engine was chosen")
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


def _natural(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up, got {text}")
    return number
