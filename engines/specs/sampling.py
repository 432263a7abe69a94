"""Which frames of a recording a video network sees."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from engines.preprocess import clip_frame_indices

Indices = np.ndarray[tuple[int], np.dtype[np.int64]]
# even: in order of time, over all of a clip that is too short. Else as mmaction2 of a generation takes them.
FrameRule = Literal["even", "mmaction2-0.x", "mmaction2-1.x"]


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """T frames of a clip: one from the middle of each of T equal segments, or T at a fixed stride from its middle."""

    frames: Annotated[int, Meta(ge=1)]  # T
    layout: Literal["segments", "dense"] = "segments"
    stride: Annotated[int, Meta(ge=1)] = 1  # of the dense layout, in frames

    def indices(self, count: int, rule: FrameRule = "even") -> Indices:
        """The T frames that a clip of `count` frames is scored by, (T,).

        A clip shorter than `frames * stride` has the T frames spread over all of it, as a live window has; mmaction2
        goes on from its start, so that the frames are out of order in time.
        """
        if count < 1:
            raise ValueError(f"expected a clip of 1 frame or more, got {count}")
        reach = self.reach(rule)
        if self.layout == "segments" or (rule == "even" and reach > count):
            return clip_frame_indices(count, self.frames)
        beyond = max(count - reach, 0)
        # 0.x rounds up, unless the clip is too short.
        start = (beyond + 1) // 2 * (count >= reach) if rule == "mmaction2-0.x" else beyond // 2
        return (start + np.arange(self.frames) * self.stride) % count

    def reach(self, rule: FrameRule) -> int:
        """Frames of the recording that a dense clip takes; 0.x counts the stride behind the last one, too."""
        return (self.frames - 1) * self.stride + (self.stride if rule == "mmaction2-0.x" else 1)
