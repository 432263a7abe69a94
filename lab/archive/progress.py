"""How far an archive is, for a person."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.status import Status

from engines.common.command_line import notify

EVERY_S = 30.0  # between two lines, where there is no terminal to write them over


class Progress:
    """Recordings and hours done, the speed in multiples of real time, and the time left.

    Args:
        count: recordings of the archive, and how many of them and of their seconds are left to do.
    """

    def __init__(
        self, count: int, left: int, left_s: float, console: Console, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._count, self._left, self._left_s, self._now = count, left, left_s, now
        self._began_s, self._media_s, self._total_s = now(), 0.0, left_s
        self._failed = 0
        self._shown_s = self._began_s
        self._status = Status("", console=console) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def add(self, seconds: float, failed: bool) -> None:
        """A recording is done."""
        self._left, self._left_s, self._media_s = self._left - 1, self._left_s - seconds, self._media_s + seconds
        self._failed += failed

    def show(self, last: bool = False) -> None:
        """Call it now and then."""
        if self._status:
            self._status.update(self.line())
        elif last or self._now() - self._shown_s >= EVERY_S:
            self._shown_s = self._now()
            notify(f"manet-live: {self.line()}")

    def line(self) -> str:
        """`12 of 60 recordings, 3.2 of 20.1 h, 14.2 times real time, 1 h 11 min left, 1 failed`."""
        done = self._count - self._left
        parts = [f"{done} of {self._count} recordings", f"{_hours(self._media_s)} of {_hours(self._total_s)} h"]
        took_s = self._now() - self._began_s
        if self._media_s and took_s > 0:
            speed = self._media_s / took_s
            parts.append(f"{speed:.1f} times real time")
            if self._left:
                parts.append(f"{in_words(max(self._left_s, 0.0) / speed)} left")
        return ", ".join([*parts, *([f"{self._failed} failed"] if self._failed else [])])


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}" if seconds >= 3600 else f"{seconds / 3600:.3f}"


def in_words(seconds: float) -> str:
    """`2 h 5 min`, `3 min`, `under a minute`."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else "under a minute"
