"""The five emotions: a bar with its credible interval each, and how it went over the last minute."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from engines.taxonomy import EMOTIONS
from realtime.output.overlay.panels import HEADING, LABEL, TRACK, fitted, heading
from realtime.output.overlay.state import EmotionShown

ROWS = 1 + len(EMOTIONS)
MINUTE_S = 60.0
LEVELS = "▁▂▃▄▅▆▇█"
NAME_WIDTH = max(len(name) for name in EMOTIONS)
NUMBERS_WIDTH = len(" 0.61 0.48–0.73 ")
LEAST_BAR, LEAST_SPARK = 8, 6
FILLED, POSSIBLE = Style(color="magenta"), Style(color="grey62")


def emotion(shown: EmotionShown, width: int, rows: int) -> list[Text]:
    """A heading and five rows, or one row where there is no room; faint where it abstains or the face is neutral."""
    if rows < 1:
        return []
    if rows < ROWS:
        return [_line(shown, width)]
    face = f"face {shown.face_visible:.0%}" if shown.shares else "no face yet"
    calm = "" if shown.neutral is None else f"neutral {shown.neutral:.2f}, "
    hint = "not enough to go on" if shown.abstains else f"{calm}{face}, {shown.evidence_s:.0f} s to go on"
    silent = shown.abstains or shown.neutral is not None
    truth = f"truth: {shown.true}, " if shown.true else ""
    lines = [heading("EXPRESSION", width, Text(truth + hint, LABEL))]
    spark = max(min(width - NAME_WIDTH - NUMBERS_WIDTH - LEAST_BAR - 1, 20), 0)
    spark = spark if spark >= LEAST_SPARK else 0
    bar_width = max(width - NAME_WIDTH - 1 - NUMBERS_WIDTH - spark, 1)
    for index, name in enumerate(EMOTIONS):
        line = Text().append(f"{name:<{NAME_WIDTH}} ", LABEL if silent else "")
        if silent:
            line.append("─" * bar_width, TRACK).append(" " * NUMBERS_WIDTH)
        else:
            share, (low, high) = shown.shares[index], shown.intervals[index]
            line.append_text(_bar(share, low, high, bar_width)).append(f" {share:.2f} ", "bold")
            line.append(f"{low:.2f}–{high:.2f} ", LABEL)
        if spark:
            line.append(_sparkline(shown, index, spark), LABEL)
        lines.append(fitted(line, width))
    return lines


def _line(shown: EmotionShown, width: int) -> Text:
    """The likeliest alone."""
    line = Text().append("EXPRESSION ", HEADING)
    if shown.abstains:
        return fitted(line.append("not enough to go on", LABEL), width)
    if shown.neutral is not None:
        return fitted(line.append(f"neutral {shown.neutral:.2f}"), width)
    best = max(range(len(EMOTIONS)), key=lambda index: shown.shares[index])
    low, high = shown.intervals[best]
    line.append(f"{EMOTIONS[best]} {shown.shares[best]:.2f} ").append(f"{low:.2f}–{high:.2f}", LABEL)
    return fitted(line, width)


def _bar(share: float, low: float, high: float, width: int) -> Text:
    """Filled up to the share; the interval is drawn where it goes beyond, and on the filled part as lighter cells."""
    at = [min(max(round(value * width), 0), width) for value in (low, share, high)]
    text = Text().append("━" * at[0], FILLED + Style(bold=True)).append("━" * (at[1] - at[0]), FILLED)
    text.append("┄" * (at[2] - at[1]), POSSIBLE)
    return fitted(text, width)


def _sparkline(shown: EmotionShown, index: int, width: int) -> str:
    """The last minute, the newest on the right; blank where it abstained."""
    cells: list[list[float]] = [[] for _ in range(width)]
    for ago_s, shares in shown.history:
        place = width - 1 - int(ago_s / MINUTE_S * width)
        if shares is not None and 0 <= place < width:
            cells[place].append(shares[index])
    top = len(LEVELS) - 1
    return "".join(LEVELS[round(sum(values) / len(values) * top)] if values else " " for values in cells)
