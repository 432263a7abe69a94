"""The engine's thread: takes due windows of every camera, predicts; and what becomes of each camera's predictions."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from engines.bundle import Bundle
from engines.runtimes.base import Runtime
from events.aggregator import Aggregator
from events.types import ActionEvent, Prediction
from realtime.analysis.emotion import CameraEmotion
from realtime.analysis.queues import FairTurns, WindowQueue, predict
from realtime.clock import NS_PER_S, Clock, SessionStart
from realtime.latency import LatencyLog
from realtime.messages import Stretch, Window
from realtime.output.event_stream import EventStream, action_line
from realtime.priority import step_back

POLL_S = 0.1
RATE_OVER_WINDOWS = 20
EVENTS_KEPT = 200  # for the overlay; the stream has them all


class CameraAnalysis:
    """One camera's predictions to events. The engine's thread calls it; others only read its attributes."""

    def __init__(
        self,
        queue: WindowQueue,
        aggregator: Aggregator,
        stream: EventStream,
        clock: Clock,
        latency: LatencyLog,
        start: SessionStart,
    ) -> None:
        self.queue, self.aggregator = queue, aggregator
        self._stream, self._clock, self._latency, self._start = stream, clock, latency, start
        self.events: deque[ActionEvent] = deque(maxlen=EVENTS_KEPT)  # newest last
        self.processed = 0
        self._ends_ns: deque[int] = deque(maxlen=RATE_OVER_WINDOWS)
        self._finished = False

    @property
    def windows_per_s(self) -> float:
        """Windows judged per second over the last ones; 0 before the second."""
        ends_ns = list(self._ends_ns)
        if len(ends_ns) < 2 or ends_ns[-1] == ends_ns[0]:
            return 0.0
        return (len(ends_ns) - 1) * NS_PER_S / (ends_ns[-1] - ends_ns[0])

    def push(self, window: Window, prediction: Prediction) -> None:
        """Take the next prediction, of this window; report what it decides."""
        self._emit(self.aggregator.push(prediction))
        stamps = replace(prediction.stamps, reported_ns=self._clock.now_ns())
        self._latency.window(window.index, int(window.frame_ids[-1]), stamps)
        self._ends_ns.append(prediction.stamps.infer_end_ns)
        self.processed += 1

    def finish(self) -> None:
        """No prediction will come: events still open are ended or retracted."""
        if not self._finished:
            self._finished = True
            self._emit(self.aggregator.finish())

    def _emit(self, events: list[ActionEvent]) -> None:
        for event in events:
            self.events.append(event)
            self._stream.write(action_line(event, self._start.ns or 0))


class Engine:
    """The thread that runs the model for all cameras, in fair turns, until every queue is exhausted.

    Args:
        cameras: by camera id, one for each of the queues that take turns.
        nice: how far the thread steps back behind the capture processes.
        stretches, emotions: the same for the emotion model; its turn comes while no window waits.
        pace: waits until more may be judged, or until the event is set that it is given: for a lossless replay.
    """

    def __init__(
        self,
        turns: FairTurns,
        cameras: Sequence[CameraAnalysis],
        runtime: Runtime,
        bundle: Bundle,
        clock: Clock,
        nice: int,
        stretches: FairTurns | None = None,
        emotions: Sequence[CameraEmotion] = (),
        pace: Callable[[threading.Event], None] | None = None,
    ) -> None:
        self._stretches, self._emotions, self._pace = stretches, emotions, pace
        self._turns, self._cameras = turns, cameras
        self._runtime, self._bundle, self._clock, self._nice = runtime, bundle, clock, nice
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._stop = threading.Event()
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread after what it is working on; events still open are ended or retracted.

        Returns:
            False: it still works, so what it uses must be left alone.
        """
        self._stop.set()
        for turns in self._all_turns:
            turns.close()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self.alive

    @property
    def _all_turns(self) -> list[FairTurns]:
        return [self._turns] + ([self._stretches] if self._stretches else [])

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            step_back(self._nice)
            while not self._stop.is_set() and not all(turns.exhausted for turns in self._all_turns):
                if self._pace:
                    self._pace(self._stop)
                self._step()
                for camera in self._cameras:
                    if camera.queue.exhausted:
                        camera.finish()
            for camera in self._cameras:
                camera.finish()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which ends the session
            self.error = error

    def _step(self) -> None:
        patience_s = 0.0 if self._stretches and (self._stretches.waiting or self._turns.exhausted) else POLL_S
        windows = self._turns.take(self._runtime.batch, patience_s)
        if not windows:
            if self._stretches:
                self._judge_stretch(self._stretches)
            return
        for window, prediction in zip(windows, predict(self._runtime, self._bundle, windows, self._clock), strict=True):
            self._cameras[window.camera_id].push(window, prediction)

    def _judge_stretch(self, stretches: FairTurns) -> None:
        for stretch in stretches.take(1, POLL_S if self._turns.exhausted else 0.0):
            if isinstance(stretch, Stretch):
                self._emotions[stretch.camera_id].push(stretch)
