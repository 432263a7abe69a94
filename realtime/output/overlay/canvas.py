"""What the overlay is drawn on, and text as the cells of its lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from realtime.output.overlay.picture import Line

GUTTER = 2  # columns between what stands side by side


@dataclass(frozen=True, slots=True)
class Canvas:
    """What can be drawn on."""

    console: Console
    width: int
    height: int
    color: bool
    picture: bool  # enough colours for one
    plain: bool = False  # ASCII only


def segments(texts: Sequence[Text], screen: Canvas, width: int) -> list[Line]:
    """Each text as one line of `width` cells."""
    lines = []
    for text in texts:
        parts = Segment.apply_style(text.render(screen.console, end=""), screen.console.get_style(text.style))
        lines.append(Segment.adjust_line_length(list(parts), width))
    return lines


def side_by_side(blocks: Sequence[tuple[list[Line], int]], rows: int) -> list[Line]:
    """Blocks of lines with their widths, as `rows` lines with a gutter between the blocks."""
    shaped = [Segment.set_shape(lines[:rows], width, rows) for lines, width in blocks]
    gutter = Segment(" " * GUTTER)
    joined = []
    for beside in zip(*shaped, strict=True):
        line: Line = list(beside[0])
        for more in beside[1:]:
            line += [gutter, *more]
        joined.append(line)
    return joined
