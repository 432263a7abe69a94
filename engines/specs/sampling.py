"""Which frames of a recording a video network sees."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from engines.preprocess import clip_frame_indices

Indices = np.ndarray[tuple[int], np.dtype[np.int64]]
Generation = Literal["0.x", "1.x"]


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """T frames of a clip: one from the middle of each of T equal segments, or T at a fixed stride from its middle."""

    frames: Annotated[int, Meta(ge=1)]  # T
    layout: Literal["segments", "dense"] = "segments"
    stride: Annotated[int, Meta(ge=1)] = 1  # of the dense layout, in frames

    def indices(self, count: int) -> Indices:
        """The T frames of a clip of `count` frames, in order of time, (T,).

        A clip shorter than `frames * stride` has the T frames spread over all of it, as a live window has.
        """
        if count < 1:
            raise ValueError(f"expected a clip of 1 frame or more, got {count}")
        reach = (self.frames - 1) * self.stride
        if self.layout == "dense" and reach < count:
            return (count - reach - 1) // 2 + np.arange(self.frames) * self.stride
        return clip_frame_indices(count, self.frames)

    def mmaction2_indices(self, count: int, generation: Generation) -> Indices:
        """The T frames that mmaction2 tests one clip with, (T,).

        Where a dense clip is too short, it goes on from the start: the frames are then out of order in time.
        """
        if self.layout == "segments":
            return self.indices(count)
        # 0.x counts the stride behind the last frame as part of the clip.
        reach = (self.frames - 1) * self.stride + (1 if generation == "1.x" else self.stride)
        beyond = max(count - reach, 0)
        start = beyond // 2 if generation == "1.x" else (beyond + 1) // 2 * (count >= reach)
        return (start + np.arange(self.frames) * self.stride) % count
