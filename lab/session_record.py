"""A recorded session, read back: the folder of `--record`, or a file of the event stream's JSON lines.

`read_session` gives one immutable `SessionRecord`. Times are seconds of the session's clock; add `to_file_s` to get
the recording's own. A session that was cut off (no closing line, half a last line) is read as far as it goes;
`missing` says in words what is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, BODY_PARTS, Action
from events.types import EventState
from realtime.output.lines import (
    ActionLine,
    DelayParts,
    EmotionLine,
    RecordingLine,
    SessionLine,
    StatsLine,
    SummaryLine,
    VisibilityLine,
)
from realtime.output.outputs import EVENTS_FILE, SESSION_FILE

CORRECTIONS_FILE = "corrections.json"  # of a record: what a person has changed
CLOSING_STATES = ("ended", "stopped", "failed")
BY_NAME: Mapping[str, Action] = {action.name: action for action in ACTIONS}

Review = Literal["", "accepted", "renamed", "moved", "added"]
CorrectionKind = Literal["accept", "reject", "rename", "move", "add"]


class MarkerLine(msgspec.Struct, frozen=True, tag_field="kind", tag="marker"):
    """A moment that a person marked while the session ran: a question, a silence."""

    time_s: float
    label: str
    camera: int | None = None  # null: of the session as a whole


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a review. `event` is an event's key; an added event gets the key that stands here, `added-1` ..."""

    kind: CorrectionKind
    event: str
    action: str | None = None  # rename, add; null: the body part alone is known
    body_part: str | None = None  # rename, add
    onset_s: float | None = None  # move, add; of the session's clock
    offset_s: float | None = None  # move, add
    camera: int = 0  # add


class Corrections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `CORRECTIONS_FILE`: the steps in order, of the session with this id."""

    session: str
    corrections: tuple[Correction, ...]
    reviewer: str = ""
    saved_at: str = ""  # ISO 8601
    format: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A micro-action event as the session left it, or as a person corrected it."""

    key: str  # "CAMERA.ID"; "added-N" where a person added it
    camera: int
    action: Action | None  # None: only the body part is known
    body_part: str
    onset_s: float
    offset_s: float | None  # None: it still ran where the record ends
    confidence: float | None  # None: a person added it
    candidates: Mapping[str, float] = field(default_factory=dict)  # action → probability
    emitted_s: float | None = None  # when it was confirmed
    delay_ms: DelayParts | None = None  # of the confirmation
    posture: bool = False
    review: Review = ""

    @property
    def name(self) -> str:
        """The action's name, else the body part's."""
        return self.action.name if self.action else self.body_part


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
    corrections: Corrections | None = None

    @cached_property
    def reviewed(self) -> tuple[RecordedEvent, ...]:
        """The events with the corrections applied, by onset; the machine's where nobody corrected them."""
        return apply(self.events, self.corrections.corrections if self.corrections else ())

    @property
    def metadata(self) -> Mapping[str, str]:
        """Participant, interviewer, room, protocol: what was filled in."""
        return {str(key): str(value) for key, value in (self.description.get("metadata") or {}).items() if value}

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
        BadInput: no record, a damaged line before the last, or corrections of another session.
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
    if not path.is_dir() or not (path / CORRECTIONS_FILE).exists():
        return record
    return replace(record, corrections=read_corrections(path / CORRECTIONS_FILE, record))


def read_corrections(path: Path, record: SessionRecord) -> Corrections:
    """Raises BadInput: not a file of corrections, of another session, or of an event that the session does not have."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Corrections)
    except (OSError, ValueError) as error:
        raise BadInput("a file of corrections", f"{path} ({error})", "save it again in the report") from None
    if found.session != record.id:
        got = f"{path}, which is of session {found.session}"
        raise BadInput(f"corrections of session {record.id}", got, "give the session that was reviewed")
    apply(record.events, found.corrections)
    return found


def apply(events: Sequence[RecordedEvent], corrections: Iterable[Correction]) -> tuple[RecordedEvent, ...]:
    """The events after these steps, by onset.

    Raises:
        BadInput: a step about an event that is not there, or that leaves one without an action, a part or a length.
    """
    found = {event.key: event for event in events}
    for step in corrections:
        if (step.kind == "add") == (step.event in found):
            got = f"{step.kind} {step.event!r}"
            raise BadInput("corrections of events that are there", got, "save the corrections again in the report")
        if step.kind == "reject":
            del found[step.event]
        else:
            found[step.event] = _corrected(found.get(step.event), step)
    return tuple(sorted(found.values(), key=lambda event: (event.onset_s, event.camera, event.key)))


def _corrected(event: RecordedEvent | None, step: Correction) -> RecordedEvent:
    action, part = BY_NAME.get(step.action or ""), step.body_part
    part = action.body_part if action else part
    if step.kind in ("rename", "add") and (part not in BODY_PARTS or (step.action is not None and action is None)):
        raise BadInput("an action or a body part of MA-52", f"{step.action or part!r}", "correct the file")
    if step.kind in ("move", "add") and not 0.0 <= (step.onset_s or 0.0) < (step.offset_s or 0.0):
        raise BadInput("an onset before its offset", f"{step.onset_s} to {step.offset_s} s", "correct the file")
    if event is None:
        onset_s = step.onset_s or 0.0
        return RecordedEvent(step.event, step.camera, action, part or "", onset_s, step.offset_s, None, review="added")
    if step.kind == "rename":
        return replace(event, action=action, body_part=part or "", review=event.review or "renamed")
    if step.kind == "move":
        return replace(event, onset_s=step.onset_s or 0.0, offset_s=step.offset_s, review=event.review or "moved")
    return replace(event, review=event.review or "accepted")


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
