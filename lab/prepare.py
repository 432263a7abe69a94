"""python -m lab.prepare: what an engine would see of a recording, as one .npz to train on.

Every picture goes through the very view of a live session, with its tracking, its steady crop and its face; a few of
each second are kept. The file holds `times_ns` (n,), `body` uint8 (n, S, S, 3), `face` uint8 (n, F, F, 3), black where
there was none, and `body_seen` and `face_seen` (n,), 0 or 1. Nothing of the recording itself is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.common.command_line import Parser, run_guarded
from engines.common.errors import BadInput
from engines.common.new_files import check_new_file
from events.settings import EmotionSettings
from realtime.capture.order import ViewSpec
from realtime.capture.sources import EndOfSource, FileSpec, open_source
from realtime.capture.views.make import fetch_models, make_view
from realtime.clock import NS_PER_S
from realtime.config import ViewSettings
from realtime.messages import HEARTBEAT_S

MOST_PICTURES = 20_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m lab.prepare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--view", choices=("rgb", "landmarks"), default="landmarks", help="(landmarks)")
    parser.add_argument("--crop", choices=("center", "full", "person"), default="center", help="of rgb (center)")
    parser.add_argument("--size", type=int, default=112, help="pixels of the body (112)")
    parser.add_argument("--face-size", type=int, default=64, help="pixels of the face (64)")
    parser.add_argument("--rate", type=float, default=12.0, help="pictures kept of a second, at most (12)")
    options = parser.parse_args(arguments)
    if not 32 <= options.size <= 512 or not 32 <= options.face_size <= 512:
        raise BadInput("sizes of 32 to 512 pixels", f"{options.size} and {options.face_size}", "give others")
    if not 1.0 <= options.rate <= 120.0:
        raise BadInput("--rate of 1 to 120", f"{options.rate:g}", "leave it out for the default")
    if not options.recording.is_file():
        raise BadInput("a recording", f"{options.recording}, which is no file", "check the path")
    if options.out.suffix != ".npz":
        raise BadInput("--out FILE.npz", str(options.out), "give a name that ends in .npz")
    if os.path.lexists(options.out):
        check_new_file(options.out, "--out")
    write(options.out, seen(options))


def seen(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """The arrays of the file.

    Raises:
        BadInput: not a recording, nothing in it, or a model file cannot be had.
    """
    spec = ViewSpec(
        options.size,
        sees=options.view,
        settings=ViewSettings(crop=options.crop),
        face_size=options.face_size,
        face_margin=EmotionSettings().face_margin,
    )
    fetch_models(spec)
    view = make_view(spec)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ("times_ns", "body", "face", "body_seen", "face_seen")}
    black = np.zeros((options.face_size, options.face_size, 3), np.uint8)
    due_ns: int | None = None
    step_ns = round(NS_PER_S / options.rate)
    recording = FileSpec(str(options.recording))
    with contextlib.closing(view), open_source(recording) as source, contextlib.suppress(EndOfSource):
        while True:
            image = source.read(HEARTBEAT_S)
            if image is None:
                continue
            body, framing = view.apply(image)  # of every picture: the view follows the person
            face = view.face(image)
            if due_ns is not None and image.media_ns < due_ns:
                continue
            due_ns = image.media_ns + step_ns if due_ns is None else max(due_ns + step_ns, image.media_ns)
            there = framing.person_found is not False
            row = (
                np.int64(image.media_ns),
                body if there else np.zeros_like(body),
                black if face is None else face,
                np.uint8(there),
                np.uint8(face is not None),
            )
            for name, value in zip(kept, row, strict=True):
                kept[name].append(np.asarray(value))
            if len(kept["body"]) > MOST_PICTURES:
                raise BadInput(
                    f"a recording of up to {MOST_PICTURES} pictures kept",
                    "a longer one",
                    "cut it, or give a lower --rate",
                )
    if not kept["body"]:
        raise BadInput("a recording", f"{options.recording}, which has no pictures", "check the file")
    return {name: np.stack(values) for name, values in kept.items()}


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".npz")
    os.close(handle)
    part = Path(name)
    try:
        np.savez_compressed(part, **arrays)  # type: ignore[arg-type]
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
