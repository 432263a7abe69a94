"""WebVTT: subtitles beside the video in any player."""

from __future__ import annotations

import html
from pathlib import Path

from lab.export.content import Content
from lab.extra import need

MARKER_S = 2.0  # that a marker is shown


def write(content: Content, stem: Path) -> list[Path]:
    """`STEM.vtt`: a cue for each event, `nodding · 81 %`, named by the event; markers in brackets."""
    webvtt = need("webvtt")
    cues = []
    for event in content.events:
        confidence = event.event.confidence
        text = event.name if confidence is None else f"{event.name} · {confidence:.0%}".replace("%", " %")
        cues.append((event.onset_ms, event.offset_ms, text, event.event.key))
    for number, section in enumerate(content.sections, 1):
        until_ms = min(section.offset_ms, section.onset_ms + round(MARKER_S * 1000))
        text = html.escape(f"[{section.label}]", quote=False).replace("--&gt;", "→")
        cues.append((section.onset_ms, until_ms, text, f"marker {number}"))
    captions = webvtt.WebVTT()
    for onset_ms, offset_ms, text, key in sorted(cues):
        captions.captions.append(webvtt.Caption(clock(onset_ms), clock(offset_ms), text, identifier=key))
    captions.header_comments.append(
        "\n".join(f"{key}: {value}".replace("-->", "→") for key, value in content.about.items())
    )
    path = stem.with_name(f"{stem.name}.vtt")
    captions.save(str(path))
    return [path]


def clock(ms: int) -> str:
    """`01:02:03.456`."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"
