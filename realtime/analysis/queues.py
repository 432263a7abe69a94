"""The queues of due windows between the drain threads and the engine, and whose turn it is."""

from __future__ import annotations

import threading
from collections import deque

from realtime.clock import Clock
from realtime.counts import Counts
from realtime.messages import Window

LOSSLESS_CAPACITY = 4  # windows that may wait when the analysis sets the pace
LIVE_CAPACITY = 64  # bounds memory while an engine is stuck


class WindowQueue:
    """One camera's windows, waiting for the engine.

    Lossless (recordings at full speed): `put` waits for room, nothing is skipped.
    Live: `put` never waits. Windows are taken in order while they are fresh, so that a hiccup loses none. Once one has
    waited longer than the staleness budget, all but the newest are skipped and counted, and the newest as well if it
    has waited too long itself: no queue grows, and no window is taken that is older than the budget.
    """

    def __init__(
        self, lossless: bool, staleness_ns: int, clock: Clock, changed: threading.Condition | None = None
    ) -> None:
        """`changed` is notified of every change; cameras that share an engine share one."""
        self._lossless, self._staleness_ns, self._clock = lossless, staleness_ns, clock
        self._windows: deque[Window] = deque()
        self._changed = changed or threading.Condition()
        self._closed = False
        self.skipped = Counts()

    def put(self, window: Window) -> None:
        """Add the newest window."""
        with self._changed:
            while self._lossless and len(self._windows) >= LOSSLESS_CAPACITY and not self._closed:
                self._changed.wait()
            if self._closed:
                self.skipped.add("stopped")
                return
            if len(self._windows) >= LIVE_CAPACITY:
                self._windows.popleft()
                self.skipped.add("stale")
            self._windows.append(window)
            self._changed.notify_all()

    def take(self) -> Window | None:
        """The window to infer next; None while none is fresh, and always once the queue is `exhausted`."""
        with self._changed:
            if not self._windows:
                return None
            if not self._lossless and self._stale(self._windows[0]):
                kept = 0 if self._stale(self._windows[-1]) else 1
                while len(self._windows) > kept:
                    self._windows.popleft()
                    self.skipped.add("stale")
                if not kept:
                    return None
            window = self._windows.popleft()
            self._changed.notify_all()
            return window

    def _stale(self, window: Window) -> bool:
        return self._clock.now_ns() - window.stamps.due_ns > self._staleness_ns

    def close(self, discard: bool = False) -> None:
        """No more windows will come; with `discard`, those waiting are skipped as well."""
        with self._changed:
            self._closed = True
            if discard and self._windows:
                self.skipped.add("stopped", len(self._windows))
                self._windows.clear()
            self._changed.notify_all()

    @property
    def waiting(self) -> bool:
        """A window waits, fresh or not."""
        return bool(self._windows)

    @property
    def exhausted(self) -> bool:
        """Closed, and every window taken."""
        with self._changed:
            return self._closed and not self._windows


class FairTurns:
    """The queues of all cameras, served in turn: one with many due windows never keeps another waiting for longer than
    one window of each.
    """

    def __init__(
        self, cameras: int, lossless: bool, staleness_ns: int, clock: Clock, changed: threading.Condition | None = None
    ) -> None:
        """`changed` is notified of every change; what one thread waits for shares one."""
        self.lossless, self._changed = lossless, changed or threading.Condition()
        self.queues = [WindowQueue(lossless, staleness_ns, clock, self._changed) for _ in range(cameras)]
        self._next = 0  # camera whose turn it is

    def take(self, most: int) -> list[Window]:
        """Up to `most` fresh windows, a camera's own in order."""
        taken: list[Window] = []
        with self._changed:
            empty = 0  # cameras in a row that had none
            while len(taken) < most and empty < len(self.queues):
                window = self.queues[self._next].take()
                self._next = (self._next + 1) % len(self.queues)
                empty = 0 if window else empty + 1
                if window:
                    taken.append(window)
        return taken

    @property
    def waiting(self) -> bool:
        """A window of some camera waits, fresh or not."""
        return any(queue.waiting for queue in self.queues)

    @property
    def exhausted(self) -> bool:
        """Every queue is."""
        return all(queue.exhausted for queue in self.queues)

    def close(self) -> None:
        """No more windows will come, and those waiting are skipped."""
        for queue in self.queues:
            queue.close(discard=True)
