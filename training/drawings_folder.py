"""Folders of drawings: of which sessions and by which program they are; files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

import simulation
from engines import landmarks
from engines.common.errors import BadInput

MANIFEST = "manifest.json"


def digest_of(settings: str) -> str:
    """All that decides drawings: settings and program, which is `simulation` and `engines.landmarks`."""
    digest = hashlib.sha256(settings.encode())
    for package in (simulation, landmarks):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def claim(folder: Path, identity: str) -> None:
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
        raise BadInput(
            "drawings of the same sessions by the same program",
            f"others in {folder}",
            "delete that folder, or choose another --cache",
        )


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
