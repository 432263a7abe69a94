"""What a run uses and what does not decide its weights."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from simulation.cache_folder import Report


class Machine(NamedTuple):
    """Folders, processes and threads."""

    out: Path
    cache: Path  # for drawings and prepared videos
    workers: int = 0  # processes that prepare examples
    draw_workers: int = 2  # processes that draw or judge sessions
    threads: int = 0  # of the CPU; 0: all
    report: Report = lambda *_: None  # receives progress of what is no training
