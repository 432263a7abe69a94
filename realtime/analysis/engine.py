"""The engine's thread: takes due windows of every lane, in turn, and lets their model judge them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from realtime.analysis.lane import Track
from realtime.clock import Clock
from realtime.priority import lower_priority

POLL_S = 0.1


class Engine:
    """Runs every model until all their lanes are exhausted.

    Args:
        tracks: the most urgent first: a turn of the next comes while none of the one before is due.
        changed: notified of every change of a queue.
        nice: by how much the thread's priority is below the capture processes'.
        pace: waits until more may be judged, or until the event is set that it is given: for a lossless replay.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        changed: threading.Condition,
        clock: Clock,
        nice: int,
        pace: Callable[[threading.Event], None],
    ) -> None:
        self._tracks, self._changed, self._clock, self._nice, self._pace = tracks, changed, clock, nice, pace
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
        for track in self._tracks:
            track.turns.close()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self.alive

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def _exhausted(self) -> bool:
        return all(track.turns.exhausted for track in self._tracks)

    def _run(self) -> None:
        try:
            lower_priority(self._nice)
            while not self._stop.is_set() and not self._exhausted:
                self._pace(self._stop)
                with self._changed:
                    if not any(track.turns.waiting for track in self._tracks) and not self._exhausted:
                        self._changed.wait(POLL_S)
                for track in self._tracks:
                    if track.step(self._clock):
                        break
                for track in self._tracks:
                    track.finish(exhausted_only=True)
            for track in self._tracks:
                track.finish(exhausted_only=False)
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which ends the session
            self.error = error
