"""Whole sessions in processes of their own, and the terminals they draw on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import psutil

from tests.conftest import ROOT

# Low thresholds: the shipped untrained model then reports many events, which mean nothing but exercise every stage.
EVENTFUL = (
    "--headless",
    "--no-emotion",
    "--model",
    "untrained-small",
    "--engine",
    "onnxruntime",
    "--config",
    Path(__file__).with_name("eventful.toml"),
)


def start(*arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, ROOT / "run_live.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_line(process: subprocess.Popen, kind: str) -> dict:
    for text in process.stdout:
        line = json.loads(text)
        if line["kind"] == kind and (kind != "session" or line["detail"].startswith("streaming")):
            return line
    raise AssertionError(process.stderr.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


ENTER, LEAVE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


class Terminal:
    """A pseudo-terminal with the command running in it; `orphan`: nobody could continue it after a Ctrl-Z."""

    def __init__(self, *arguments, columns=80, rows=24, term="xterm-256color", orphan=True):
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        environment = {**os.environ, "TERM": term, "COLORTERM": "truecolor"}
        environment.pop("COLUMNS", None)
        environment.pop("LINES", None)
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "run_live.py", *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=orphan,
            preexec_fn=None if orphan else os.setpgrp,
        )
        os.close(slave)
        self.seen = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(self.master, 65536):
                self.seen += data

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, pattern, seconds=30.0, since=0):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.seen[since:]):
            assert time.monotonic() < deadline, self.seen[-3000:]
            time.sleep(0.02)
        return len(self.seen)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)  # it must not read from what gets the descriptor's number next
        os.close(self.master)


def log_of(folder: Path) -> list[dict]:
    """The lines of a session's event log, which must all be whole."""
    data = (folder / "events.jsonl").read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def gone(processes: list[psutil.Process], seconds: float = 10.0) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


def in_every_process(folder: Path, code: str) -> dict[str, str]:
    """An environment in which every Python process runs this first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return {**os.environ, "PYTHONPATH": str(folder)}
