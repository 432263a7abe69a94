"""Models to measure with: seeded and untrained, which costs the same time as trained ones."""

from __future__ import annotations

from pathlib import Path

from engines.__main__ import main as engines_command
from engines.bundle import Bundle


def manet_r50(folder: Path) -> Bundle:
    """MANet-R50, 8x224x224, as the official checkpoint has it, with seeded untrained weights."""
    path = folder / "manet-r50"
    if not path.exists():
        engines_command(["init", "--out", str(path), "--seed", "0"])
    return Bundle.load(path)


def landmark_small(folder: Path) -> Bundle:
    """MANet-18 of a quarter of the usual width, 8x112x112 landmark drawings, with seeded untrained weights."""
    path = folder / "landmark-small"
    if not path.exists():
        engines_command(["init", "--out", str(path), "--seed", "0", "--depth", "18", "--width", "16", "--size", "112",
                         "--view", "landmarks", "--no-embedding"])  # fmt: skip
    return Bundle.load(path)
