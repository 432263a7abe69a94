"""Untrimmed videos whose actions have a beginning and an end; several may run at once, or none.

A CSV file with one interval a line, the action by its code, name or index; a video without any has its name alone:

    video,onset_s,offset_s,action
    s01.mp4,1.20,2.75,B1
    s02.mp4,,,

Or JSON in ActivityNet's form, as lists for detection have it: `{"database": {NAME: {"annotations": [{"segment": [s, s],
"label": action}]}}}`, where the video is the file NAME or NAME.mp4.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.scores import Event
from training.data.clip_lists import check_videos

COLUMNS = ("video", "onset_s", "offset_s", "action")
FORMAT = f"a list with the header {','.join(COLUMNS)}, or ActivityNet's JSON"
_INDEX_OF = {key.lower(): one.index for one in ACTIONS for key in (str(one.index), one.code, one.name)}


@dataclass(frozen=True, slots=True)
class LabelledRecording:
    """One video of a list."""

    video: str  # path inside the data folder
    events: tuple[Event, ...]  # by onset


def read_interval_list(path: Path, folder: Path) -> tuple[LabelledRecording, ...]:
    """Read a list and check that all of its videos are there.

    Raises:
        BadInput: it cannot be read or is empty; an interval has no length or an unknown action; a video is not in
            `folder`. The line names the first fault.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = _from_json(json.loads(text), folder) if path.suffix == ".json" else _from_csv(text, path)
    except OSError as error:
        raise BadInput(FORMAT, f"{path} ({error.strerror})", "check the path") from None
    except (
        UnicodeDecodeError,
        csv.Error,
        json.JSONDecodeError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise BadInput(FORMAT, f"{path} ({type(error).__name__}: {error})", "correct the list") from None
    if not found:
        raise BadInput(FORMAT, f"{path}, which has no videos", "check the path")
    check_videos(list(found), path, folder)
    return tuple(
        LabelledRecording(video, tuple(sorted(events, key=lambda event: event[1:]))) for video, events in found.items()
    )


def _from_csv(text: str, path: Path) -> dict[str, list[Event]]:
    rows = list(csv.reader(text.splitlines()))
    header = [name.strip() for name in rows[0]] if rows else []
    if header != list(COLUMNS):
        raise BadInput(FORMAT, f"{','.join(header)[:60]!r} in {path}", "correct line 1")
    found: dict[str, list[Event]] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        if len(row) != len(COLUMNS):
            raise ValueError(f"{len(row)} values at line {number}")
        video, onset, offset, action = (one.strip() for one in row)
        events = found.setdefault(video, [])
        if onset or offset or action:
            events.append(_event(action, onset, offset, f"line {number}"))
    return found


def _from_json(content: Any, folder: Path) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for name, one in content["database"].items():
        video = name if (folder / name).is_file() else f"{name}.mp4"
        found[video] = []
        for each in one["annotations"]:
            onset, offset = each["segment"]
            found[video].append(_event(each["label"], onset, offset, name))
    return found


def _event(action: object, onset: object, offset: object, where: str) -> Event:
    index = _INDEX_OF.get(str(action).strip().lower())
    if index is None:
        raise ValueError(f"no action {str(action)[:40]!r} at {where}")
    begin, end = float(str(onset)), float(str(offset))
    if not (0.0 <= begin < end < math.inf):
        raise ValueError(f"no interval from {begin:g} to {end:g} s at {where}")
    return index, begin, end
