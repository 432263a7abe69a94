"""The landmark drawing of the mirrored person, from the drawing itself: left becomes right, red becomes blue."""

from __future__ import annotations

import numpy as np

from engines.drawing import BODY, HAND_PANELS, HEAD, UInt8Array


def mirror(drawings: UInt8Array) -> UInt8Array:
    """Drawings uint8 (..., S, S, 3) as they would be of the mirrored person.

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
        mirrored[..., rows, columns, :] = 0
        mirrored[..., target, columns, :] = _flipped(
            drawings[..., other_rows.start : other_rows.start + height, columns, :]
        )
    return mirrored


def _flipped(panel: UInt8Array) -> UInt8Array:
    """Left and right exchanged, and with them red (the person's left) and blue."""
    return np.ascontiguousarray(panel[..., ::-1, ::-1])
