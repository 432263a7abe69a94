"""What every format writes of a session: one camera's events, markers and emotions on the recording's own clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol, TypeVar

import av
import msgspec

from engines.common.errors import BadInput
from engines.common.printable import printable
from engines.taxonomy import ACTIONS, Action
from lab.corrections import RecordedEvent
from lab.session_record import SessionRecord
from realtime.output.lines import EmotionLine

LEAST_MS = 1  # no format takes an event without a length
MEDIA_TOLERANCE_S = 1.0  # of a video's length against the record's: containers count the last picture differently
EXCHANGED = "the names at 3 (turning around) and 4 (rising up) may be exchanged in MA-52's label file"


class Timed(Protocol):
    """Something from one moment to another."""

    @property
    def onset_ms(self) -> int: ...

    @property
    def offset_ms(self) -> int: ...


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, slots=True)
class Section:
    """A marker, and what follows up to the next one."""

    label: str
    onset_ms: int
    offset_ms: int


@dataclass(frozen=True, slots=True)
class ExportedEvent:
    """An event on the recording's own clock, in whole ms, at least one long."""

    event: RecordedEvent
    onset_ms: int
    offset_ms: int

    @property
    def name(self) -> str:
        return self.event.name

    @property
    def candidates(self) -> str:
        """`nodding 0.70; bowing head 0.20`."""
        return "; ".join(f"{name} {share:.2f}" for name, share in self.event.candidates.items())

    @property
    def delay_s(self) -> float | None:
        """From the onset to the confirmation; None for what a person added or moved before it."""
        event = self.event
        return None if event.emitted_s is None else round(event.emitted_s - event.onset_s, 3)

    def row(self) -> dict[str, Any]:
        """For tables; None where there is no value."""
        event, action = self.event, self.event.action
        return {
            "onset_s": self.onset_ms / 1000,
            "offset_s": self.offset_ms / 1000,
            "duration_s": (self.offset_ms - self.onset_ms) / 1000,
            "name": self.name,
            "body_part": event.body_part,
            "action": action.name if action else None,
            "code": action.code if action else None,
            "index": action.index if action else None,
            "confidence": event.confidence,
            "candidates": self.candidates or None,
            "delay_s": self.delay_s,
            "posture": event.posture,
            "review": event.review or None,
            "event": event.key,
        }


@dataclass(frozen=True)
class Content:
    """One camera of a session. Texts of the user's are printable: no format has to think of control characters."""

    record: SessionRecord
    camera: int
    reviewed: bool  # with a person's corrections
    events: tuple[ExportedEvent, ...]
    sections: tuple[Section, ...]
    emotions: tuple[EmotionLine, ...]  # `time_s` on the recording's own clock
    length_ms: int
    media: Path | None  # as given; a name alone where the file was not
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def participant(self) -> str:
        return printable(self.record.metadata.get("participant", "participant"))


def content(record: SessionRecord, camera: int = 0, media: Path | None = None, reviewed: bool = True) -> Content:
    """Raises BadInput: a video that is not the session's."""
    shift_s = record.to_file_s(camera)
    found = [event for event in (record.reviewed if reviewed else record.events) if event.camera == camera]
    events = tuple(_exported(record, event, shift_s) for event in found)
    length_ms = max([to_ms(record.length_s + shift_s), *(event.offset_ms for event in events), LEAST_MS])
    recording = record.recordings.get(camera)
    if media is not None:
        check_media(media, record, camera)
    elif recording is not None:
        media = Path(recording.source)
    return Content(
        record=record,
        camera=camera,
        reviewed=reviewed and bool(record.corrections),
        events=events,
        sections=_sections(record, camera, shift_s, length_ms),
        emotions=tuple(
            msgspec.structs.replace(line, time_s=round(line.time_s + shift_s, 3))
            for line in record.emotions
            if line.camera == camera
        ),
        length_ms=length_ms,
        media=media,
        about=about(record, camera, reviewed),
    )


def to_ms(seconds: float) -> int:
    """Whole ms, never before the file's beginning."""
    return max(0, round(seconds * 1000))


def _exported(record: SessionRecord, event: RecordedEvent, shift_s: float) -> ExportedEvent:
    onset_ms = to_ms(event.onset_s + shift_s)
    event = replace(event, offset_s=record.offset_s(event))
    return ExportedEvent(event, onset_ms, max(onset_ms + LEAST_MS, to_ms((event.offset_s or 0.0) + shift_s)))


def _sections(record: SessionRecord, camera: int, shift_s: float, length_ms: int) -> tuple[Section, ...]:
    markers = sorted((one for one in record.markers if one.camera in (None, camera)), key=lambda one: one.time_s)
    onsets = [to_ms(one.time_s + shift_s) for one in markers]
    found = []
    for marker, onset_ms in zip(markers, onsets, strict=True):
        until_ms = min((later for later in onsets if later > onset_ms), default=length_ms)
        found.append(Section(printable(marker.label), onset_ms, max(until_ms, onset_ms + LEAST_MS)))
    return tuple(found)


def lanes(events: Iterable[T]) -> list[list[T]]:
    """The events in as few rows as overlaps allow: within a row each ends before the next begins, or with it."""
    rows: list[list[T]] = []
    for event in sorted(events, key=lambda one: (one.onset_ms, one.offset_ms)):
        free = next((row for row in rows if row[-1].offset_ms <= event.onset_ms), None)
        if free is None:
            rows.append([event])
        else:
            free.append(event)
    return rows


def about(record: SessionRecord, camera: int, reviewed: bool) -> dict[str, str]:
    """What a reader must know of the events: what made them, with which settings, and with whose consent."""
    described, summary = record.description, record.summaries.get(camera)
    model = described.get("model") or {}
    calibration = {key: value for key, value in (model.get("calibration") or {}).items() if value is not None}
    aggregator = (described.get("config") or {}).get("aggregator")
    corrections = record.corrections if reviewed else ()
    reviewers = ", ".join(dict.fromkeys(one.reviewer for one in corrections if one.reviewer)) or "a reviewer"
    found = {
        "session": record.id,
        "started_at": described.get("started_at"),
        "source": record.sources[camera] if camera < len(record.sources) else None,
        "consent": record.consent or "none noted",
        **record.metadata,
        "model": record.model,
        "trained_on": record.trained_on,
        "engine": record.engine,
        "thresholds": msgspec.json.encode(aggregator).decode() if aggregator else None,
        "calibration": msgspec.json.encode(calibration).decode() if calibration else None,
        "intended_use": model.get("intended_use"),
        "recorded_s": f"{record.length_s:.3f}",
        "judged_windows": f"{summary.judged} of {summary.windows_due}" if summary else None,
        "ended": record.end or "cut off",
        "missing": " ".join(record.missing) or None,
        "corrections": f"{len(corrections)} by {reviewers}" if corrections else "none",
        "times": f"seconds of the recording's own clock: the session's plus {record.to_file_s(camera):.3f} s",
        "labels": EXCHANGED,
    }
    return {key: printable(str(value)) for key, value in found.items() if value not in (None, "")}


def started_at(record: SessionRecord) -> datetime | None:
    """When the session began, with its time zone."""
    try:
        found = datetime.fromisoformat(str(record.description["started_at"]))
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def definition(action: Action) -> str:
    """Of an action, for a coding scheme: its code in MA-52, its body part, and the doubt about two names."""
    return f"MA-52 {action.code}, index {action.index}, {action.body_part}" + (
        f"; {EXCHANGED}" if action.doubtful else ""
    )


def actions_of(part: str) -> Sequence[Action]:
    return [action for action in ACTIONS if action.body_part == part]


def media_length_s(path: Path) -> float:
    """Raises BadInput: not a recording."""
    try:
        with av.open(str(path)) as container:
            if not container.duration:
                raise BadInput("a video that states its length", str(path), "convert it to MP4")
            return float(container.duration / av.time_base)
    except (OSError, av.FFmpegError) as error:
        raise BadInput("the session's video", f"{path} ({error.strerror})", "check the path") from None


def check_media(path: Path, record: SessionRecord, camera: int) -> None:
    """Raises BadInput: the length is not that of the session, so it is another video."""
    length_s, judged_s = media_length_s(path), record.length_s + record.to_file_s(camera)
    longer_is_wrong = record.end == "ended" and camera in record.recordings
    if length_s < judged_s - MEDIA_TOLERANCE_S or (longer_is_wrong and length_s > judged_s + MEDIA_TOLERANCE_S):
        got = f"{path}, which is {length_s:.1f} s long"
        raise BadInput(f"the session's video, of {judged_s:.1f} s", got, "give the recording that was judged")
