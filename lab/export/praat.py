"""Praat's TextGrid: interval tiers as in ELAN, markers as points."""

from __future__ import annotations

from pathlib import Path

from engines.taxonomy import BODY_PARTS
from lab.export.content import Content, lanes
from lab.extra import need

MARKERS = "markers"


def write(content: Content, stem: Path) -> list[Path]:
    """`STEM.TextGrid`."""
    praat = need("praatio.textgrid")
    grid, end_s = praat.Textgrid(), content.length_ms / 1000
    for part in BODY_PARTS:
        rows = lanes(event for event in content.events if event.event.body_part == part)
        for number, row in enumerate(rows or [[]], 1):
            spans = [(event.onset_ms / 1000, event.offset_ms / 1000, event.name) for event in row]
            name = part if number == 1 else f"{part} {number}"
            grid.addTier(praat.IntervalTier(name, spans, 0, end_s), reportingMode="error")
    points = {section.onset_ms: section.label for section in reversed(content.sections)}
    labels = [
        (at_ms / 1000, " / ".join(one.label for one in content.sections if one.onset_ms == at_ms))
        for at_ms in sorted(points)
    ]
    grid.addTier(praat.PointTier(MARKERS, labels, 0, end_s), reportingMode="error")
    path = stem.with_name(f"{stem.name}.TextGrid")
    grid.save(str(path), "long_textgrid", includeBlankSpaces=True, reportingMode="error")
    return [path]
