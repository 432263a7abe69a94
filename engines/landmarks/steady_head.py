"""A head whose face was not found is held steady in its shape, as far as the pose's unsteadiness goes.

Without the face's mesh, a head is the pose's eleven points. Where faces are masked, these rise and sink against each
other while the head turns (the nose against the ears by 0.016 shoulder widths, std: docs/tracker-noise.md), which looks
like nodding. So their heights within the head follow with some play, as worn gears do: less than `PLAY` moves nothing,
and what moves further is at most so far behind. The head as a whole moves freely, and sideways nothing is held.
"""

from __future__ import annotations

import numpy as np

from engines.landmarks.motion import LEFT_SHOULDER, RIGHT_SHOULDER
from engines.landmarks.points import Float32Array

PLAY = 0.015  # shoulder widths either way: about one standard deviation of what was measured
HEAD_POINTS = 11  # nose, eyes, ears and mouth come first in MediaPipe's pose


class SteadyHead:
    """Takes the poses of one person in order of time; the live tracker and the simulated one end with it."""

    def __init__(self) -> None:
        self._heights: Float32Array | None = None  # (11,) pixels below the head's middle

    def step(self, pose: Float32Array, face_found: bool) -> Float32Array:
        """(33, 4) x, y, z in pixels and visibility, the head steadier; as it is where the face was found."""
        middle = pose[:HEAD_POINTS, 1].mean()
        heights = pose[:HEAD_POINTS, 1] - middle
        if face_found or self._heights is None:
            self._heights = heights
            return pose
        play = np.float32(PLAY) * np.hypot(*(pose[LEFT_SHOULDER, :2] - pose[RIGHT_SHOULDER, :2]))
        self._heights = np.clip(self._heights, heights - play, heights + play)
        steady = pose.copy()
        steady[:HEAD_POINTS, 1] = self._heights + middle
        return steady
