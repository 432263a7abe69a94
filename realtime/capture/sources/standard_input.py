"""A recording on standard input, kept in a file for as long as it is read: most formats have their index at the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engines.common.errors import BadInput
from engines.common.log import log
from realtime.capture.sources import FileSpec, SourceSpec

STANDARD_INPUT = "-"  # as a path
_FILE_NAME = "standard input"  # becomes the source's name


@contextmanager
def with_standard_input(sources: tuple[SourceSpec, ...]) -> Iterator[tuple[SourceSpec, ...]]:
    """The sources, with `-` read to its end into a private file, which is deleted afterwards.

    Raises:
        BadInput: there is no recording on standard input, or no room for it.
    """
    if not any(_is_standard_input(source) for source in sources):
        yield sources
        return
    wanted, fix = "a recording on standard input", "as in: replay - < recording.mp4"
    if sys.stdin is None or sys.stdin.closed:
        raise BadInput(wanted, "standard input closed", fix)
    if sys.stdin.isatty():
        raise BadInput(wanted, "a terminal", fix)
    folder = Path(tempfile.mkdtemp(prefix="manet-live-input-"))  # mode 0700
    try:
        path = folder / _FILE_NAME
        log.info("reading the recording from standard input to its end")
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        except OSError as error:
            raise BadInput(
                f"{wanted} and room for it in {folder.parent}",
                error.strerror or str(error),
                "free some space, or set TMPDIR to a place with more",
            ) from None
        if not path.stat().st_size:
            raise BadInput(wanted, "nothing", fix)
        yield tuple(
            msgspec.structs.replace(source, path=str(path))
            if isinstance(source, FileSpec) and _is_standard_input(source)
            else source
            for source in sources
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_standard_input(source: SourceSpec) -> bool:
    return isinstance(source, FileSpec) and source.path == STANDARD_INPUT
