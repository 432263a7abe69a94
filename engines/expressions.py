"""Expression numbers: what two nets say of a face, as logits of seven expressions each, and how far its lips are apart.

Nothing of them says whose face it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

EXPRESSIONS = ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise")  # in face-api's order
LOGITS = 2 * len(EXPRESSIONS)  # face-api's, then fer's
MOUTH = LOGITS  # place of the gap between the lips (`landmarks.lips`)
NUMBERS = LOGITS + 1
STEPS, ZERO = 8, 128  # bytes in which a network takes them: steps of 1/8 from -16 to 15.875


def encode(numbers: Float32Array) -> npt.NDArray[np.uint8]:
    """(..., NUMBERS), NaN where there is no face, as bytes; `ZERO` there."""
    codes = np.rint(np.nan_to_num(numbers) * STEPS) + ZERO
    return np.asarray(np.clip(codes, 0, 255), np.uint8)
