"""Folders of drawings: of which sessions and by which program they are; whole files or none."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np

from engines import landmarks
from engines.common.errors import BadInput
from engines.common.process_pool import process_pool

Report = Callable[[str, int, int], None]  # stage, done, of how many
MANIFEST = "manifest.json"
HINT = "delete that folder, or choose another --cache"


def digest_of(plan: object) -> str:
    """All that decides drawings: a plan's settings, this package and `engines.landmarks`, the libraries that draw."""
    digest = hashlib.sha256(f"{plan!r} numpy {np.__version__} cv2 {cv2.__version__}".encode())
    for folder in (Path(__file__).parent, Path(str(landmarks.__file__)).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def lock_folder(folder: Path, identity: str) -> None:
    """Open or make the folder of the drawings with this digest.

    Raises:
        BadInput: it cannot be written, or holds something else.
    """
    manifest = folder / MANIFEST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not manifest.exists():
            if any(folder.iterdir()):
                raise BadInput(
                    "an empty folder, or a cache of drawings", f"{folder} with other files", "choose another --cache"
                )
            write_whole(manifest, lambda path: path.write_bytes(msgspec.json.encode({"identity": identity})))
        found = msgspec.json.decode(manifest.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput("a folder for drawings", f"{folder} ({error})", "choose another --cache") from None
    if found.get("identity") != identity:
        raise BadInput("drawings of the same sessions by the same program", f"others in {folder}", HINT)


def make_missing(make: Callable[[int], None], missing: Sequence[int], workers: int, what: str, report: Report) -> None:
    """`make` what is missing, in `workers` processes; 0: in this one."""
    if workers < 1 or not missing:
        for done, number in enumerate(missing, 1):
            make(number)
            report(what, done, len(missing))
        return
    with process_pool(workers) as pool:
        for done, _ in enumerate(pool.map(make, missing), 1):
            report(what, done, len(missing))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
