"""Keys that are pressed in the session's terminal, with the moment of each."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import threading
from collections import deque
from typing import Any

from realtime.clock import Clock, MonotonicClock

POLL_S = 0.2
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;]*|O)[A-Za-z~]")  # arrows and function keys, which mark nothing
MOST_WAITING = 100


class Keyboard:
    """Reads single keys while it is open, where standard input is this session's terminal; else nothing comes.

    Ctrl-C and Ctrl-Z keep their meaning.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._pressed: deque[tuple[str, int]] = deque(maxlen=MOST_WAITING)
        self._before: list[Any] | None = None  # settings of the terminal
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Keys come one by one and are not echoed."""
        if self._before is not None or not _in_front():
            return
        import termios
        import tty

        with contextlib.suppress(termios.error):
            self._before = termios.tcgetattr(0)
            tty.setcbreak(0, termios.TCSANOW)
            self._closing = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._closing,), name="keyboard", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """The terminal is as it was."""
        if self._before is None:
            return
        import termios

        self._closing.set()
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, self._before)
        self._before = None

    def pop(self) -> list[tuple[str, int]]:
        """The keys since the last call, each with its moment (monotonic ns)."""
        return [self._pressed.popleft() for _ in range(len(self._pressed))]

    def _run(self, closing: threading.Event) -> None:
        while not closing.is_set():
            try:
                if not select.select([0], [], [], POLL_S)[0] or closing.is_set() or not _in_front():
                    continue
                now_ns, data = self._clock.now_ns(), os.read(0, 64)
            except OSError:
                return
            if not data:  # the terminal is gone
                return
            self._pressed.extend((key, now_ns) for key in _SEQUENCE.sub("", data.decode(errors="ignore")))


def _in_front() -> bool:
    """Whether standard input is a terminal that is ours to read: a job in the background would be stopped."""
    if os.name != "posix" or sys.stdin is None or not os.isatty(0):
        return False
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # it controls no jobs
        return True
