"""Models to measure with: seeded and untrained, which costs the same time as trained ones."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from engines.__main__ import main as engines_command
from engines.bundle import Bundle, known


def manet_r50(folder: Path) -> Bundle:
    """MANet-R50, 8x224x224, as the official checkpoint has it, with seeded untrained weights."""
    path = folder / "manet-r50"
    if not path.exists():
        with contextlib.redirect_stdout(sys.stderr):  # standard output belongs to the results
            engines_command(["init", "--out", str(path), "--seed", "0"])
    return Bundle.load(path)


def emotion_model(folder: Path) -> Bundle:
    """The default emotion model; where it is not there, an untrained one of its size."""
    if "emotions-small" in known():
        return Bundle.load(known()["emotions-small"])
    path = folder / "untrained-emotion"
    with contextlib.redirect_stdout(sys.stderr):
        fields = ("body.depth=18", "body.width=16", "body.size=112", "face.depth=18", "face.width=16")
        command = ["init", "--network", "maenet", "--view", "landmarks", "--out", str(path)]
        engines_command([*command, *(f"--set={field}" for field in fields)])
    return Bundle.load(path)
