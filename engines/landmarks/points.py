"""What a tracker says of one picture: body, hands and face as points, in MediaPipe's topology.

The one language between the live tracker, the simulated person and the drawing that a landmark model sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

POSE_POINTS = 33
HAND_POINTS = 21
# Points of MediaPipe's face mesh that are kept: enough for head pose, brows, eyes and mouth, too few to tell a person.
FACE_OVAL = (
    10,
    338,
    297,
    332,
    284,
    251,
    389,
    356,
    454,
    323,
    361,
    288,
    397,
    365,
    379,
    378,
    400,
    377,
    152,
    148,
    176,
    149,
    150,
    136,
    172,
    58,
    132,
    93,
    234,
    127,
    162,
    21,
    54,
    103,
    67,
    109,
)
LEFT_BROW, RIGHT_BROW = (336, 296, 334, 293, 300), (107, 66, 105, 63, 70)  # from the nose outwards
LEFT_EYE, RIGHT_EYE = (362, 385, 387, 263, 373, 380), (133, 158, 160, 33, 144, 153)  # from the inner corner, over top
NOSE = (168, 6, 4, 1, 98, 327)  # bridge, ridge, tip, below it, right and left wing
LIPS = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)  # outer line, from the person's right corner over the top
MOUTH = (78, 13, 308, 14)  # inner line: right, top, left, bottom
FACE_MESH_INDICES = (*FACE_OVAL, *LEFT_BROW, *RIGHT_BROW, *LEFT_EYE, *RIGHT_EYE, *NOSE, *LIPS, *MOUTH)
FACE_POINTS = len(FACE_MESH_INDICES)


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """One picture's landmarks. Left and right are the person's. What was not seen is NaN.

    x and y are pixels of the source picture (y down), z the same unit along the line of sight, smaller is nearer: from
    the hips for the pose, from the wrist for a hand, from the head's middle for the face.
    """

    time_ns: int  # media time of the picture
    height: int  # pixels of the source picture
    width: int
    pose: Float32Array  # (33, 4) x, y, z, visibility 0..1; all NaN: no person
    hands: Float32Array  # (2, 21, 3) left, right
    face: Float32Array  # (FACE_POINTS, 3) in the order of FACE_MESH_INDICES

    def __post_init__(self) -> None:
        for name, shape in (("pose", (POSE_POINTS, 4)), ("hands", (2, HAND_POINTS, 3)), ("face", (FACE_POINTS, 3))):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name}: expected float32 {shape}, got {array.dtype} {array.shape}")

    @property
    def person(self) -> bool:
        """Whether anybody was found."""
        return not bool(np.isnan(self.pose[0, 0]))

    @classmethod
    def nobody(cls, time_ns: int, height: int, width: int) -> Landmarks:
        """An empty picture's landmarks."""
        return cls(
            time_ns,
            height,
            width,
            np.full((POSE_POINTS, 4), np.nan, np.float32),
            np.full((2, HAND_POINTS, 3), np.nan, np.float32),
            np.full((FACE_POINTS, 3), np.nan, np.float32),
        )
