"""Between the event stream and each observer: a bounded queue and a thread, so that none holds up the others."""

from __future__ import annotations

import threading
import time
from collections import deque

from realtime.output.lines import Line, Posteriors
from realtime.output.observer import Observer, OutputLost, ReaderLeft

CAPACITY = 4096  # lines that may wait for one output; some minutes of events
POLL_S = 0.1


class OutputWriter:
    """Writes lines to one output from a thread of its own. The thread closes the output, so nothing is freed in use.

    Attributes:
        given_up: why the output takes no more lines; empty while it does.
        reader_left: it was closed by whoever read it.
    """

    def __init__(self, output: Observer, capacity: int = CAPACITY) -> None:
        self.output, self._capacity = output, capacity
        self._lines: deque[Line | Posteriors] = deque()  # the first is being written
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

    def put(self, line: Line | Posteriors) -> None:
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
            self._lines.append(line)
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()

    def wait_for_space(self, stop: threading.Event) -> None:
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
                if isinstance(line, Posteriors):
                    self.output.on_posteriors(line)
                else:
                    self.output.on_line(line)
                with self._changed:
                    if self._lines:  # unless it was counted as lost meanwhile
                        self._lines.popleft()
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this output alone
            lost = isinstance(error, OutputLost)
            with self._changed:
                self.reader_left = isinstance(error, ReaderLeft)
                self.given_up = str(error) if lost else f"{self.output.name}: {type(error).__name__}: {error}"
                self._lost += 0 if self.reader_left else len(self._lines)
                self._lines.clear()
                self._changed.notify_all()
        self.output.close()

    def _next(self) -> Line | Posteriors | None:
        """The oldest line, which stays in the queue while it is written; None at the end."""
        with self._changed:
            while not self._lines and not self._closing:
                self._changed.wait()
            return self._lines[0] if self._lines else None
