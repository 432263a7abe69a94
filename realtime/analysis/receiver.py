"""The drain thread: empties the wire at once, whatever the engine does, and cuts windows."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence

from realtime.analysis.lane import CameraContext, Lane
from realtime.analysis.visibility import Visibility
from realtime.capture.order import ViewSpec
from realtime.clock import NS_PER_S
from realtime.counts import Counts
from realtime.latency import ROWS_FILES
from realtime.messages import CaptureState, CaptureStatus, Frame, Sighting
from realtime.transport.wire import Receiver, WireError

POLL_S = 0.05
RATE_OVER_S = 2.0  # frames/s is measured over this long


class ReceiverThread:
    """Receives one camera's frames and states, and feeds its lanes.

    Only the drain thread writes; other threads read single attributes, which is atomic.

    Args:
        view: what was ordered; other frames are refused.
        lanes: the first is the one whose latency is measured.
        visibility: what adds up who was in view.
    """

    def __init__(
        self, receiver: Receiver, lanes: Sequence[Lane], camera: CameraContext, view: ViewSpec, visibility: Visibility
    ) -> None:
        self._receiver, self._lanes, self._view = receiver, lanes, view
        self._camera_id, self._start, self._clock = camera.camera_id, camera.start, camera.clock
        self._latency, self._visibility = camera.latency, visibility
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"drain-{self._camera_id}", daemon=True)
        self._arrivals: deque[int] = deque(maxlen=512)
        self._ended_generations = Counts()  # drops of capture processes that are gone
        self._generation = 0
        self.status = CaptureStatus(self._camera_id, 0, CaptureState.OPENING)
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
        total["late"] += self._lanes[0].cutter.late
        total["rate"] += self._lanes[0].cutter.thinned
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
        if message.camera_id != self._camera_id or (isinstance(message, Frame) and not self._fits(message)):
            self.refused.add("corrupt")
        elif self._current(message.generation):
            if isinstance(message, Frame):
                self._take(message)
            elif isinstance(message, Sighting):
                self.sightings.append(message)
            else:
                self._note(message)

    def _fits(self, frame: Frame) -> bool:
        size = 0 if frame.body is None else len(frame.body)
        return size == self._view.size and (frame.landmarks is not None) == self._view.coordinates

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
        self._visibility.take(frame)
        for lane in self._lanes:
            windows = lane.cut(frame, received_ns)
            if lane is self._lanes[0]:
                self._latency.frame(frame, received_ns, self._clock.now_ns())
            lane.put(windows)

    def _note(self, status: CaptureStatus) -> None:
        self.status = status
        for lane in self._lanes:
            if status.state is CaptureState.ENDED:
                lane.finish(self._clock.now_ns())
            if status.state in (CaptureState.ENDED, CaptureState.FAILED):
                lane.queue.close()
