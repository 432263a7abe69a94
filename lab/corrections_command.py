"""python -m lab corrections: bring what was corrected in the report into the record."""

from __future__ import annotations

import argparse
from pathlib import Path

from engines.common.errors import BadInput
from lab.corrections import CORRECTIONS_FILE, add_lines, apply, read_saved
from lab.session_record import read_session


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("session", type=Path, metavar="SESSION", help="the folder of a recorded session")
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="saved in the report")


def run(options: argparse.Namespace) -> None:
    """Bring files of corrections into a record.

    Raises:
        BadInput: no record, no corrections, those of another session, or of events that it does not have.
    """
    record = read_session(options.session)
    if not record.path.is_dir():
        raise BadInput("the folder of a recorded session", f"{record.path}, a file", "give the DIR of --record")
    saved = [read_saved(path) for path in options.files]
    for path, one in zip(options.files, saved, strict=True):
        if one.session != record.id:
            got = f"{path}, which is of session {one.session}"
            raise BadInput(f"corrections of session {record.id}", got, "give the session that was reviewed")
        apply(record.events, one.corrections)
    new = [correction for one in saved for correction in one.corrections]
    added = add_lines(record.path / CORRECTIONS_FILE, new)
    print(f"{added} corrections added, {len(new) - added} were there already")
