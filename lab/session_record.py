"""A recorded session, read back: the folder of `--record`, or a file of the event stream's JSON lines.

`read_session` gives one immutable `SessionRecord`. Times are seconds of the session's clock; add `to_file_s` to get
the recording's own. A session that was cut off (no closing line, half a last line) is read as far as it goes;
`missing` says in words what is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from engines.common.errors import BadInput
from engines.taxonomy import BODY_PARTS
from events.types import EventState
from lab.corrections import BY_NAME, CORRECTIONS_FILE, Correction, RecordedEvent, apply, read_lines
from realtime.output.lines import (
    ActionLine,
    EmotionLine,
    MarkerLine,
    RecordingLine,
    SessionLine,
    StatsLine,
    SummaryLine,
    VisibilityLine,
)
from realtime.output.outputs import EVENTS_FILE, SESSION_FILE

CLOSING_STATES = ("ended", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class Medium:
    """A file that was recorded with a session."""

    camera: int
    kind: str  # video or landmarks
    path: Path


@dataclass(frozen=True)
class SessionRecord:
    """One session. Nothing in it changes; `events` are the machine's, `reviewed` what they are after corrections."""

    id: str
    path: Path  # the folder, or the file of lines
    description: Mapping[str, Any]  # of session.json: started_at, sources, config, model (card), metadata ...
    model: str
    engine: str
    trained_on: str
    consent: str | None
    sources: tuple[str, ...]  # by camera
    events: tuple[RecordedEvent, ...]  # by onset
    emotions: tuple[EmotionLine, ...]
    markers: tuple[MarkerLine, ...]
    visibility: tuple[VisibilityLine, ...]
    stats: tuple[StatsLine, ...]
    recordings: Mapping[int, RecordingLine]  # by camera, where the source is a file
    summaries: Mapping[int, SummaryLine]  # by camera
    notes: tuple[SessionLine, ...]  # what happened, in order
    end: str | None  # ended, stopped or failed; None: cut off
    missing: tuple[str, ...]  # sentences
    corrections: tuple[Correction, ...] = ()

    @cached_property
    def reviewed(self) -> tuple[RecordedEvent, ...]:
        """The events with the corrections applied, by onset; the machine's where nobody corrected them."""
        return apply(self.events, self.corrections)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Participant, interviewer, room, protocol: what was filled in."""
        return {str(key): str(value) for key, value in (self.description.get("metadata") or {}).items() if value}

    @property
    def media(self) -> tuple[Medium, ...]:
        """What was recorded beside the lines; it may have been moved since."""
        known = self.description.get("media") or ()
        return tuple(Medium(int(one["camera"]), str(one["kind"]), Path(str(one["path"]))) for one in known)

    @property
    def cameras(self) -> tuple[int, ...]:
        return tuple(range(max(1, len(self.sources))))

    @cached_property
    def length_s(self) -> float:
        """From the first picture to the last; of a session that was cut off, to the last moment that a line names."""
        ends = [line.recorded_s for line in self.summaries.values()]
        if self.end is None or not ends:
            timed: tuple[StatsLine | EmotionLine | VisibilityLine | MarkerLine, ...]
            timed = (*self.stats, *self.emotions, *self.visibility, *self.markers)
            ends += [line.time_s for line in timed]
            ends += [max(event.onset_s, event.offset_s or 0.0, event.emitted_s or 0.0) for event in self.events]
        return max(ends, default=0.0)

    def to_file_s(self, camera: int | None) -> float:
        """Seconds to add to a time for the recording's own clock; 0 where the source is no file."""
        recording = self.recordings.get(camera or 0)
        return recording.file_offset_s if recording else 0.0

    def offset_s(self, event: RecordedEvent) -> float:
        """Where an event ends: the record's end for one that still ran."""
        return max(event.onset_s, self.length_s) if event.offset_s is None else event.offset_s


def read_session(path: Path) -> SessionRecord:
    """Read a record and its corrections.

    Raises:
        BadInput: no record, a damaged line before the last, or corrections of other events.
    """
    lines_path = path / EVENTS_FILE if path.is_dir() else path
    description_path = lines_path.with_name(SESSION_FILE)
    try:
        data = lines_path.read_bytes()
        description = json.loads(description_path.read_bytes()) if path.is_dir() and description_path.exists() else {}
        if not isinstance(description, dict):
            raise ValueError(f"{SESSION_FILE} holds no object")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput("the folder of a recorded session", f"{path} ({why})", "give the DIR of --record") from None
    lines, missing = _parse(data, lines_path)
    if path.is_dir() and not description:
        missing.append(f"{SESSION_FILE}: configuration, time of day and model card are not known.")
    record = _assemble(path, description, lines, missing)
    record = replace(record, id=_id(description, data))
    corrections = read_lines(path / CORRECTIONS_FILE) if path.is_dir() else ()
    apply(record.events, corrections)
    return replace(record, corrections=corrections)


_LINES = (ActionLine, EmotionLine, MarkerLine, RecordingLine, SessionLine, StatsLine, SummaryLine, VisibilityLine)
_Line = ActionLine | EmotionLine | MarkerLine | RecordingLine | SessionLine | StatsLine | SummaryLine | VisibilityLine
_KINDS = frozenset(str(kind.__struct_config__.tag) for kind in _LINES)


class _Kind(msgspec.Struct):
    kind: str


def _parse(data: bytes, path: Path) -> tuple[list[_Line], list[str]]:
    """The lines, and what is missing of them. Raises BadInput: a damaged line that is not the last."""
    missing: list[str] = []
    decode, kind_of = msgspec.json.Decoder(_Line).decode, msgspec.json.Decoder(_Kind).decode
    whole, _, rest = data.rpartition(b"\n")
    lines: list[_Line] = []
    unknown: dict[str, int] = {}
    for number, text in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            kind = kind_of(text).kind
            if kind in _KINDS:
                lines.append(decode(text))
            else:
                unknown[kind] = unknown.get(kind, 0) + 1
        except msgspec.MsgspecError as error:
            fix = "give a record, or repair the line"
            raise BadInput("lines of the event stream", f"{path}, line {number} ({error})", fix) from None
    if rest.strip():
        missing.append("The last line is cut off.")
    if unknown:
        counts = ", ".join(f"{count} {kind}" for kind, count in unknown.items())
        missing.append(f"Lines of kinds that this version does not know: {counts}.")
    return lines, missing


def _assemble(path: Path, description: Mapping[str, Any], lines: Sequence[_Line], missing: list[str]) -> SessionRecord:
    notes = tuple(line for line in lines if isinstance(line, SessionLine))
    first = notes[0] if notes else None
    closing = [line.state for line in notes if line.camera is None and line.state in CLOSING_STATES]
    end = closing[-1] if closing else None
    if end is None:
        missing.insert(0, "The session was cut off: no closing line, no summary. What follows its last line is lost.")
    if first is None:
        missing.append("The opening line: model and consent are not known.")
    recordings = {line.camera: line for line in lines if isinstance(line, RecordingLine)}
    events, unconfirmed = _events([line for line in lines if isinstance(line, ActionLine)])
    if unconfirmed:
        missing.append(f"{unconfirmed} events were neither confirmed nor retracted; they are left out.")
    running = sum(event.offset_s is None for event in events)
    if running:
        missing.append(f"{running} events still ran at the last line; they end there.")
    sources = description.get("sources") or ([first.source] if first else [])
    return SessionRecord(
        id="",
        path=path,
        description=description,
        model=first.model if first else "",
        engine=first.engine if first else "",
        trained_on=(first.trained_on or "") if first else "",
        consent=(first.consent or None) if first else description.get("consent"),
        sources=tuple(map(str, sources)),
        events=events,
        emotions=tuple(line for line in lines if isinstance(line, EmotionLine)),
        markers=tuple(line for line in lines if isinstance(line, MarkerLine)),
        visibility=tuple(line for line in lines if isinstance(line, VisibilityLine)),
        stats=tuple(line for line in lines if isinstance(line, StatsLine)),
        recordings=recordings,
        summaries={line.camera: line for line in lines if isinstance(line, SummaryLine)},
        notes=notes,
        end=end,
        missing=tuple(missing),
    )


def _events(lines: Iterable[ActionLine]) -> tuple[tuple[RecordedEvent, ...], int]:
    """Confirmed events as their last line leaves them, by onset, and how many were never decided."""
    last: dict[tuple[int, int], ActionLine] = {}
    confirmed: dict[tuple[int, int], ActionLine] = {}
    for line in lines:
        key = (line.camera, line.id)
        last[key] = line
        if line.state == EventState.CONFIRMED.value:
            confirmed.setdefault(key, line)
    retracted = EventState.RETRACTED.value
    kept = [_event(line, confirmed[key]) for key, line in last.items() if key in confirmed and line.state != retracted]
    undecided = sum(line.state == EventState.PROVISIONAL.value for line in last.values())
    return tuple(sorted(kept, key=lambda event: (event.onset_s, event.camera, event.key))), undecided


def _event(line: ActionLine, confirmed: ActionLine) -> RecordedEvent:
    if line.body_part not in BODY_PARTS or (line.action is not None and line.action not in BY_NAME):
        raise BadInput("actions of MA-52", f"{line.action or line.body_part!r}", "give a record of this program")
    return RecordedEvent(
        key=f"{line.camera}.{line.id}",
        camera=line.camera,
        action=BY_NAME[line.action] if line.action else None,
        body_part=line.body_part,
        onset_s=line.onset_s,
        offset_s=line.offset_s,
        confidence=line.confidence,
        candidates=line.candidates or {},
        emitted_s=confirmed.emitted_s,
        delay_ms=confirmed.delay_ms,
        posture=bool(line.posture),
    )


def _id(description: Mapping[str, Any], lines: bytes) -> str:
    """16 hex digits: of the lines and the time of day, so that metadata may be filled in later."""
    return hashlib.sha256(str(description.get("started_at", "")).encode() + b"\n" + lines).hexdigest()[:16]
