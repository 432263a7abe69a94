"""python -m lab export: a recorded session in the formats of other programs, several at once."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from engines.common.errors import BadInput
from engines.common.log import log
from engines.common.new_files import NewFiles
from lab.export import bids, boris, elan, nwb, praat, subtitles, tables
from lab.export.content import Content, content
from lab.session_record import SessionRecord, read_session

FORMATS: dict[str, Callable[[Content, Path], list[Path]]] = {
    "elan": elan.write,
    "boris": boris.write,
    "csv": tables.write_csv,
    "bids": bids.write,
    "webvtt": subtitles.write,
    "textgrid": praat.write,
    "nwb": nwb.write,
    "xlsx": tables.write_xlsx,
    "parquet": tables.write_parquet,
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("session", type=Path, help="the DIR of --record, or a file of the event stream's lines")
    command.add_argument("--format", required=True, metavar="NAME[,NAME...]", help=f"of {', '.join(FORMATS)}; or all")
    command.add_argument("--out", type=Path, metavar="DIR", help="(SESSION/export)")
    command.add_argument("--media", type=Path, metavar="FILE", help="the session's video, for formats that link it")
    command.add_argument("--machine", action="store_true", help="the machine's events, without a person's corrections")


def run(options: argparse.Namespace) -> None:
    """Write the files, and name them."""
    names = formats(options.format)
    record = read_session(options.session)
    for sentence in record.missing:
        log.warning("%s", sentence)
    folder = options.session if options.session.is_dir() else options.session.parent
    media = {record.cameras[0]: options.media} if options.media else {}
    for path in export(record, names, options.out or folder / "export", media, not options.machine):
        print(path)


def formats(names: str) -> list[str]:
    """Raises BadInput: a format that is not known."""
    asked = list(FORMATS) if names == "all" else list(dict.fromkeys(filter(None, names.split(","))))
    unknown = [name for name in asked if name not in FORMATS]
    if unknown or not asked:
        raise BadInput(f"formats of {', '.join(FORMATS)}", ", ".join(unknown) or "none", "separate them by commas")
    return asked


def export(
    record: SessionRecord, names: Iterable[str], out: Path, media: dict[int, Path], reviewed: bool = True
) -> list[Path]:
    """Write one file, or one folder, a format and camera; all of them or none.

    Raises:
        BadInput: one of them is there, or the video is another one.
    """
    path = record.path.resolve()
    stem = path.name if path.is_dir() else path.stem
    several = len(record.cameras) > 1
    made: list[Path] = []
    with NewFiles() as folders, ExitStack() as stack:
        folders.folder(out)
        partial = stack.enter_context(tempfile.TemporaryDirectory(prefix=".export-", dir=out))
        for camera in record.cameras:
            found = content(record, camera, media.get(camera), reviewed)
            name = f"{stem}-camera{camera}" if several else stem
            made += [each for one in names for each in FORMATS[one](found, Path(partial) / name)]
        taken = next((each.name for each in made if os.path.lexists(out / each.name)), None)
        if taken:
            raise BadInput("a folder without these files for --out", f"{out}, which holds {taken}", "name another")
        folders.keep()
        return [Path(shutil.move(each, out / each.name)) for each in made]
