"""Due windows to predictions: the queue between the drain thread and the engine, and the engine's loop."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import replace

from engines.bundle import Bundle
from engines.runtimes.base import Runtime
from events.types import Prediction
from realtime.clock import Clock
from realtime.messages import Window

LOSSLESS_CAPACITY = 4  # windows that may wait when the analysis sets the pace
LIVE_CAPACITY = 64  # bounds memory while an engine is stuck


class WindowQueue:
    """Windows waiting for the engine.

    Lossless (recordings at full speed): `put` waits for room, nothing is skipped.
    Live: `put` never waits. Windows are taken in order while they are fresh, so that a hiccup loses none. Once one has
    waited longer than the staleness budget, all but the newest are skipped and counted, and the newest as well if it
    has waited too long itself: no queue grows, and no window is taken that is older than the budget.
    """

    def __init__(self, lossless: bool, staleness_ns: int, clock: Clock) -> None:
        self._lossless, self._staleness_ns, self._clock = lossless, staleness_ns, clock
        self._windows: deque[Window] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.skipped: Counter[str] = Counter()

    def put(self, window: Window) -> None:
        """Add the newest window."""
        with self._changed:
            while self._lossless and len(self._windows) >= LOSSLESS_CAPACITY and not self._closed:
                self._changed.wait()
            if self._closed:
                self.skipped["stopped"] += 1
                return
            if len(self._windows) >= LIVE_CAPACITY:
                self._windows.popleft()
                self.skipped["stale"] += 1
            self._windows.append(window)
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Window | None:
        """The window to infer next; None when no fresh one came in time, or ever will (`exhausted`)."""
        with self._changed:
            if not self._windows and not self._closed:
                self._changed.wait(timeout_s)
            if not self._windows:
                return None
            if not self._lossless and self._stale(self._windows[0]):
                kept = 0 if self._stale(self._windows[-1]) else 1
                while len(self._windows) > kept:
                    self._windows.popleft()
                    self.skipped["stale"] += 1
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
                self.skipped["stopped"] += len(self._windows)
                self._windows.clear()
            self._changed.notify_all()

    @property
    def exhausted(self) -> bool:
        """Closed, and every window taken."""
        with self._changed:
            return self._closed and not self._windows


def predict(runtime: Runtime, bundle: Bundle, window: Window, clock: Clock) -> Prediction:
    """Run the engine on one window and stamp it."""
    infer_start_ns = clock.now_ns()
    scores = runtime.infer(window.frames[None])  # (1, T, S, S, 3)
    stamps = replace(window.stamps, infer_start_ns=infer_start_ns, infer_end_ns=clock.now_ns())
    return Prediction(
        camera_id=window.camera_id,
        index=window.index,
        start_ns=window.start_ns,
        end_ns=window.end_ns,
        logits=scores.logits[0],
        probs=bundle.probabilities(scores.logits)[0],
        embedding=None if scores.embedding is None else scores.embedding[0],
        stamps=stamps,
    )
