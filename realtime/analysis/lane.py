"""One model's way through a camera: cutter → queue → model → consumer. The engine serves the lanes of all cameras."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from engines.bundle import Bundle
from engines.runtimes.base import NoAnswer, Runtime
from realtime.analysis.queues import FairTurns, WindowQueue
from realtime.analysis.window import SlidingWindow
from realtime.capture.sources.simulated import Truth
from realtime.clock import Clock, SessionStart
from realtime.config import Config
from realtime.latency import LatencyLog
from realtime.messages import Frame, Window
from realtime.output.event_stream import EventStream
from realtime.output.lines import WindowTotals


@dataclass(frozen=True, slots=True)
class CameraContext:
    """What the lanes of one camera share."""

    camera_id: int
    live: bool
    config: Config
    start: SessionStart
    stream: EventStream
    clock: Clock
    latency: LatencyLog
    truth: Truth  # of a simulated interview


class Consumer(abc.ABC):
    """What becomes of one camera's results. The engine's thread calls `push` and `finish`; others only read."""

    judged: int = 0  # windows

    @abc.abstractmethod
    def push(self, window: Window, result: Any) -> None:
        """Take what the model said of the next window; report what that decides."""

    def finish(self) -> None:  # noqa: B027 - not every consumer has something left
        """No more will come. May be called again."""

    def notice(self) -> str:
        """What has changed for people since the last call, one line; empty where nothing has."""
        return ""

    @abc.abstractmethod
    def stats(self, totals: WindowTotals) -> dict[str, Any]:
        """Its fields of a `StatsLine`."""

    @abc.abstractmethod
    def shown(self, position_ns: int) -> dict[str, Any]:
        """Its fields of an `OverlayState`, at this time of the session."""


class Lane:
    """One model on one camera. The drain thread cuts and queues; the engine takes and hands to the consumer."""

    def __init__(self, cutter: SlidingWindow, queue: WindowQueue, consumer: Consumer) -> None:
        self.cutter, self.queue, self.consumer = cutter, queue, consumer

    def cut(self, frame: Frame, received_ns: int) -> Sequence[Window]:
        """The windows that this frame makes due."""
        return self.cutter.push(frame, received_ns)

    def put(self, windows: Sequence[Window]) -> None:
        """Queue them; waits for room where the engine sets the pace."""
        for window in windows:
            self.queue.put(window)

    def finish(self, now_ns: int) -> None:
        """The recording is over: queue what is still due."""
        self.put(self.cutter.finish(now_ns))

    @property
    def totals(self) -> WindowTotals:
        """What became of its windows; `judged` + Σ `skipped` = `due` once it is over."""
        skipped = Counter(self.cutter.skipped) + Counter(self.queue.skipped)
        return WindowTotals(self.cutter.due, self.consumer.judged, dict(sorted(skipped.items())))


class Model(abc.ABC):
    """A model that all cameras of a session share.

    Attributes:
        batch: windows that a call gains from.
        staleness_ns: how long its windows may wait.
    """

    task: ClassVar[str]
    batch: int = 1
    staleness_ns: int

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.bundle, self.runtime = bundle, runtime

    @abc.abstractmethod
    def lane(self, camera: CameraContext, queue: WindowQueue) -> Lane:
        """A lane of this model for a camera."""

    @abc.abstractmethod
    def judge(self, windows: Sequence[Window], clock: Clock) -> Sequence[Any]:
        """What it says of each window, for the window's consumer."""


class Track:
    """A model and its lane of every camera, which it serves in turn."""

    def __init__(self, model: Model, turns: FairTurns, lanes: Sequence[Lane]) -> None:
        self.model, self.turns, self.lanes = model, turns, lanes

    def step(self, clock: Clock) -> bool:
        """Judge the next windows; False where none is fresh."""
        windows = self.turns.take(self.model.batch)
        if not windows:
            return False
        try:
            results = self.model.judge(windows, clock)
        except NoAnswer as error:
            if self.turns.lossless:
                raise
            for window in windows:
                self.lanes[window.camera_id].queue.skipped.add(error.cause)
            return True
        for window, result in zip(windows, results, strict=True):
            self.lanes[window.camera_id].consumer.push(window, result)
        return True

    def finish(self, exhausted_only: bool) -> None:
        """End the consumers of the lanes that are exhausted, or of all."""
        for lane in self.lanes:
            if lane.queue.exhausted or not exhausted_only:
                lane.consumer.finish()
