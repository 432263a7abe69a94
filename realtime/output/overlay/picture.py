"""A picture in half blocks: two pixels per character cell, the upper as its foreground, the lower as its background."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from realtime.messages import UInt8Array

Line = list[Segment]

UPPER_HALF = "▀"
LEVELS_BIT = 2  # colours are rounded to multiples of 4: neighbours fall together, less is sent to the terminal


def fit(height: int, width: int, columns: int, rows: int) -> tuple[int, int]:
    """Character columns and rows for a picture of `height` × `width` pixels: the largest that keeps its aspect.

    A half block is taken to be square: a character cell is twice as high as wide.
    """
    scale = min(columns / width, 2 * rows / height)
    return min(max(round(width * scale), 1), columns), min(max(round(height * scale / 2), 1), rows)


def half_blocks(picture: UInt8Array, columns: int, rows: int) -> list[Line]:
    """(h, w, 3) RGB as `rows` lines of `columns` character cells."""
    shrinks = columns <= picture.shape[1] and 2 * rows <= picture.shape[0]
    small = cv2.resize(picture, (columns, 2 * rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    step = 1 << LEVELS_BIT
    levels = np.minimum(small.astype(np.int32) + step // 2, 255) >> LEVELS_BIT << LEVELS_BIT  # (2 rows, columns, 3)
    keys = levels[..., 0] << 16 | levels[..., 1] << 8 | levels[..., 2]  # (2 rows, columns)
    return [_line(upper, lower) for upper, lower in zip(keys[::2].tolist(), keys[1::2].tolist(), strict=True)]


def _line(upper: list[int], lower: list[int]) -> Line:
    line: Line = []
    start = 0
    for at in range(1, len(upper) + 1):
        if at == len(upper) or upper[at] != upper[start] or lower[at] != lower[start]:
            line.append(Segment(UPPER_HALF * (at - start), _style(upper[start], lower[start])))
            start = at
    return line


@lru_cache(maxsize=8192)
def _style(upper: int, lower: int) -> Style:
    return Style(color=_color(upper), bgcolor=_color(lower))


@lru_cache(maxsize=8192)
def _color(key: int) -> Color:
    return Color.from_rgb(key >> 16, key >> 8 & 255, key & 255)
