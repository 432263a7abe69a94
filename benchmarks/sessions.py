"""Whole sessions, run in this process as the command line runs them, with the engine's calls timed."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.runtimes.base import Inputs, Outputs, Runtime, Scores, Video
from realtime.analysis.actions import ActionModel, LandmarkActionModel
from realtime.analysis.emotion import EmotionModel
from realtime.analysis.stream import StreamActionModel
from realtime.capture.sources import FileSpec
from realtime.clock import MonotonicClock
from realtime.config import Config
from realtime.output.event_stream import EventStream
from realtime.output.lines import StatsLine
from realtime.request import Request
from realtime.session_loop import SessionLoop
from realtime.session_setup import Setup


class TimedRuntime:
    """Passes windows on to a runtime, `times` times over, and notes when each answer came and how long it took."""

    def __init__(self, runtime: Runtime, times: int = 1) -> None:
        self._runtime, self._times = runtime, times
        self.name, self.batch, self.remote = runtime.name, runtime.batch, runtime.remote
        self.answered_s: list[float] = []
        self.took_s: list[float] = []
        self.longest_s = 0.0
        self.windows: list[npt.NDArray[np.uint8]] = []

    def infer(self, clips: npt.NDArray[np.uint8]) -> Scores:
        started = time.perf_counter()
        for _ in range(self._times):
            scores = self._runtime.infer(clips)
        self._note(started)
        self.windows.append(clips)
        del self.windows[:-8]  # enough to run the bare engine on real input
        return scores

    def run(self, inputs: Inputs) -> Outputs:
        started = time.perf_counter()
        for _ in range(self._times):
            outputs = self._runtime.run(inputs)
        self._note(started)
        return outputs

    def predict(self, frames: npt.NDArray[np.uint8], videos: Sequence[Video]) -> Outputs:
        started = time.perf_counter()
        outputs = self._runtime.predict(frames, videos)
        self._note(started)
        return outputs

    def _note(self, started: float) -> None:
        now = time.perf_counter()
        self.took_s.append(now - started)
        self.longest_s = max(self.longest_s, self.took_s[-1])
        self.answered_s.append(now)

    def notice(self) -> str:
        return self._runtime.notice()

    @property
    def windows_per_s(self) -> float:
        return (len(self.answered_s) - 1) / (self.answered_s[-1] - self.answered_s[0])


def run_session(
    recordings: Sequence[Path],
    model: Bundle,
    runtime: TimedRuntime,
    config: Config | None = None,
    watch: Callable[[SessionLoop], None] | None = None,
    speed: float | None = None,
    after: Callable[[SessionLoop], None] = lambda _: None,
    emotion: EmotionModel | None = None,
) -> list[StatsLine]:
    """One session, lossless unless a speed is given; what it says of each recording at its end.

    Args:
        watch: called with the session in a thread of its own while it runs.
        after: called with the session that is over.
    """
    sources = tuple(FileSpec(str(path)) for path in recordings)
    request = Request(sources, str(model.path), config or Config(), speed=speed, headless=True)
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        network = model.card.network
        kind = StreamActionModel if network.states else ActionModel
        kind = LandmarkActionModel if "landmarks" in network.inputs else kind
        actions = kind(model, runtime, request.config)  # type: ignore[arg-type]
        models = (actions,) if emotion is None else (actions, emotion)
        session = SessionLoop(Setup(request, models, EventStream(), Path(folder), MonotonicClock()))
        watcher = threading.Thread(target=watch, args=(session,)) if watch else None
        try:
            if watcher:
                watcher.start()
            session.run(threading.Event())
        finally:
            session.close()
            if watcher:
                watcher.join()
        after(session)
        return session.stats()
