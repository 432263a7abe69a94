"""The overlay as a whole, on whatever it is drawn.

Every render asks the console for its size anew, and always fills it exactly: a resized terminal is laid out again, and
`rich.live.Live(screen=True)` has nothing to clear.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from realtime.output.overlay import several, single
from realtime.output.overlay.canvas import Canvas
from realtime.output.overlay.picture import Line
from realtime.output.overlay.state import OverlayState

TITLE = "manet-live"
PLAIN = str.maketrans("━╸╺─┄○●■×–…·›▁▂▃▄▅▆▇█", "===-.o*#x-~|>_..--==#")  # for terminals without Unicode


class Overlay:
    """Draws one snapshot, a state for each camera; hand it to a console or to `rich.live.Live`."""

    def __init__(self, *states: OverlayState) -> None:
        self.states = states

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        color = not console.no_color and console.color_system is not None
        picture = color and console.color_system in ("truecolor", "256") and not options.ascii_only
        screen = Canvas(
            console, options.max_width, options.height or console.height, color, picture, options.ascii_only
        )
        for line in _lines(self.states, screen):
            yield from line
            yield Segment.line()


def render(state: OverlayState, width: int, height: int, *beside: OverlayState) -> str:
    """The overlay as plain text of `height` lines of `width` columns, without colour or picture.

    beside: the session's other cameras.
    """
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False)
    lines = _lines((state, *beside), Canvas(console, width, height, color=False, picture=False))
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def save_svg(state: OverlayState, path: Path, width: int = 100, height: int = 30, *beside: OverlayState) -> None:
    """Write the overlay as it looks in a terminal of `width` × `height` to an SVG file that refers to no other file."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )
    console.print(Overlay(state, *beside))
    svg = console.export_svg(title=TITLE, unique_id=TITLE)
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")  # fetched fonts


def _lines(states: tuple[OverlayState, ...], screen: Canvas) -> list[Line]:
    """`height` lines of `width` cells."""
    lines = single.lines(states[0], screen) if len(states) == 1 else several.lines(states, screen)
    if screen.plain:
        lines = [[Segment(_ascii(segment.text), segment.style) for segment in line] for line in lines]
    return lines[: screen.height]


def _ascii(text: str) -> str:
    return text.translate(PLAIN).encode("ascii", "replace").decode()
