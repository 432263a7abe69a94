"""BORIS's .boris: a whole project, since BORIS imports no events. One observation, with what was watched.

Each action, and each body part whose action is not known, is a state event; markers are point events whose comment says
which. The same behaviour twice at once, which BORIS would pair wrongly, goes to a second subject.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.taxonomy import ACTIONS, BODY_PARTS
from lab.export.content import Content, ExportedEvent, definition, lanes, media_length_s, started_at
from lab.export.elan import note

FORMAT = "7.0"
PLAYERS = tuple(str(number) for number in range(1, 9))
MARKER = "marker"


def write(content: Content, stem: Path) -> list[Path]:
    """`STEM.boris`."""
    path = stem.with_name(f"{stem.name}.boris")
    path.write_text(json.dumps(project(content), ensure_ascii=False, indent=1), encoding="utf-8")
    return [path]


def project(content: Content) -> dict[str, Any]:
    """The content of the file."""
    begun = started_at(content.record)
    date = begun.strftime("%Y-%m-%dT%H:%M:%S") if begun else "1970-01-01T00:00:00"
    rows = sorted(_rows(content), key=lambda row: row[0])
    subjects = [content.participant, *sorted({row[1][1] for row in rows} - {content.participant, ""})]
    return {
        "time_format": "s",
        "project_date": date,
        "project_name": content.record.path.name,
        "project_description": "",
        "project_format_version": FORMAT,
        "subjects_conf": {str(at): {"key": "", "name": name, "description": ""} for at, name in enumerate(subjects)},
        "behaviors_conf": {str(at): behaviour for at, behaviour in enumerate(_ethogram())},
        "behavioral_categories": list(BODY_PARTS),
        "independent_variables": {
            str(at): {"label": key, "description": "", "type": "text", "default value": "", "possible values": ""}
            for at, key in enumerate(content.about)
        },
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
        "observations": {content.record.path.name: _observation(content, date) | {"events": [row for _, row in rows]}},
    }


def _ethogram() -> Iterator[dict[str, Any]]:
    empty = {"key": "", "color": "", "modifiers": {}, "excluded": "", "coding map": ""}
    for part in BODY_PARTS:
        known = {"type": "State event", "description": "the body part alone is known"}
        yield known | {"code": part, "category": part} | empty
    for action in ACTIONS:
        described = {"type": "State event", "description": definition(action)}
        yield described | {"code": action.name, "category": action.body_part} | empty
    described = {"type": "Point event", "description": "a moment marked while the session ran"}
    yield described | {"code": MARKER, "category": ""} | empty


def _rows(content: Content) -> Iterator[tuple[tuple[int, int], list[Any]]]:
    """(time and order, [s, subject, code, modifier, comment]); where two touch, the end comes before the beginning."""
    by_name: dict[str, list[ExportedEvent]] = {}
    for event in content.events:
        by_name.setdefault(event.name, []).append(event)
    for name, events in by_name.items():
        for number, row in enumerate(lanes(events), 1):
            subject = content.participant if number == 1 else f"{content.participant} ({number})"
            for event in row:
                yield (event.onset_ms, 1), [event.onset_ms / 1000, subject, name, "", note(event)]
                yield (event.offset_ms, 0), [event.offset_ms / 1000, subject, name, "", ""]
    for section in content.sections:
        yield (section.onset_ms, 2), [section.onset_ms / 1000, "", MARKER, "", section.label]


def _observation(content: Content, date: str) -> dict[str, Any]:
    media = content.media
    name = "" if media is None else str(media.resolve() if media.exists() else media)
    length_s = media_length_s(media) if media is not None and media.is_file() else content.length_ms / 1000
    recording = content.record.recordings.get(content.camera)
    return {
        "file": {player: [name] if name and player == "1" else [] for player in PLAYERS},
        "type": "MEDIA" if name else "LIVE",
        "date": date,
        "description": "",
        "time offset": 0.0,
        "observation time interval": [0, 0],
        "independent_variables": dict(content.about),
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "scan_sampling_time": 0,
        "start_from_current_time": False,
        "start_from_current_epoch_time": False,
        "plot_data": {},
        "media_info": {
            "length": {name: length_s},
            "fps": {name: (recording.fps if recording else None) or 25.0},
            "hasVideo": {name: True},
            "hasAudio": {name: False},
            "offset": {"1": 0.0},
        }
        if name
        else {},
    }
