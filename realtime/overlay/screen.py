"""The overlay as a whole: who gets how much of the screen.

Every render asks the console for its size anew, and always fills it exactly: a resized terminal is laid out again, and
`rich.live.Live(screen=True)` has nothing to clear. The red lines come right below the header, at any size.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from realtime.overlay import panels
from realtime.overlay.picture import Line, fit, half_blocks
from realtime.overlay.state import OverlayState
from realtime.overlay.truth import truth

GUTTER = 2
LEAST_LEFT, LEAST_TABLE = 20, 36  # columns: what the heading above the picture needs, what the pipeline table needs
ROOMY = (100, 30)  # columns, rows from which the pipeline has a table of its own below the picture
PICTURE_FROM = (70, 18)  # columns, rows below which the picture gives its room to the rest
TITLE = "manet-live"
PLAIN = str.maketrans("━╸╺─○●■×–…·›", "===-o*#x-~|>")  # one column each, for terminals without Unicode


@dataclass(frozen=True, slots=True)
class _Screen:
    """What can be drawn on."""

    console: Console
    width: int
    height: int
    color: bool
    picture: bool  # enough colours for one
    plain: bool = False  # ASCII only


class Overlay:
    """Draws one snapshot; hand it to a console or to `rich.live.Live`."""

    def __init__(self, state: OverlayState) -> None:
        self.state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        color = not console.no_color and console.color_system is not None
        picture = color and console.color_system in ("truecolor", "256") and not options.ascii_only
        screen = _Screen(console, options.max_width, options.height or console.height, color, picture,
                         options.ascii_only)
        for line in _lines(self.state, screen):
            yield from line
            yield Segment.line()


def render(state: OverlayState, width: int, height: int) -> str:
    """The overlay as plain text of `height` lines of `width` columns, without colour or picture."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False)
    lines = _lines(state, _Screen(console, width, height, color=False, picture=False))
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def save_svg(state: OverlayState, path: Path, width: int = 100, height: int = 30) -> None:
    """Write the overlay as it looks in a terminal of `width` × `height` to an SVG file that refers to no other file."""
    console = Console(record=True, file=io.StringIO(), width=width, height=height, force_terminal=True,
                      color_system="truecolor", no_color=False, legacy_windows=False)
    console.print(Overlay(state))
    svg = console.export_svg(title=TITLE, unique_id=TITLE)
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")  # fetched fonts


def _lines(state: OverlayState, screen: _Screen) -> list[Line]:
    """`height` lines of `width` cells."""
    width, height = screen.width, screen.height
    roomy = width >= ROOMY[0] and height >= ROOMY[1]
    tall = height >= PICTURE_FROM[1]
    top = panels.header(state, width) + panels.alerts(state, width, 3 if tall else 2 if height >= 14 else 1)
    if roomy:
        top.append(Text())
        bottom = [Text(), *panels.log(state, width, 2)]
    elif tall:
        bottom = panels.pipeline_lines(state, width, 4) + panels.log(state, width, 1)
    else:
        bottom = panels.pipeline_lines(state, width, 3 if height >= 14 else 2)
    rows = max(height - len(top) - len(bottom), 0)
    lines = _segments(top, screen, width) + _body(state, screen, rows, roomy) + _segments(bottom, screen, width)
    if screen.plain:
        lines = [[Segment(_ascii(segment.text), segment.style) for segment in line] for line in lines]
    return lines[:height]


def _body(state: OverlayState, screen: _Screen, rows: int, roomy: bool) -> list[Line]:
    """Left the picture, with the pipeline below it where there is room; right the actions and the events."""
    left, left_width = _left(state, screen, rows, roomy)
    right_width = screen.width - left_width - GUTTER * bool(left_width)
    spaced = rows >= 12
    likely = min(max(rows * 2 // 5, 2), 1 + max(len(state.top), 1), 11, rows)
    top = state.top[:max(likely - 1, 0)]
    texts = panels.now(top, right_width, likely, screen.color)
    texts += [Text()] * (likely - len(texts) + spaced)
    free = rows - len(texts)
    true = truth(state, right_width, free // 2) if state.truth and free >= 6 else []
    texts += panels.events(state, right_width, free - len(true) - bool(true), any(one.action.doubtful for one in top))
    if true:
        texts += [Text()] * (rows - len(texts) - len(true)) + true
    right = Segment.set_shape(_segments(texts, screen, right_width)[:rows], right_width, rows)
    if not left_width:
        return right
    left = Segment.set_shape(left[:rows], left_width, rows)
    gutter = Segment(" " * GUTTER)
    return [[*beside, gutter, *line] for beside, line in zip(left, right, strict=True)]


def _left(state: OverlayState, screen: _Screen, rows: int, roomy: bool) -> tuple[list[Line], int]:
    """The lines of the left column and its width; 0 where there is none."""
    shown = (screen.picture and state.show_picture and screen.width >= PICTURE_FROM[0]
             and screen.height >= PICTURE_FROM[1])
    if not shown and not roomy:
        return [], 0
    width = screen.width * 2 // 5 if roomy and shown else screen.width // 3
    table = panels.pipeline_table(state, width, rows) if roomy else []
    lines: list[Line] = []
    if shown:
        high, wide = state.picture.shape[:2] if state.picture is not None else (1, 1)
        columns, high = fit(high, wide, width, max(rows - 1 - len(table) - roomy, 1))
        width = max(columns, LEAST_TABLE if roomy else LEAST_LEFT)
        table = panels.pipeline_table(state, width, rows) if roomy else []
        lines = _segments([panels.heading("WHAT THE MODEL SEES", width)], screen, width)
        if state.picture is None:
            lines += _segments([Text("no picture yet", panels.LABEL)], screen, width)
        else:
            lines += half_blocks(state.picture, columns, high)
        lines += [[] for _ in range(rows - len(lines) - len(table))]
    return lines + _segments(table, screen, width), width


def _segments(texts: Sequence[Text], screen: _Screen, width: int) -> list[Line]:
    lines = []
    for text in texts:
        segments = Segment.apply_style(text.render(screen.console, end=""), screen.console.get_style(text.style))
        lines.append(Segment.adjust_line_length(list(segments), width))
    return lines


def _ascii(text: str) -> str:
    return text.translate(PLAIN).encode("ascii", "replace").decode()
