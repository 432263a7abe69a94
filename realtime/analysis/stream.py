"""The action model of a session whose network carries states: of each window it takes the frames it has not seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.bundle import Bundle
from engines.runtimes.base import Outputs, Runtime, Scores, UInt8Array, Video
from events.posterior import PosteriorGrid
from realtime.analysis.actions import ActionModel
from realtime.analysis.lane import CameraContext, Lane
from realtime.analysis.queues import WindowQueue
from realtime.analysis.stream_window import FrameStream
from realtime.clock import to_ns
from realtime.config import Config
from realtime.counts import Counts
from realtime.messages import StreamWindow, Window

_SCORES = ("logits", "embedding")


class _Followed:
    """What the network has seen of one camera."""

    def __init__(self) -> None:
        self.video, self.begun = Video(), Counts()  # begun: how often it began anew, by cause
        self._before: StreamWindow | None = None
        self.frames = 0  # that `video` must have seen

    def take(self, window: StreamWindow) -> _Waiting:
        """The frames of the next window that the network has not seen."""
        before, self._before = self._before, window
        if before is None or window.run != before.run:
            return _Waiting(self, window, deque(window.frames), window.cause)
        missed = window.index - before.index
        if missed > len(window.frames):
            return _Waiting(self, window, deque(window.frames), "stale")
        return _Waiting(self, window, deque(window.frames[-missed:]), "")

    def begin(self, cause: str) -> None:
        self.begun.add(cause)
        self.video.begin()
        self.frames = 0


@dataclass(slots=True)
class _Waiting:
    """A window whose frames are on their way."""

    followed: _Followed
    window: StreamWindow
    frames: deque[UInt8Array]
    anew: str  # why the network begins anew with them; empty where it goes on

    def next(self) -> UInt8Array:
        """The frame whose turn it is."""
        if self.anew:
            self.followed.begin(self.anew)
            self.anew = ""
        return self.frames[0]

    def taken(self) -> bool:
        """That frame has been seen: was it the last? All are waiting again where another engine took over."""
        self.frames.popleft()
        self.followed.frames += 1
        if self.followed.video.frames != self.followed.frames:
            self.frames.clear()
            self.frames.extend(self.window.frames)
            self.anew = "engine"
        return not self.frames


class StreamActionModel(ActionModel):
    """A network that carries states: of a window it takes the frames that it has not seen, mostly one."""

    def __init__(self, bundle: Bundle, runtime: Runtime, config: Config) -> None:
        super().__init__(bundle, runtime, config)
        self._followed: dict[int, _Followed] = {}  # by camera

    def lane(self, camera: CameraContext, queue: WindowQueue) -> Lane:
        card, config = self.bundle.card, camera.config
        spacing_ns, latency_ns = to_ns(card.span_s) // card.length, to_ns(config.aggregator.latency_s)
        cutter = FrameStream(camera.camera_id, card.length, spacing_ns, to_ns(config.window.max_gap_s))
        grid = PosteriorGrid(spacing_ns * card.length, spacing_ns, latency_ns, cutter.centre_shift_ns)
        self._followed[camera.camera_id] = followed = _Followed()
        return self._lane(camera, queue, cutter, grid, followed.begun)

    def _scores(self, windows: Sequence[Window]) -> Scores:
        """Frame by frame; those of different cameras together, each exactly as it would be alone."""
        waiting = [self._followed[one.camera_id].take(one) for one in windows if isinstance(one, StreamWindow)]
        found: dict[int, Outputs] = {}  # by place in `waiting`
        while len(found) < len(waiting):
            turn: dict[int, int] = {}  # camera → its first window that is not done
            for at, one in enumerate(waiting):
                if at not in found:
                    turn.setdefault(one.window.camera_id, at)
            places = list(turn.values())
            frames = np.stack([waiting[at].next() for at in places])
            outputs = self.runtime.predict(frames, [waiting[at].followed.video for at in places])
            for row, at in enumerate(places):
                if waiting[at].taken():
                    found[at] = {name: array[row] for name, array in outputs.items()}
        logits, embeddings = ([one[name] for _, one in sorted(found.items()) if name in one] for name in _SCORES)
        return Scores(np.stack(logits), np.stack(embeddings) if embeddings else None)
