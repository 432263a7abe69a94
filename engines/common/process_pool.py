"""Processes that compute side by side, and end when the one that started them is killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial


def process_pool(workers: int, begin: Callable[..., object] | None = None, *arguments: object) -> ProcessPoolExecutor:
    """`workers` new processes; each calls `begin(*arguments)` first.

    Spawned, not forked: runtimes and torch have threads, which a fork would lose.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, partial(_begin, begin, *arguments))


def _begin(begin: Callable[..., object] | None, *arguments: object) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin(*arguments)


def _end_with_parent() -> None:
    """End this worker with its parent: it holds its own task queue open, and would block indefinitely."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
