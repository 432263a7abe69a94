"""Between the event stream and each output: a bounded queue and a thread, so that no output holds up the others."""

from __future__ import annotations

import abc
import threading
import time
from collections import deque
from typing import ClassVar

CAPACITY = 4096  # lines that may wait for one output; some minutes of events
POLL_S = 0.1


class OutputLost(Exception):
    """An output cannot go on; one line says why. The others do."""


class ReaderLeft(OutputLost):
    """Whoever read the output has closed it: that is an end, not a failure."""


class Output(abc.ABC):
    """Where lines go. One thread at a time calls it, and it may block.

    Attributes:
        name: for people, and the key in `lines_lost`.
        whole: it holds all lines up to some moment, without a hole: one that does not keep up stops.
        lost: lines that it could not pass on.
    """

    name: ClassVar[str]
    whole: ClassVar[bool] = False
    lost: int = 0

    @abc.abstractmethod
    def write(self, kind: str, line: bytes) -> None:
        """Hand over one line.

        Raises:
            OutputLost: nothing more can be written here.
        """

    @abc.abstractmethod
    def close(self) -> None: ...

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in, by cause."""
        return {}


class OutputWriter:
    """Writes lines to one output from a thread of its own. The thread closes the output, so nothing is freed in use.

    Attributes:
        given_up: why the output takes no more lines; empty while it does.
        reader_left: it was closed by whoever read it.
    """

    def __init__(self, output: Output, capacity: int = CAPACITY) -> None:
        self.output, self._capacity = output, capacity
        self._lines: deque[tuple[str, bytes]] = deque()  # the first is being written
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"output {output.name}", daemon=True)
        self._accepted = self._lost = 0
        self._closing = False
        self.given_up = ""
        self.reader_left = False

    @property
    def lost(self) -> int:
        """Lines that were not written."""
        return self._lost + self.output.lost

    def put(self, kind: str, line: bytes) -> None:
        """Queue a line; never waits. A line that finds no room is lost and counted."""
        with self._changed:
            if self._closing or self.reader_left:
                return
            full = len(self._lines) >= self._capacity
            if full and self.output.whole and not self.given_up:
                self.given_up = f"{self.output.name} stopped after {self._accepted} lines: it does not keep up"
            if full or self.given_up:
                self._lost += 1
                return
            self._accepted += 1
            self._lines.append((kind, line))
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()

    def wait_for_room(self, stop: threading.Event) -> None:
        """Until at most half of the queue waits, or `stop` is set."""
        self._wait(self._capacity // 2, stop)

    def drain(self, stop: threading.Event) -> None:
        """Until every line is written, or `stop` is set."""
        self._wait(0, stop)

    def close(self, timeout_s: float) -> None:
        """Write what waits, for so long, and close the output. What then remains is lost and counted."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            begun, self._closing = self._closing, True
            self._changed.notify_all()
        if self._thread.ident is None:
            if not begun:
                self.output.close()
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._lost += len(self._lines)
            self._lines.clear()

    def _wait(self, most: int, stop: threading.Event) -> None:
        with self._changed:
            while len(self._lines) > most and not self._closing and not stop.is_set():
                self._changed.wait(POLL_S)

    def _run(self) -> None:
        try:
            while (line := self._next()) is not None:
                self.output.write(*line)
                with self._changed:
                    if self._lines:  # unless it was counted as lost meanwhile
                        self._lines.popleft()
                    self._changed.notify_all()
        except OutputLost as error:
            with self._changed:
                self.reader_left = isinstance(error, ReaderLeft)
                self.given_up = str(error)
                self._lost += 0 if self.reader_left else len(self._lines)
                self._lines.clear()
                self._changed.notify_all()
        self.output.close()

    def _next(self) -> tuple[str, bytes] | None:
        """The oldest line, which stays in the queue while it is written; None at the end."""
        with self._changed:
            while not self._lines and not self._closing:
                self._changed.wait()
            return self._lines[0] if self._lines else None
