"""A session as one HTML file: its data as JSON, and the style sheet and programs of this folder, all inside.

Everything that is shown is made in the browser, so that figures follow the review. Text of the session reaches the page
as JSON alone and is never read as markup.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import av.error
import msgspec
import numpy as np

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS
from lab.corrections import RecordedEvent
from lab.session_record import SessionRecord

SIGNATURE = b"<!-- manet-live report -->"  # near the beginning of each
SCRIPTS = ("model.js", "statistics.js", "timeline.js", "tables.js", "review.js", "main.js")
LENGTH_TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Video:
    """A video beside the session."""

    camera: int
    path: Path
    length_s: float | None  # None: it does not say


def open_video(path: Path, camera: int) -> Video:
    """Raises BadInput: no video."""
    try:
        with av.open(str(path.resolve()), metadata_errors="replace") as container:
            if not container.streams.video:
                raise BadInput("a video", f"{path}, which holds none", "give the recording that shows the person")
            length = None if container.duration is None else container.duration / av.time_base
            return Video(camera, path, length)
    except (av.error.FFmpegError, OSError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadInput("a video", f"{path} ({why.lower()})", "check the path of --video") from None


def length_warning(record: SessionRecord, video: Video) -> str | None:
    """One sentence where a video is of another length than the session."""
    expected_s = record.length_s + record.to_file_s(video.camera)
    if video.length_s is None or abs(video.length_s - expected_s) <= LENGTH_TOLERANCE_S:
        return None
    return (
        f"{video.path.name} is {video.length_s:.1f} s long, the session's recording {expected_s:.1f} s: "
        "it may be another recording, or the session was ended early."
    )


def page(record: SessionRecord, videos: Sequence[Video], out: Path) -> str:
    """The whole file, to be written to `out`: addresses of videos are relative to it."""
    folder = resources.files("lab.report")

    def text(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8")

    data = msgspec.json.encode(_data(record, videos, out)).decode()
    parts = {
        "style": text("style.css"),
        "data": data.replace("<", "\\u003c"),  # no text may end the script element
        "scripts": "\n</script>\n<script>\n".join(text(name) for name in SCRIPTS),
    }
    return re.sub(r"/\*\{\{(\w+)\}\}\*/", lambda found: parts[found[1]], text("page.html"))


def _data(record: SessionRecord, videos: Sequence[Video], out: Path) -> dict[str, Any]:
    known, warnings = record.description, [length_warning(record, video) for video in videos]
    card = _card(known.get("model"))
    return {
        "session": record.id,
        "started_at": known.get("started_at"),
        "metadata": record.metadata,
        "sources": record.sources or ("recording",),
        "consent": record.consent,
        "speed": known.get("speed"),
        "model": record.model,
        "engine": record.engine,
        "trained_on": record.trained_on,
        "missing": [*record.missing, *filter(None, warnings)],
        "length_s": record.length_s,
        "file_offset_s": [record.to_file_s(camera) for camera in record.cameras],
        "actions": [(action.name, action.body_part) for action in ACTIONS],
        "doubtful": [action.name for action in ACTIONS if action.doubtful],
        "parts": BODY_PARTS,
        "emotions": EMOTIONS,
        "events": [_event(record, event) for event in record.events],
        "corrections": record.corrections,
        "markers": record.markers,
        "visibility": record.visibility,
        "emotion": [_emotion(record, camera) for camera in record.cameras],
        "stats": [next((one for one in reversed(record.stats) if one.camera == at), None) for at in record.cameras],
        "summaries": [record.summaries.get(camera) for camera in record.cameras],
        "notes": [{"state": one.state, "detail": one.detail, "camera": one.camera} for one in record.notes],
        "config": known.get("config") or {},
        "card": card,
        "emotion_card": _card(known.get("emotion_model")) or None,
        "emotion_note": known.get("emotion_note"),
        "thresholds": _thresholds(card),
        "videos": [
            {"camera": one.camera, "name": one.path.name, "address": _address(one.path, out.parent)} for one in videos
        ],
    }


def _event(record: SessionRecord, event: RecordedEvent) -> dict[str, Any]:
    return {
        "key": event.key,
        "camera": event.camera,
        "action": event.action.name if event.action else None,
        "part": event.body_part,
        "onset": event.onset_s,
        "machineOnset": event.onset_s,
        "offset": record.offset_s(event),
        "running": event.offset_s is None,
        "confidence": event.confidence,
        "candidates": list(event.candidates.items()),
        "emitted": event.emitted_s,
        "delay": event.delay_ms,
        "posture": event.posture,
    }


def _emotion(record: SessionRecord, camera: int) -> dict[str, Any] | None:
    """Its estimates as columns; None where there are none."""
    lines = [line for line in record.emotions if line.camera == camera]
    if not lines:
        return None
    return {
        "time_s": [line.time_s for line in lines],
        "share": [line.probs and [line.probs[name] for name in EMOTIONS] for line in lines],
        "low": [line.interval and [line.interval[name][0] for name in EMOTIONS] for line in lines],
        "high": [line.interval and [line.interval[name][1] for name in EMOTIONS] for line in lines],
    }


def _card(card: object) -> dict[str, Any]:
    """What people read of a card: without digests and the list of labels."""
    if not isinstance(card, Mapping):
        return {}
    return {key: value for key, value in card.items() if key not in ("files", "seal", "labels", "format")}


def _thresholds(card: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Action → posterior that starts an event, and below which it ends; empty where the card has none."""
    calibration = card.get("calibration") or {}
    enter, leave = calibration.get("enter"), calibration.get("exit")
    if enter is None or leave is None:
        return {}
    levels = (np.broadcast_to(np.asarray(one, float), len(ACTIONS)).tolist() for one in (enter, leave))
    return {action.name: (first, last) for action, first, last in zip(ACTIONS, *levels, strict=True)}


def _address(path: Path, folder: Path) -> str:
    try:
        return quote(Path(os.path.relpath(path, folder)).as_posix())
    except ValueError:  # on another drive
        return path.resolve().as_uri()
