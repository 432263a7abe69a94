"""The engine's thread: takes due windows, predicts, aggregates, reports."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from engines.bundle import Bundle
from engines.runtimes.base import Runtime
from events.aggregator import Aggregator
from events.types import ActionEvent
from realtime.clock import NS_PER_S, Clock
from realtime.inference import WindowQueue, predict
from realtime.latency import LatencyLog
from realtime.stream import EventStream, action_line

POLL_S = 0.1
RATE_OVER_WINDOWS = 20
EVENTS_KEPT = 200  # for the overlay; the stream has them all


class Analysis:
    """Windows to events until the queue is exhausted. Other threads only read its attributes."""

    def __init__(self, queue: WindowQueue, runtime: Runtime, bundle: Bundle, aggregator: Aggregator,
                 stream: EventStream, clock: Clock, latency: LatencyLog) -> None:
        self._queue, self._runtime, self._bundle, self._clock = queue, runtime, bundle, clock
        self._stream = stream
        self.aggregator = aggregator
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._stop = threading.Event()
        self._latency = latency
        self.events: deque[ActionEvent] = deque(maxlen=EVENTS_KEPT)  # newest last
        self.processed = 0
        self.session_start_ns: int | None = None  # media time of the session's first frame
        self._ends_ns: deque[int] = deque(maxlen=RATE_OVER_WINDOWS)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread after the window it is working on; events still open are ended or retracted."""
        self._stop.set()
        self._queue.close(discard=True)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def windows_per_s(self) -> float:
        """Windows judged per second over the last ones; 0 before the second."""
        ends_ns = list(self._ends_ns)
        if len(ends_ns) < 2:
            return 0.0
        return (len(ends_ns) - 1) * NS_PER_S / (ends_ns[-1] - ends_ns[0])

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._queue.exhausted:
                self._step()
            self._emit(self.aggregator.finish())
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which ends the session
            self.error = error

    def _step(self) -> None:
        window = self._queue.take(POLL_S)
        if window is None:
            return
        if self.session_start_ns is None:
            self.session_start_ns = window.session_start_ns
        prediction = predict(self._runtime, self._bundle, window, self._clock)
        self._emit(self.aggregator.push(prediction))
        stamps = replace(prediction.stamps, reported_ns=self._clock.now_ns())
        self._latency.window(window.index, int(window.frame_ids[-1]), stamps)
        self._ends_ns.append(prediction.stamps.infer_end_ns)
        self.processed += 1

    def _emit(self, events: list[ActionEvent]) -> None:
        for event in events:
            self.events.append(event)
            self._stream.write(action_line(event, self.session_start_ns or 0))
