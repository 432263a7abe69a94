"""When a capture process that failed is started again: after a wait that doubles, a bounded number of times."""

from __future__ import annotations

from collections import deque

from realtime.clock import NS_PER_S, to_ns
from realtime.config import SupervisionSettings

MOST_WITHOUT_FRAMES = 2  # starts in a row that bring no frame: what they meet, the next one meets, too


class RestartsExhausted(Exception):
    """Another restart would not help; the message says why."""


class Restarts:
    """The restarts of one capture process: at most `max_restarts` within `restart_window_s`."""

    def __init__(self, settings: SupervisionSettings) -> None:
        self._settings = settings
        self._window_ns = to_ns(settings.restart_window_s)
        self._at_ns: deque[int] = deque()  # of late
        self._without_frames = 0  # starts in a row

    @property
    def count(self) -> int:
        """Within the window, as of the last failure."""
        return len(self._at_ns)

    def wait_ns(self, now_ns: int, brought_frames: bool) -> int:
        """Take note of a failure; returns after how long the process is to be started again.

        Args:
            brought_frames: the process that failed did so after at least one new frame.

        Raises:
            RestartsExhausted: it is not to be started again.
        """
        settings = self._settings
        while self._at_ns and now_ns - self._at_ns[0] > self._window_ns:
            self._at_ns.popleft()
        self._without_frames = 0 if brought_frames else self._without_frames + 1
        if len(self._at_ns) >= settings.max_restarts:
            raise RestartsExhausted(f"restarted {len(self._at_ns)} times in the last {settings.restart_window_s:g} s")
        if self._without_frames >= MOST_WITHOUT_FRAMES:
            raise RestartsExhausted(f"no frame in {self._without_frames} starts")
        wait_s = min(settings.backoff_min_s * 2.0 ** len(self._at_ns), settings.backoff_max_s)
        self._at_ns.append(now_ns)
        return round(wait_s * NS_PER_S)
