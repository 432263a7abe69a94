"""What really happened in a simulated interview, beside what was detected."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from events.types import EventState
from realtime.clock import NS_PER_S
from realtime.output.overlay.panels import LABEL, PART_WIDTH, clock, fitted, heading, name
from realtime.output.overlay.state import OverlayState, TrueEvent

FOUND, WAITING, MISSED = ("✓", Style(color="green", bold=True)), ("·", LABEL), ("–", Style(color="yellow"))


def truth(state: OverlayState, width: int, rows: int) -> list[Text]:
    """The newest true events up to now, one a line; a tick where an event of that action overlaps it."""
    begun = [event for event in state.truth if event.onset_s <= state.elapsed_s]
    shown = sorted(begun, key=lambda event: -event.onset_s)[: max(rows - 1, 0)]
    lines = [heading("TRUTH", width, Text("✓ detected", LABEL))]
    for event in shown:
        over = event.offset_s <= state.elapsed_s
        mark, style = FOUND if _detected(state, event) else MISSED if over else WAITING
        times = f"{clock(event.onset_s)}–{clock(event.offset_s) if over else ''}"
        line = Text().append(mark + " ", style).append(f"{times:<15} ").append(name(event.action), Style(bold=not over))
        part = event.action.body_part
        space = width - line.cell_len - PART_WIDTH
        lines.append(fitted(line.append(" " * max(space, 1)).append(part, LABEL), width))
    return lines[:rows]


def _detected(state: OverlayState, true: TrueEvent) -> bool:
    """Whether a confirmed or ended event of the same action overlaps it."""
    for event in state.events:
        if event.action == true.action and event.state not in (EventState.PROVISIONAL, EventState.RETRACTED):
            onset_s = (event.onset_ns - state.session_start_ns) / NS_PER_S
            offset_ns = event.offset_ns
            offset_s = state.elapsed_s if offset_ns is None else (offset_ns - state.session_start_ns) / NS_PER_S
            if onset_s < true.offset_s and true.onset_s < offset_s:
                return True
    return False
