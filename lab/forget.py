"""python -m lab forget: withdrawal of consent. What a session left on this machine is deleted."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from engines.common.command_line import notify
from engines.common.errors import BadInput, Failed
from lab.corrections import CORRECTIONS_FILE
from lab.report.command import REPORT_FILE
from lab.report.page import SIGNATURE
from lab.session_record import SessionRecord, read_session
from realtime.output.outputs import EVENTS_FILE, SESSION_FILE
from realtime.output.posterior_file import POSTERIORS_FILE

OWN_FILES = (EVENTS_FILE, SESSION_FILE, CORRECTIONS_FILE, REPORT_FILE, POSTERIORS_FILE)


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("session", type=Path, metavar="SESSION", help="the folder of a recorded session")
    command.add_argument("--yes", action="store_true", help="do not ask before it is deleted")


def run(options: argparse.Namespace) -> None:
    """Delete a session's record, what was recorded with it, corrections and report; say what may be elsewhere.

    Raises:
        BadInput: no record, or nobody there to ask.
        Failed: something could not be deleted.
    """
    record = read_session(options.session)
    if not record.path.is_dir():
        raise BadInput("the folder of a recorded session", f"{record.path}, a file", "give the DIR of --record")
    files = list(_files(record))
    print(f"session {record.id}, consent: {record.consent or 'none noted'}")
    for path in files:
        print(f"  {path}")
    if not options.yes and not _agreed(len(files)):
        print("nothing was deleted")
        return
    kept = _delete(files)
    kept += [f"{path} (not of the record)" for path in _rest(record.path, files)]
    for line in (*kept, *_out_of_reach(record)):
        notify(f"manet-live: not deleted: {line}")
    if any(os.path.lexists(path) for path in files):
        raise Failed("not everything could be deleted")
    print(f"deleted {len(files)} files")


def _files(record: SessionRecord) -> Iterator[Path]:
    """What of the session is there; the lines last, so that a deletion that breaks off can be taken up again."""
    for one in record.media:
        restarts = one.path.parent.glob(f"{one.path.stem}-restart*{one.path.suffix}") if one.kind == "video" else ()
        yield from (path for path in (one.path, *sorted(restarts)) if os.path.lexists(path))
    for name in reversed(OWN_FILES):
        path = record.path / name
        if os.path.lexists(path) and (name != REPORT_FILE or SIGNATURE in path.read_bytes()[:200]):
            yield path


def _agreed(count: int) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise BadInput("an answer in a terminal, or --yes", "neither", "add --yes if it is to be deleted")
    return input(f"delete these {count} files for good? [y/N] ").strip().lower() in ("y", "yes")


def _delete(files: list[Path]) -> list[str]:
    """Delete them in order; what could not be, and why. The record stays for another try while anything else does."""
    kept: list[str] = []
    for path in files:
        if kept and path.name in (EVENTS_FILE, SESSION_FILE):
            kept.append(f"{path} (it names the files above)")
            continue
        try:
            path.unlink()
        except OSError as error:
            kept.append(f"{path} ({error.strerror})")
    return kept


def _rest(folder: Path, files: list[Path]) -> list[Path]:
    """What else is in the folder, which stays then."""
    found = sorted(folder.iterdir())
    if not found:
        folder.rmdir()
    return [path for path in found if path not in files]


def _out_of_reach(record: SessionRecord) -> Iterator[str]:
    """What this command cannot see."""
    for one in record.media:
        if not one.path.parent.is_dir():
            yield f"{one.path}, which is not where it was recorded: look where it was moved"
    if sources := [name for camera, name in enumerate(record.sources) if camera in record.recordings]:
        yield f"the recordings that were read: {', '.join(sources)}"
    yield f"exports, saved corrections (corrections-{record.id}.json), reports elsewhere, backups"
    yield "what a browser keeps of a review: delete its data of local files"
    yield "what was sent on while the session ran: --publish, standard output, Lab Streaming Layer recorders"
