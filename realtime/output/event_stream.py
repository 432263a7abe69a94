"""The event stream: every line of a session, the same to every observer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from realtime.output.lines import Line, Posteriors
from realtime.output.observer import Observer
from realtime.output.writer import OutputWriter


class EventStream:
    """Hands each line to every observer, in one order; safe to call from several threads, and never waits."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._writers = [OutputWriter(observer) for observer in observers]
        self._lock = threading.Lock()

    def start(self, session: Mapping[str, object]) -> None:
        """Everything else is open. Raises BadInput: an output cannot be had."""
        for writer in self._writers:
            writer.output.start(session)

    def begin(self) -> None:
        """The first picture has come."""
        for writer in self._writers:
            writer.output.begin()

    def write(self, line: Line) -> None:
        """Hand over a line; observers that are slow get it later, or lose it (`lines_lost`)."""
        with self._lock:
            for writer in self._writers:
                writer.put(line)

    @property
    def wants_posteriors(self) -> bool:
        """An observer wants the posteriors, too."""
        return any(writer.output.wants_posteriors for writer in self._writers)

    def write_posteriors(self, posteriors: Posteriors) -> None:
        """Hand the posteriors of a moment to those who want them."""
        with self._lock:
            for writer in self._writers:
                if writer.output.wants_posteriors:
                    writer.put(posteriors)

    def wait_for_space(self, stop: threading.Event) -> None:
        """Until no output is far behind, or `stop` is set: for who sets the pace of what is written."""
        for writer in self._writers:
            writer.wait_for_space(stop)

    def drain(self, stop: threading.Event) -> None:
        """Until every output has every line, or `stop` is set."""
        for writer in self._writers:
            writer.drain(stop)

    @property
    def lost(self) -> dict[str, str]:
        """Outputs that were given up, and why, one line each."""
        return {
            writer.output.name: writer.given_up
            for writer in self._writers
            if writer.given_up and not writer.reader_left
        }

    @property
    def lines_lost(self) -> dict[str, int]:
        """Lines that an output did not get, by output."""
        return {writer.output.name: writer.lost for writer in self._writers if writer.lost}

    @property
    def reader_left(self) -> bool:
        """An output was closed by whoever read it."""
        return any(writer.reader_left for writer in self._writers)

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in at any output, by cause."""
        return dict(sum((Counter(writer.output.refused) for writer in self._writers), Counter[str]()))

    def close(self, timeout_s: float) -> None:
        """End every output, all together within this time; harmless when they have ended."""
        deadline = time.monotonic() + timeout_s
        for writer in self._writers:
            writer.close(max(0.0, deadline - time.monotonic()))
