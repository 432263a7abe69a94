"""python -m lab report: a session as one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from engines.common.errors import BadInput
from engines.common.log import log
from engines.common.new_files import NewFiles, what_stands_at
from lab.report.page import SIGNATURE, Video, length_warning, open_video, page
from lab.session_record import SessionRecord, read_session

REPORT_FILE = "report.html"  # in a record


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("session", type=Path, metavar="SESSION", help="the folder of a recorded session")
    help_ = "the recording, to see the events in; once for each camera (default: what --record-video recorded)"
    command.add_argument("--video", type=Path, action="append", default=[], metavar="FILE", help=help_)
    command.add_argument("--out", type=Path, metavar="FILE.html", help=f"default: {REPORT_FILE} in the session")


def run(options: argparse.Namespace) -> None:
    """Write the report.

    Raises:
        BadInput: no session, no video, or something other than an earlier report stands where it is to be written.
    """
    record = read_session(options.session)
    videos = _videos(record, options.video)
    folder = record.path if record.path.is_dir() else record.path.parent
    out: Path = options.out or folder / REPORT_FILE
    _check_place(out)
    for sentence in (*record.missing, *filter(None, (length_warning(record, video) for video in videos))):
        log.warning("%s", sentence)
    _write(out, page(record, videos, out).encode())
    print(f"wrote {out}: open it in a browser")


def _videos(record: SessionRecord, given: list[Path]) -> list[Video]:
    if len(given) > len(record.cameras):
        raise BadInput(f"up to {len(record.cameras)} videos", str(len(given)), "give one --video for each camera")
    if given:
        return [open_video(path, camera) for camera, path in enumerate(given)]
    videos = []
    for one in record.media:
        if one.kind == "video":
            try:
                videos.append(open_video(one.path, one.camera))
            except BadInput as error:  # it was moved, or not one picture came
                log.warning("without the video that was recorded: %s", error)
    return videos


def _check_place(out: Path) -> None:
    """An earlier report may be replaced: it holds nothing that is not in the record. Anything else may not."""
    try:
        standing = what_stands_at(out)
        ours = standing == "a file" and SIGNATURE in out.read_bytes()[:200]
    except OSError as error:
        raise BadInput("a report that can be written", f"{out} ({error.strerror})", "name another --out") from None
    if standing and not ours:
        raise BadInput("a new file for the report", f"{out}, {standing}", "name another --out")


def _write(out: Path, content: bytes) -> None:
    """Beside its place first: a report is there as a whole, or not at all."""
    part = out.with_name(f"{out.name}.part")
    try:
        with NewFiles() as made:
            made.write(part, content)
            part.replace(out)
            made.keep()
    except OSError as error:
        raise BadInput("a report that can be written", f"{out} ({error.strerror})", "name another --out") from None
