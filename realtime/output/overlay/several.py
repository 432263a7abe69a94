"""The overlay of several cameras: a panel for each, as many beside each other as are still readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.segment import Segment
from rich.text import Text

from realtime.messages import CaptureState
from realtime.output.overlay import panels
from realtime.output.overlay.canvas import GUTTER, Canvas, segments, side_by_side
from realtime.output.overlay.emotion import ROWS, emotion
from realtime.output.overlay.picture import Line, fit, half_blocks
from realtime.output.overlay.state import OverlayState

LEAST_PANEL = 38  # columns that an event needs
PICTURE_FROM = 20  # rows of a panel from which it has the picture


def lines(states: Sequence[OverlayState], screen: Canvas) -> list[Line]:
    """At least `height` lines of `width` cells."""
    width, first = screen.width, states[0]
    session = replace(
        first,
        source=f"{len(states)} cameras",
        elapsed_s=max(state.elapsed_s for state in states),
        capture=CaptureState.STREAMING,
        framing=(),
    )
    top = panels.header(session, width) + panels.alerts(session, width, 1)
    bottom = panels.log(session, width, 1)
    per_row = _panels_in_a_row(len(states), width)
    rows_of_panels = -(-len(states) // per_row)
    free = max(screen.height - len(top) - len(bottom), 0)
    body: list[Line] = []
    for row in range(rows_of_panels):
        high = (row + 1) * free // rows_of_panels - row * free // rows_of_panels
        blocks = []
        for column, state in enumerate(states[row * per_row : (row + 1) * per_row]):
            wide = (width + GUTTER) * (column + 1) // per_row - (width + GUTTER) * column // per_row - GUTTER
            blocks.append((_panel(row * per_row + column, state, screen, wide, high), wide))
        body += [Segment.adjust_line_length(line, width) for line in side_by_side(blocks, high)]
    return segments(top, screen, width) + body + segments(bottom, screen, width)


def _panels_in_a_row(count: int, width: int) -> int:
    """As many as are readable, in rows that are as even as can be."""
    most = max((width + GUTTER) // (LEAST_PANEL + GUTTER), 1)
    rows = -(-count // most)
    return -(-count // rows)


def _panel(camera: int, state: OverlayState, screen: Canvas, width: int, rows: int) -> list[Line]:
    texts = [_title(camera, state, width)]
    texts += panels.alerts(replace(state, untrained=False), width, 2 if rows >= 12 else 1)
    foot = _foot(state, width, 2 if rows >= 9 else 1 if rows >= 4 else 0)
    free = rows - len(texts) - len(foot)
    picture: list[Line] = []
    if screen.picture and state.show_picture and state.picture is not None and rows >= PICTURE_FROM:
        height, wide = state.picture.shape[:2]
        columns, high = fit(height, wide, width, free * 2 // 5)
        picture = half_blocks(state.picture, columns, high)
        free -= high
    likely = min(max(free * 2 // 5, 2), 1 + max(len(state.top), 1)) if free >= 6 else 0
    top, lowered = state.top[: max(likely - 1, 0)], state.lowered if likely else ()
    rest = panels.now(top, width, likely, screen.color, lowered) if likely else []
    rest += [Text()] * (likely - len(rest))
    if state.emotion is not None:
        shown = emotion(state.emotion, width, ROWS if free - likely >= ROWS + 5 else 1 if free - likely >= 3 else 0)
        rest += shown
        likely += len(shown)
    rest += panels.events(state, width, max(free - likely, 0), panels.any_doubtful(top, lowered))
    rest += [Text()] * (free - len(rest))
    return segments(texts, screen, width) + picture + segments([*rest, *foot], screen, width)


def _title(camera: int, state: OverlayState, width: int) -> Text:
    """`0 interviewer.mp4 ── 0:12.3`, and what the capture process is about while no picture comes."""
    line = Text(style=panels.BAR_TEXT).append(f" {camera} {panels.clean(state.source)}", panels.BAR)
    if state.capture is not CaptureState.STREAMING:
        line.append(f"  {state.capture.value}", panels.BAR_TEXT + panels.WARNING)
    elapsed = f" {panels.clock(state.elapsed_s)} "
    return panels.fitted(line, width - len(elapsed)).append(elapsed, panels.BAR)


def _foot(state: OverlayState, width: int, rows: int) -> list[Text]:
    """The camera's latency, rates and losses in `rows` lines, two at most."""
    total = state.latency.get("total")
    pace = Text().append("total ", panels.LABEL).append("–" if total is None else f"{total[0]:.0f}/{total[1]:.0f} ms")
    pace.append("" if state.capture_fps is None else f"  {state.capture_fps:.0f} fps")
    losses = [("dropped", state.dropped), ("skipped", state.skipped), ("restarts", {"": state.restarts})]
    lost = Text()
    for label, causes in losses:
        if count := sum(causes.values()):
            lost.append(f"{label} ", panels.LABEL).append(f"{count}  ", panels.WARNING)
    lines = [pace, lost] if rows > 1 else [lost.append_text(pace)]
    return [panels.fitted(line, width) for line in lines[:rows]]
