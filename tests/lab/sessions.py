"""Records of sessions, made line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engines.taxonomy import ACTIONS, BODY_PARTS
from events.types import EventState
from realtime.output.lines import (
    ActionLine,
    DelayParts,
    Line,
    RecordingLine,
    SessionLine,
    StatsLine,
    SummaryLine,
    encode,
)

INDEX = {action.name: action for action in ACTIONS}


def opening(consent: str | None = "written, 2026-11-02") -> SessionLine:
    return SessionLine(
        "started", "landmarks", "openvino", "interview.mp4", trained_on="simulation", consent=consent, camera=None
    )


def ended() -> SessionLine:
    return SessionLine("ended", "landmarks", "openvino", "interview.mp4")


def recording(file_offset_s: float = 0.0, source: str = "interview.mp4") -> RecordingLine:
    return RecordingLine(0, source, file_offset_s, 640, 480, 30.0, 1, 0)


def summary(recorded_s: float) -> SummaryLine:
    return SummaryLine(0, recorded_s, 40, 40, 0, {}, 0.0, recorded_s, 0.0, 0.0, {"legs": 0.0}, {})


def stats(time_s: float) -> StatsLine:
    return StatsLine(0, time_s, 30.0, 300, 40, 40, {}, {}, {"total": {"p50": 12.0, "p99": 30.0}}, "streaming", 0)


def action(
    number: int,
    name: str,
    onset_s: float,
    offset_s: float,
    confidence: float = 0.9,
    candidates: dict[str, float] | None = None,
) -> tuple[ActionLine, ActionLine, ActionLine]:
    """Its provisional, confirmed and last line; `name` is an action's or a body part's."""
    found = None if name in BODY_PARTS else INDEX[name]
    line = ActionLine(
        id=number,
        camera=0,
        state=EventState.PROVISIONAL.value,
        action=found.name if found else None,
        index=found.index if found else None,
        body_part=found.body_part if found else name,
        onset_s=onset_s,
        offset_s=None,
        confidence=confidence,
        emitted_s=onset_s + 0.75,
        delay_ms=DelayParts(500.0, None, None, 250.0),
        candidates=candidates or msgspec.UNSET,
    )
    confirmed = msgspec.structs.replace(line, state=EventState.CONFIRMED.value)
    last = msgspec.structs.replace(line, state=EventState.ENDED.value, offset_s=offset_s, emitted_s=offset_s + 0.5)
    return line, confirmed, last


def write_session(folder: Path, lines: Iterable[Line | msgspec.Struct], **description: object) -> Path:
    """A record as `--record` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {"started_at": "2026-11-02T09:00:00+00:00", "sources": ["interview.mp4"], "consent": None}
    (folder / "session.json").write_text(json.dumps(known | description), encoding="utf-8")
    (folder / "events.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in lines))
    return folder
