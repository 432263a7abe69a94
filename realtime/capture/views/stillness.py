"""Whether parts of a picture still show what they showed: then what was found there needs no new search."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.views.people import Square

UInt8Array = npt.NDArray[np.uint8]
Int16Array = npt.NDArray[np.int16]

SIDE = 24  # blocks that a part is averaged into, each way: sensor noise of 3 grey levels becomes less than 1
CHANGED = 6  # grey levels that a block must differ by, beyond what all of them do: light may change


class Stillness:
    """What some squares of a picture showed when they were last searched."""

    def __init__(self) -> None:
        self._seen: list[tuple[Square, Int16Array]] = []
        self._time_ns = 0

    def note(self, pixels: UInt8Array, squares: Sequence[Square], time_ns: int) -> None:
        """These squares of uint8 (H, W, 3) are searched now."""
        self._seen = [(square, blocks) for square in squares if (blocks := _blocks(pixels, square)) is not None]
        self._time_ns = time_ns

    def lasts(self, pixels: UInt8Array, time_ns: int, most_ns: int) -> bool:
        """Nothing has changed in any of them, and they were searched less than `most_ns` ago."""
        if not self._seen or not 0 <= time_ns - self._time_ns < most_ns:
            return False
        return not any(_differs(before, _blocks(pixels, square)) for square, before in self._seen)


def _blocks(pixels: UInt8Array, square: Square) -> Int16Array | None:
    """(SIDE, SIDE, 3) means of the part of a square that lies inside the picture; None where none does."""
    height, width = pixels.shape[:2]
    left, top, side = square.corner
    part = pixels[max(0, top) : min(height, top + side), max(0, left) : min(width, left + side)]
    if min(part.shape[:2]) < SIDE:
        return None
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.int16)


def _differs(before: Int16Array, after: Int16Array | None) -> bool:
    if after is None:
        return True
    change = after - before
    return bool(np.abs(change - np.median(change)).max() > CHANGED)
