"""Live sources: a grabber thread that keeps only the newest picture, so that a slow reader never falls behind."""

from __future__ import annotations

import abc
import threading
import time
from typing import Generic, TypeVar

from realtime.capture.sources.base import GRABBER, Image, Source, SourceLost, UInt8Array
from realtime.messages import CaptureState

Raw = TypeVar("Raw")  # what the grabber gets; turned into pixels only if someone reads it

CLOSE_S = 0.8  # how long `close` waits for a grabber that is blocked in a driver or a socket


class NewestSource(Source, Generic[Raw]):
    """Runs `_grab` in a thread of its own; `read` hands out what it published last.

    A grabber may block where nothing can interrupt it (name look-up, a driver). It therefore owns its device or
    connection alone and releases it itself; `close` tells it to stop and leaves it behind if it does not.
    """

    live = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._newest: tuple[Raw, int, int] | None = None
        self._grabbed = 0
        self._lost = ""
        self._thread: threading.Thread | None = None

    @abc.abstractmethod
    def _grab(self) -> None:
        """Publish pictures until `_stop` is set or the source is gone (`_give_up`). Runs in the grabber thread."""

    @abc.abstractmethod
    def _pixels(self, raw: Raw) -> UInt8Array:
        """uint8 (H, W, 3) RGB of what was published. Runs in the reader's thread."""

    def read(self, timeout_s: float) -> Image | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._lost or self._stop.is_set(), timeout_s)
            newest, self._newest = self._newest, None
            if newest is None and self._lost:
                raise SourceLost(self._lost)
        if newest is None:
            return None
        raw, frame_id, captured_ns = newest
        return Image(self._pixels(raw), frame_id, captured_ns, captured_ns)

    def close(self) -> None:
        self._stop.set()
        with self._changed:
            self._newest = None
            self._changed.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(CLOSE_S)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._guard, name=f"grab {self.name}", daemon=True)
        self._thread.start()

    def _guard(self) -> None:
        try:
            self._grab()
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must hear of it
            self._give_up(f"{self.name}: {type(error).__name__}: {error}")

    def _publish(self, raw: Raw) -> None:
        captured_ns = time.monotonic_ns()
        with self._changed:
            if self._stop.is_set():
                return
            if self._newest is not None:
                self.left_out[GRABBER] += 1
            self._newest = raw, self._grabbed, captured_ns
            self._grabbed += 1
            self._changed.notify_all()

    def _report(self, state: CaptureState, detail: str) -> None:
        if not self._stop.is_set():
            self.state, self.detail = state, detail

    def _give_up(self, reason: str) -> None:
        self._report(CaptureState.FAILED, reason)
        with self._changed:
            self._lost = reason
            self._changed.notify_all()
