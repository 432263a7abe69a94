"""Models to measure with: seeded and untrained, which costs the same time as trained ones."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from engines.__main__ import main as engines_command
from engines.bundle import Bundle


def manet_r50(folder: Path) -> Bundle:
    """MANet-R50, 8x224x224, as the official checkpoint has it, with seeded untrained weights."""
    path = folder / "manet-r50"
    if not path.exists():
        with contextlib.redirect_stdout(sys.stderr):  # standard output belongs to the results
            engines_command(["init", "--out", str(path), "--seed", "0"])
    return Bundle.load(path)
