"""The landmark drawing of the mirrored person, from the drawing itself: left becomes right, red becomes blue."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from engines.landmarks.scene import BODY, HAND_PANELS, HEAD

Pixels = TypeVar("Pixels", bound=npt.NDArray[Any])


def mirror_places(size: int) -> npt.NDArray[np.int64]:
    """Where each value of a mirrored drawing comes from, (S·S·3,); -1: it is black."""
    return mirror(np.arange(size * size * 3).reshape(size, size, 3), black=-1).ravel()


def mirror(drawings: Pixels, black: int = 0) -> Pixels:
    """Drawings (..., S, S, 3) as they would be of the mirrored person.

    Exact but for the two hands' panels, which differ by a row in height: a hand may lie half a pixel higher or lower.
    """
    size = drawings.shape[-2]
    mirrored = drawings.copy()
    for panel in (BODY, HEAD):
        rows, columns = panel.slices(size)
        mirrored[..., rows, columns, :] = _flipped(drawings[..., rows, columns, :])
    for panel, other in (HAND_PANELS, HAND_PANELS[::-1]):
        rows, columns = panel.slices(size)
        other_rows, _ = other.slices(size)
        height = min(rows.stop - rows.start, other_rows.stop - other_rows.start)
        target = slice(rows.start, rows.start + height)
        mirrored[..., rows, columns, :] = black
        mirrored[..., target, columns, :] = _flipped(
            drawings[..., other_rows.start : other_rows.start + height, columns, :]
        )
    return mirrored


def _flipped(panel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Left and right exchanged, and with them red (the person's left) and blue."""
    return np.ascontiguousarray(panel[..., ::-1, ::-1])
