"""The drain thread: empties the wire at once, whatever the engine does, and cuts windows."""

from __future__ import annotations

import threading
from collections import Counter, deque

from realtime.analysis.queues import WindowQueue
from realtime.analysis.visibility import Visibility
from realtime.analysis.window import SlidingStretch, SlidingWindow
from realtime.clock import NS_PER_S, Clock, SessionStart
from realtime.counts import Counts
from realtime.latency import ROWS_FILES, LatencyLog
from realtime.messages import CaptureState, CaptureStatus, Frame, Sighting
from realtime.transport.wire import FrameMessage, Receiver, WireError

POLL_S = 0.05
RATE_OVER_S = 2.0  # frames/s is measured over this long


class Intake:
    """Receives one camera's frames and states, and feeds the window queue.

    size: side of the body image that the model wants; frames of another are refused.
    stretches, stretch_queue: what the emotion model is given, where there is one.
    visibility: what adds up who was in view.
    Only the drain thread writes; other threads read single attributes, which is atomic.
    """

    def __init__(
        self,
        receiver: Receiver,
        window: SlidingWindow,
        queue: WindowQueue,
        clock: Clock,
        latency: LatencyLog,
        start: SessionStart,
        size: int,
        camera_id: int,
        stretches: SlidingStretch | None = None,
        stretch_queue: WindowQueue | None = None,
        visibility: Visibility | None = None,
    ) -> None:
        self._receiver, self._queue, self._clock, self._camera_id = receiver, queue, clock, camera_id
        self._start, self._visibility = start, visibility
        self.window, self.stretches = window, stretches
        self._cuts = [(window, queue)] + ([(stretches, stretch_queue)] if stretches and stretch_queue else [])
        self._latency, self._size = latency, size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"drain-{camera_id}", daemon=True)
        self._arrivals: deque[int] = deque(maxlen=512)
        self._ended_generations = Counts()  # drops of capture processes that are gone
        self._generation = 0
        self.status = CaptureStatus(camera_id, 0, CaptureState.OPENING)
        self.latest: Frame | None = None
        self.sightings: deque[Sighting] = deque(maxlen=ROWS_FILES)  # where the camera films a screen with codes
        self.received = 0
        self.refused = Counts()  # messages and frames that were not let in, by cause
        self.waiting_since_ns: int | None = None  # None while it is not waiting for the wire (back-pressure)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; a thread that waits for room in the queue is let go by closing the queue first.

        Returns:
            False: it still runs, so its receiver must not be closed.
        """
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def dropped(self) -> dict[str, int]:
        """Frames that never reached a window, by cause, over all generations of the capture process."""
        total = Counter(self._ended_generations) + Counter(self.status.dropped) + Counter(self.refused)
        total["late"] += self.window.late
        total["rate"] += self.window.thinned
        return {cause: count for cause, count in sorted(total.items()) if count}

    @property
    def frames_per_s(self) -> float:
        """Arrival rate over the last seconds."""
        horizon_ns = self._clock.now_ns() - int(RATE_OVER_S * NS_PER_S)
        recent = [at for at in list(self._arrivals) if at >= horizon_ns]
        if len(recent) < 2 or recent[-1] == recent[0]:
            return 0.0
        return (len(recent) - 1) * NS_PER_S / (recent[-1] - recent[0])

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._step()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which ends the session
            self.error = error

    def _step(self) -> None:
        self.waiting_since_ns = self.waiting_since_ns or self._clock.now_ns()
        try:
            message = self._receiver.receive(POLL_S)
        except WireError:
            self.refused.add("corrupt")
            return
        if message is None:
            return
        self.waiting_since_ns = None
        if isinstance(message, FrameMessage):
            frame = message.frame
            if frame.body.shape[0] != self._size or frame.camera_id != self._camera_id:
                self.refused.add("corrupt")
            elif self._current(message.generation):
                self._take(frame)
        elif message.camera_id == self._camera_id and self._current(message.generation):
            if isinstance(message, Sighting):
                self.sightings.append(message)
            else:
                self._note(message)

    def _current(self, generation: int) -> bool:
        """False for a message of a capture process that has been replaced."""
        if generation > self._generation:
            self._ended_generations.add_all(self.status.dropped)
            self._generation = generation
        elif generation < self._generation:
            self.refused.add("replaced")
        return generation == self._generation

    def _take(self, frame: Frame) -> None:
        received_ns = self._clock.now_ns()
        self._arrivals.append(received_ns)
        self.received += 1
        self.latest = frame
        self._start.note(frame.media_ns)
        if self._visibility:
            self._visibility.take(frame)
        windows = self.window.push(frame, received_ns)
        windowed_ns = self._clock.now_ns()
        self._latency.frame(frame, received_ns, windowed_ns)
        for window in windows:
            self._queue.put(window)
        for cut, queue in self._cuts[1:]:
            for stretch in cut.push(frame, received_ns):
                queue.put(stretch)

    def _note(self, status: CaptureStatus) -> None:
        self.status = status
        if status.state is CaptureState.ENDED:
            for cut, queue in self._cuts:
                for window in cut.finish(self._clock.now_ns()):
                    queue.put(window)
        if status.state in (CaptureState.ENDED, CaptureState.FAILED):
            for _, queue in self._cuts:
                queue.close()
