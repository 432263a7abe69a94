"""The parts of the overlay: each gives lines of text for the width and the number of rows it is granted.

Nothing here is parsed as markup, so a source named "[red]" is shown as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.style import Style
from rich.text import Text

from engines.taxonomy import BODY_PARTS, Action
from events.types import ActionEvent, EventState
from realtime.clock import NS_PER_S
from realtime.messages import CaptureState
from realtime.output.overlay.state import OverlayState, TopAction

ALERT = Style(color="bright_white", bgcolor="red", bold=True)
BAR = Style(color="bright_white", bgcolor="grey23", bold=True)
BAR_TEXT = Style(color="grey85", bgcolor="grey23")
LABEL = Style(dim=True)
HEADING = Style(color="cyan", bold=True)
WARNING = Style(color="yellow", bold=True)
TRACK = Style(color="grey30")
FOOTNOTE = "? the official label file may have exchanged these two names"
FOOTNOTE_NARROW = "? these two names may be exchanged"
LEAST_BAR = 12
MOST_LOWERED = 2  # actions named as habitual of a person
FACT_WIDTH, GAP = 9, 2
NARROW = 50  # columns below which an event goes without its body part

MARKS = {
    EventState.PROVISIONAL: ("○", Style(color="yellow")),
    EventState.CONFIRMED: ("●", Style(color="green", bold=True)),
    EventState.REFINED: ("●", Style(color="green", bold=True)),
    EventState.ENDED: ("■", Style(color="cyan")),
    EventState.RETRACTED: ("×", Style(dim=True)),
}
ROWS = {
    EventState.PROVISIONAL: Style(dim=True),
    EventState.CONFIRMED: Style(bold=True),
    EventState.REFINED: Style(bold=True),
    EventState.ENDED: Style(),
    EventState.RETRACTED: Style(dim=True, strike=True),
}
PART_WORDS = dict(
    zip(
        BODY_PARTS,
        ("body", "head", "arm or hand", "leg or foot", "hand at body", "hand at head", "hand at leg"),
        strict=True,
    )
)
PART_WIDTH = len("upper limb")
STATE_WIDTH = len("provisional")


def clean(text: str) -> str:
    """Text from outside, with everything that could move the cursor blanked."""
    return "".join(character if character.isprintable() else " " for character in text)


def clock(seconds: float) -> str:
    """Session clock: m:ss.s, from an hour on h:mm:ss.s."""
    sign, tenths = "-" if seconds < 0 else "", round(abs(seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{lead}:{tenths // 10:02d}.{tenths % 10}"


def name(action: Action, width: int | None = None) -> str:
    """The action's name in up to `width` characters, "?" behind a doubtful one.

    Many names differ in their last word only, so the middle goes first: "scratching…chest".
    """
    mark = "?" * action.doubtful
    if width is None or len(action.name) + len(mark) <= width:
        return action.name + mark
    space = max(width - len(mark), 1)
    words = action.name.split()
    ends = f"{words[0]}…{words[-1]}"
    return (ends if len(ends) <= space else action.name[: space - 1] + "…") + mark


def title(event: ActionEvent, width: int) -> str:
    """What an event is in up to `width` characters: its action, or its body part and the likeliest action."""
    if event.action:
        return name(event.action, width)
    words = PART_WORDS[event.body_part]
    if not event.candidates:
        return words
    likeliest = name(event.candidates[0].action, max(width - len(words) - len(" · ?"), 1)).rstrip("?")
    return f"{words} · {likeliest}?"


def fitted(text: Text, width: int) -> Text:
    """Exactly `width` cells: cut with an ellipsis or padded."""
    text.truncate(max(width, 0), overflow="ellipsis", pad=True)
    return text


def heading(title: str, width: int, hint: Text | None = None) -> Text:
    """`TITLE ───── hint`."""
    line = Text().append(title + " ", HEADING)
    space = width - line.cell_len - (hint.cell_len + 1 if hint else 0)
    if space < -1:
        hint, space = None, width - line.cell_len
    line.append("─" * max(space, 0), TRACK)
    if hint:
        line.append(" " * (space >= 0)).append_text(hint)
    return fitted(line, width)


def header(state: OverlayState, width: int) -> list[Text]:
    """Two lines: what runs and for how long; the model behind it."""
    badges = []
    if state.simulated:
        badges.append((" SIMULATED ", "bold bright_white on magenta"))
    if state.replay:
        speed = "MAX" if state.speed is None else f"{state.speed:g}×"
        badges.append((f" REPLAY {speed} ", "bold black on yellow"))
    elif not state.simulated:
        badges.append((" LIVE ", "bold black on green"))
    elapsed = f" {clock(state.elapsed_s)} "
    bar = Text(style=BAR_TEXT).append(" manet-live  ", BAR)
    for text, style in badges:
        bar.append(text, style).append(" ")
    bar.append(" " + clean(state.source))
    bar = fitted(bar, width - len(elapsed)).append(elapsed, BAR)

    model = Text(" ").append("model ", LABEL).append(clean(state.model), "bold")
    if state.capture not in (CaptureState.STREAMING, CaptureState.FAILED):  # a failure has a red line of its own
        detail = f": {clean(state.capture_detail)}" if state.capture_detail else ""
        model.append(f"  capture {state.capture.value}{detail}", WARNING)
    if state.baseline:
        model.append(f"  {clean(state.baseline)}", WARNING)
    model.append("  engine ", LABEL).append(clean(state.engine))
    if state.trained_on and not state.untrained:
        model.append("  trained on ", LABEL).append(clean(state.trained_on))
    return [bar, fitted(model, width)]


def alerts(state: OverlayState, width: int, rows: int) -> list[Text]:
    """Red lines, the gravest first; where there are fewer rows than alerts, the last row holds the rest."""
    texts = ["UNTRAINED WEIGHTS: nothing shown here is a result"] if state.untrained else []
    if state.capture is CaptureState.FAILED:
        texts.append(f"CAPTURE FAILED: {clean(state.capture_detail)}")
    texts += [f"FRAMING: {clean(text)}" for text in state.framing]
    if len(texts) > rows:
        texts[rows - 1 :] = [" · ".join(texts[rows - 1 :])]
    return [fitted(Text(f" ! {text}", ALERT), width) for text in texts]


def now(top: Iterable[TopAction], width: int, rows: int, color: bool, lowered: Sequence[Action] = ()) -> list[Text]:
    """The likeliest actions with a bar each; a mark where an event runs; and what is lowered because it is habitual."""
    chosen = list(top)[: max(rows - 1, 0)]
    lines = [heading("NOW", width, _lowered(lowered, width - 5) if lowered else None)][:rows]
    label = min(max((len(name(item.action)) for item in chosen), default=0), max(width - 8 - LEAST_BAR, 8))
    for item in chosen:
        mark, mark_style = MARKS[item.running] if item.running else (" ", Style())
        line = Text().append(mark + " ", mark_style)
        line.append_text(_column(name(item.action, label), label, ROWS[item.running] if item.running else Style()))
        line.append(" ").append_text(bar(item.posterior, width - label - 8, item.running, color))
        line.append(f" {item.posterior:.2f}", "bold" if item.running is EventState.CONFIRMED else "")
        lines.append(fitted(line, width))
    return lines


def any_doubtful(top: Iterable[TopAction], lowered: Sequence[Action] = ()) -> bool:
    """Whether `now` names an action whose name is doubtful."""
    return any(action.doubtful for action in [*(item.action for item in top), *lowered[:MOST_LOWERED]])


def _lowered(lowered: Sequence[Action], width: int) -> Text:
    """What is lowered as habitual of the person: all names, or the first alone, shortened if need be."""
    label = "lowered as habitual: "
    space = max(width - len(label), 1)
    names = ", ".join(name(action) for action in lowered[:MOST_LOWERED])
    return Text(label + (names if len(names) <= space else name(lowered[0], space)), LABEL)


def bar(share: float, width: int, running: EventState | None, color: bool) -> Text:
    """A bar of `width` cells, filled to the nearest half cell; the empty part is a faint track where colour is."""
    halves = round(min(max(share, 0.0), 1.0) * 2 * max(width, 0))
    style = "green" if running is EventState.CONFIRMED else "yellow" if running else "cyan"
    text = Text().append("━" * (halves // 2) + "╸" * (halves % 2), style)
    track = "━" * (width - text.cell_len) if color else ""
    if halves and halves % 2 == 0 and track:
        track = "╺" + track[1:]  # a gap of half a cell parts the two, wherever the bar ends
    text.append(track, TRACK)
    return fitted(text, width)


def events(state: OverlayState, width: int, rows: int, doubtful: bool = False) -> list[Text]:
    """The newest events, one a line, the latest onset first.

    A footnote where a doubtful name is on the screen: here, or above as the caller says.
    """
    wide = width >= 72
    legend = Text()
    if not wide:
        for kind, (mark, style) in MARKS.items():
            if kind is EventState.REFINED:  # looks like a confirmed one
                continue
            legend.append(" " * bool(legend) + mark, style).append(f" {kind.value}", ROWS[kind])
    lines = [heading("EVENTS", width, legend)]
    newest: dict[tuple[int, int], ActionEvent] = {}
    for event in state.events:
        newest.setdefault((event.camera_id, event.id), event)
    ordered = sorted(newest.values(), key=lambda event: (-event.onset_ns, -event.id))
    shown = ordered[: max(rows - 1, 0)]
    doubtful = doubtful or any(event.action.doubtful for event in shown if event.action)
    if doubtful:
        shown = shown[: max(rows - 2, 0)]
    times = [
        (
            clock((event.onset_ns - state.session_start_ns) / NS_PER_S),
            "" if event.offset_ns is None else clock((event.offset_ns - state.session_start_ns) / NS_PER_S),
        )
        for event in shown
    ]
    digits = max((len(text) for pair in times for text in pair), default=0)
    lines += [_event(event, pair, digits, width, wide) for event, pair in zip(shown, times, strict=True)]
    if not shown and rows > 1 + doubtful:
        lines.append(fitted(Text("none yet", LABEL), width))
    if doubtful:
        note = FOOTNOTE if width >= len(FOOTNOTE) else FOOTNOTE_NARROW
        lines += [Text(" " * width)] * (rows - 1 - len(lines)) + [fitted(Text(note, LABEL), width)]
    return lines[:rows]


def _event(event: ActionEvent, times: tuple[str, str], digits: int, width: int, wide: bool) -> Text:
    mark, mark_style = MARKS[event.state]
    style = ROWS[event.state]
    part = width >= NARROW
    space = width - 2 - (2 * digits + 1) - 2 - 1 - (PART_WIDTH + 1) * part - 4 - (STATE_WIDTH + 1) * wide
    line = Text().append(mark + " ", mark_style)
    line.append(" " * (digits - len(times[0]))).append(f"{times[0]}–{times[1]}", style)
    line.append(" " * (digits - len(times[1]) + 2))
    line.append_text(_column(title(event, space), space, style)).append(" ")
    if part:
        line.append_text(_column(event.body_part, PART_WIDTH, style + LABEL)).append(" ")
    if wide:
        line.append_text(_column("posture" if event.posture else event.state.value, STATE_WIDTH, style)).append(" ")
    line.append(f"{event.confidence:.2f}", style)
    return fitted(line, width)


def _column(text: str, width: int, style: Style) -> Text:
    """Styled text, then plain padding: a strike must not run on over the blanks."""
    cut = Text().append(text, style)
    cut.truncate(max(width, 0), overflow="ellipsis")
    return cut.append(" " * (width - cut.cell_len))


def stages(latency: Mapping[str, tuple[float, float] | None]) -> list[tuple[str, tuple[float, float] | None]]:
    """The stages, the total first: it is what must stay on the screen."""
    return sorted(latency.items(), key=lambda item: item[0] != "total")


def counts(causes: Mapping[str, int]) -> Text:
    """`12: wire 9, grabber 3`, the commonest cause first."""
    total = sum(causes.values())
    if not total:
        return Text("0")
    listed = sorted(((count, cause) for cause, count in causes.items() if count), key=lambda item: (-item[0], item[1]))
    text = Text().append(f"{total}", WARNING)
    return text.append(": " + ", ".join(f"{clean(cause)} {count}" for count, cause in listed))


def _rate(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f} {unit}"


def _camera(state: OverlayState) -> Text:
    text = Text(_rate(state.capture_fps, "fps"))
    return text.append("   ").append(f"restarts {state.restarts}", WARNING) if state.restarts else text


def pipeline_table(state: OverlayState, width: int, rows: int) -> list[Text]:
    """One fact a line, for a column of its own."""
    lines = [heading("PIPELINE", width, Text("p50    p99 ms", LABEL))]
    for stage, values in stages(state.latency):
        p50, p99 = ("–", "–") if values is None else (_ms(values[0]), _ms(values[1]))
        style = Style(bold=stage == "total")
        line = _column(clean(stage), width - 17, style).append(f"{p50:>7}{p99:>7}   ", style)
        lines.append(fitted(line, width))
    lines.append(_fact("camera", _camera(state), width))
    lines.append(_fact("windows", Text(_rate(state.windows_per_s, "/s")), width))
    lines.append(_fact("dropped", counts(state.dropped), width))
    lines.append(_fact("skipped", counts(state.skipped), width))
    return lines[:rows]


def pipeline_lines(state: OverlayState, width: int, rows: int) -> list[Text]:
    """The same in few lines across the screen; the drops and skips share one."""
    latency = Text()
    for stage, values in stages(state.latency):
        shown = "–" if values is None else f"{_ms(values[0])}/{_ms(values[1])}"
        latency.append("   " * bool(latency)).append(f"{clean(stage)} {shown}", Style(bold=stage == "total"))
    rate = Text(f"windows {_rate(state.windows_per_s, '/s')}   camera ").append_text(_camera(state))
    lines = [
        _fact("latency", latency or Text("–"), width),
        _fact("rate", rate, width),
        _pair(("dropped", counts(state.dropped)), ("skipped", counts(state.skipped)), width),
    ]
    if rows < len(lines):
        del lines[1]
    if rows > len(lines):
        lines.insert(0, heading("PIPELINE", width, Text("latency as p50/p99 in ms", LABEL)))
    return lines[: max(rows, 0)]


def _fact(label: str, text: Text, width: int) -> Text:
    return fitted(Text().append(f"{label:<{FACT_WIDTH}}", LABEL).append_text(text), width)


def _pair(left: tuple[str, Text], right: tuple[str, Text], width: int) -> Text:
    """Two facts side by side, each in its half unless it needs more and the other less."""
    needs = [FACT_WIDTH + text.cell_len for _, text in (left, right)]
    space = width - GAP
    split = width // 2 - GAP
    if needs[0] > split:
        split = max(split, min(needs[0], space - needs[1]))
    elif needs[1] > space - split:
        split = max(needs[0], space - needs[1])
    return _fact(*left, split).append(" " * GAP).append_text(_fact(*right, space - split))


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def log(state: OverlayState, width: int, rows: int) -> list[Text]:
    """The last messages, newest last; blank lines where there are fewer, so that nothing jumps when one comes."""
    last = [f"› {clean(message)}" for message in state.messages[-rows:]] if rows > 0 else []
    return [fitted(Text(text, LABEL), width) for text in last + [""] * (rows - len(last))]
