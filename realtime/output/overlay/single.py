"""The overlay of one camera: who gets how much of the screen. Red lines come right below the header, at any size."""

from __future__ import annotations

from rich.text import Text

from realtime.output.overlay import panels
from realtime.output.overlay.canvas import GUTTER, Canvas, segments, side_by_side
from realtime.output.overlay.emotion import ROWS, emotion
from realtime.output.overlay.picture import Line, fit, half_blocks
from realtime.output.overlay.state import OverlayState
from realtime.output.overlay.truth import truth

LEAST_LEFT, LEAST_TABLE = 20, 36  # columns: what the heading above the picture needs, what the pipeline table needs
ROOMY = (100, 30)  # columns, rows from which the pipeline has a table of its own below the picture
PICTURE_FROM = (70, 18)  # columns, rows below which the picture gives its room to the rest


def lines(state: OverlayState, screen: Canvas) -> list[Line]:
    """At least `height` lines of `width` cells."""
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
    return segments(top, screen, width) + _body(state, screen, rows, roomy) + segments(bottom, screen, width)


def _body(state: OverlayState, screen: Canvas, rows: int, roomy: bool) -> list[Line]:
    """Left the picture, with the pipeline below it where there is room; right the actions and the events."""
    left, left_width = _left(state, screen, rows, roomy)
    right_width = screen.width - left_width - GUTTER * bool(left_width)
    feels = state.emotion is not None
    spaced = rows >= (20 if feels else 12)
    likely = min(max(rows // 4 if feels else rows * 2 // 5, 2), 1 + max(len(state.top), 1), 11, rows)
    top = state.top[: max(likely - 1, 0)]
    texts = panels.now(top, right_width, likely, screen.color, state.lowered)
    texts += [Text()] * (likely - len(texts) + spaced)
    if state.emotion is not None:
        texts += emotion(state.emotion, right_width, ROWS if rows - len(texts) >= ROWS + 4 else 1)
        texts += [Text()] * spaced
    free = rows - len(texts)
    true = truth(state, right_width, free // 2) if state.truth and free >= 6 else []
    texts += panels.events(state, right_width, free - len(true) - bool(true), panels.any_doubtful(top, state.lowered))
    if true:
        texts += [Text()] * (rows - len(texts) - len(true)) + true
    right = segments(texts, screen, right_width)
    return side_by_side([(left, left_width), (right, right_width)] if left_width else [(right, right_width)], rows)


def _left(state: OverlayState, screen: Canvas, rows: int, roomy: bool) -> tuple[list[Line], int]:
    """The lines of the left column and its width; 0 where there is none."""
    shown = (
        screen.picture and state.show_picture and screen.width >= PICTURE_FROM[0] and screen.height >= PICTURE_FROM[1]
    )
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
        lines = segments([panels.heading("WHAT THE MODEL SEES", width)], screen, width)
        if state.picture is None:
            lines += segments([Text("no picture yet", panels.LABEL)], screen, width)
        else:
            lines += half_blocks(state.picture, columns, high)
        lines += [[] for _ in range(rows - len(lines) - len(table))]
    return lines + segments(table, screen, width), width
