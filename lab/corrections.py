"""What reviewers made of a session's events: corrections, each the whole state of one event after it.

They stand in the record as lines of `corrections.jsonl`, which are only ever added to: the latest of an event counts,
and the machine's own lines stay as they were. The report saves a file of them (`Corrections`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, BODY_PARTS, Action
from realtime.output.lines import DelayParts

CORRECTIONS_FILE = "corrections.jsonl"  # of a record
ADDED = re.compile(r"added-[0-9A-Za-z]{1,32}")  # key of an event that a reviewer added
BY_NAME: Mapping[str, Action] = {action.name: action for action in ACTIONS}

Review = Literal["", "accepted", "renamed", "moved", "added"]
Text = Annotated[str, Meta(max_length=200)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e7)]


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event as a reviewer left it; `event` is its key, and that of an added one is new."""

    event: Text
    camera: Annotated[int, Meta(ge=0)]
    verdict: Literal["open", "accepted", "rejected"]  # open: nobody decided, or the decision was taken back
    action: str | None  # null: the body part alone is known
    body_part: str
    onset_s: Seconds  # of the session's clock
    offset_s: Seconds
    reviewer: Text
    made_at: Annotated[str, Meta(max_length=40)]  # ISO 8601, UTC

    def __post_init__(self) -> None:
        """Raises ValueError: no such action or part, or an event without a length."""
        if self.action is not None and self.action not in BY_NAME:
            raise ValueError(f"expected an action of MA-52, got {self.action!r}")
        part = BY_NAME[self.action].body_part if self.action else self.body_part
        if self.body_part != part or part not in BODY_PARTS:
            raise ValueError(f"expected the action's body part, got {self.body_part!r} of {self.action!r}")
        if not self.onset_s < self.offset_s:
            raise ValueError(f"expected an onset before its offset, got {self.onset_s} to {self.offset_s} s")


class Corrections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that the report saves: the corrections of one browser, of the session with this id."""

    session: str
    corrections: tuple[Correction, ...]
    reviewer: Text = ""
    saved_at: Text = ""  # ISO 8601
    format: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A micro-action event as the session left it, or as a person corrected it."""

    key: str  # "CAMERA.ID"; "added-…" where a person added it
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


def apply(events: Sequence[RecordedEvent], corrections: Iterable[Correction]) -> tuple[RecordedEvent, ...]:
    """The events after these corrections, by onset; rejected ones are left out.

    Raises:
        BadInput: a correction of an event that is not there.
    """
    machine = {event.key: event for event in events}
    found = dict(machine)
    for one in sorted(corrections, key=lambda one: one.made_at):
        event = machine.get(one.event)
        if event is None and not ADDED.fullmatch(one.event):
            got = f"one of {one.event!r}"
            raise BadInput("corrections of events of this session", got, "save the corrections again in the report")
        found.pop(one.event, None)
        if one.verdict != "rejected":
            found[one.event] = _corrected(event, one)
    return tuple(sorted(found.values(), key=lambda event: (event.onset_s, event.camera, event.key)))


def _corrected(event: RecordedEvent | None, one: Correction) -> RecordedEvent:
    action, part, onset_s, offset_s = BY_NAME.get(one.action or ""), one.body_part, one.onset_s, one.offset_s
    if event is None:
        return RecordedEvent(one.event, one.camera, action, part, onset_s, offset_s, None, review="added")
    review: Review = "accepted" if one.verdict == "accepted" else ""
    if (onset_s, offset_s) != (event.onset_s, offset_s if event.offset_s is None else event.offset_s):
        review = "moved"
    if (action, part) != (event.action, event.body_part):
        review = "renamed"
    return replace(event, action=action, body_part=part, onset_s=onset_s, offset_s=offset_s, review=review)


def read_lines(path: Path) -> tuple[Correction, ...]:
    """The corrections in a record; none where there is no such file. A last line that was cut off counts for nothing.

    Raises:
        BadInput: a damaged line.
    """
    decode = msgspec.json.Decoder(Correction).decode
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        return tuple(decode(line) for line in whole.split(b"\n") if line)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadInput("corrections that can be read", f"{path} ({error.strerror})", "check its permissions") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInput("lines of corrections", f"{path} ({error})", "repair the line, or move the file away") from None


def read_saved(path: Path) -> Corrections:
    """Raises BadInput: not a file that the report saved."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Corrections)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput("a file of corrections", f"{path} ({why})", "save it again in the report") from None


def add_lines(path: Path, corrections: Iterable[Correction]) -> int:
    """Add to a record's corrections what is not there yet; how many that were.

    Raises:
        BadInput: a damaged line is there already, or the file cannot be written.
    """
    known = set(read_lines(path))
    new = [one for one in dict.fromkeys(corrections) if one not in known]
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in new)
    try:
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                lines = lines if file.read(1) == b"\n" else b"\n" + lines  # behind a line that was cut off
            file.write(lines)
    except OSError as error:
        raise BadInput("a record that can be written", f"{path} ({error.strerror})", "check its permissions") from None
    return len(new)
