"""The recordings of an archive: found in a folder or named in a list, each with an id that its path decides."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from engines.common.errors import BadInput

_VIDEO = "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
SUFFIXES = frozenset(f".{one}" for one in _VIDEO.split())
MAX_LIST_BYTES = 16 << 20
ID_LETTERS, ID_DIGITS = 60, 10


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to archive.

    Attributes:
        id: of its place in the folder or list: the same whenever it is found there again.
        bytes: its size; 0 where it cannot be read.
        seconds: its length as it declares it; 0 where it declares none.
    """

    id: str
    path: Path
    bytes: int
    seconds: float


def find_recordings(where: Path) -> list[Recording]:
    """Those of a folder and the folders in it, by suffix, or those that a text file names, a path a line.

    Paths in a list count from the list's own folder.

    Raises:
        BadInput: neither of the two, none in it, or one of them twice.
    """
    if where.is_dir():
        named = [(str(path.relative_to(where)), path) for path in _files(where)]
    elif where.suffix.lower() in SUFFIXES:
        raise BadInput("a folder of recordings, or a list of them", f"{where}, one recording", "give its folder")
    else:
        named = [(line, where.parent / line) for line in _lines(where)]
    if not named:
        raise BadInput("recordings", f"{where}, which names none", f"known suffixes: {' '.join(sorted(SUFFIXES))}")
    seen: set[Path] = set()
    found = []
    for name, path in named:
        if (resolved := path.resolve()) in seen:
            raise BadInput("each recording once", f"{path} again", "leave one out")
        seen.add(resolved)
        size = path.stat().st_size if path.is_file() else 0
        found.append(Recording(id_of(name), path.absolute(), size, _seconds(path) if size else 0.0))
    return found


def id_of(name: str) -> str:
    """A name that may stand in a path and in a query: letters of the recording's own, and a hash of the whole."""
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:ID_DIGITS]
    return f"{re.sub('[^A-Za-z0-9_-]+', '_', Path(name).stem)[:ID_LETTERS]}-{digest}"


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
        if len(data) > MAX_LIST_BYTES or b"\0" in data:
            raise ValueError("no list of paths")
        text = os.fsdecode(data.removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput("a folder of recordings, or a list of them", f"{path} ({why})", "check the path") from None
    return [line for one in text.splitlines() if (line := one.strip())]


def _seconds(path: Path) -> float:
    """What a file says of its length, for the estimate of what there is to do; its pictures are not read."""
    try:
        with av.open(str(path.resolve()), options={"protocol_whitelist": "file"}, metadata_errors="replace") as file:
            return max(0.0, (file.duration or 0) / av.time_base)
    except (av.error.FFmpegError, OSError):
        return 0.0
