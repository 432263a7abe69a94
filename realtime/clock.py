"""Clocks that can be injected, so that no unit test sleeps."""

from __future__ import annotations

import threading
import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


def to_ns(seconds: float) -> int:
    """Seconds to the nearest nanosecond."""
    return round(seconds * NS_PER_S)


def to_s(ns: int) -> float:
    """Nanoseconds to seconds."""
    return ns / NS_PER_S


class Clock(Protocol):
    """A monotonic clock in nanoseconds that can also wait."""

    def now_ns(self) -> int: ...

    def sleep_until(self, deadline_ns: int) -> None: ...


class MonotonicClock:
    """The machine's monotonic clock (the same in every process of one machine)."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, deadline_ns: int) -> None:
        remaining_ns = deadline_ns - time.monotonic_ns()
        if remaining_ns > 0:
            time.sleep(remaining_ns / NS_PER_S)


class SessionStart:
    """Media time of a session's first frame, from which its seconds count. Cameras on the same clock share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ns: int | None = None

    def note(self, media_ns: int) -> None:
        """A frame came; only the first counts."""
        if self.ns is None:
            with self._lock:
                self.ns = media_ns if self.ns is None else self.ns
