"""What goes to whoever archives a recording, and what comes back: plain data, on one machine and on many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from lab.archive.dataset import Order
from lab.archive.recordings import Recording


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recording."""

    id: str
    path: str
    bytes: int
    seconds: float

    @property
    def recording(self) -> Recording:
        return Recording(self.id, Path(self.path), self.bytes, self.seconds)


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a worker needs to know before its first recording."""

    dataset: str
    order: Order


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a recording.

    archived, failed: it is in the dataset. died: the process that worked on it did. unusable: no recording can be
    archived there, for a reason that the user can fix. broken: the same, for another reason. stopped: it was told to.
    """

    id: str
    state: Literal["archived", "failed", "died", "unusable", "broken", "stopped"]
    detail: str = ""


class Pool(AbstractContextManager["Pool"], Protocol):
    """Archives recordings, several at once. Left as a context manager, it ends what is under way."""

    def submit(self, job: Job) -> None:
        """Add a recording."""

    def outcomes(self) -> Iterator[Outcome | None]:
        """What becomes of all that were submitted, as it comes; None now and then, while nothing comes."""


AnyStruct = TypeVar("AnyStruct", bound=msgspec.Struct)


def to_line(message: msgspec.Struct) -> bytes:
    """Python's own JSON: a recording's name may be any bytes, which msgspec takes for no text."""
    return json.dumps(msgspec.to_builtins(message)).encode() + b"\n"


def from_line(line: bytes, kind: type[AnyStruct]) -> AnyStruct:
    """Raises ValueError or msgspec.ValidationError: it is none."""
    found: Any = json.loads(line)
    return msgspec.convert(found, kind)
