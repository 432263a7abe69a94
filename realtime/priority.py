"""Who gets a core when there are too few: capture before the engine.

A frame that is not read in time is lost; a window that waits is only late. Every window counts on the frames.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def lower_priority(nice: int) -> None:
    """Lower the priority of the calling thread, and of those that it will start, by `nice` (0 to 19).

    Only Linux has threads with a priority of their own; elsewhere nothing changes.
    """
    if sys.platform != "linux" or nice <= 0:
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):  # a sandbox may forbid it: all are equal then
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + nice, 19))


def at_low_priority(nice: int, make: Callable[[], T]) -> T:
    """What `make` gives, made in a thread of low priority, which the worker threads that it leaves behind inherit.

    Where the caller is interrupted meanwhile, the thread is left to itself.
    """
    future: Future[T] = Future()

    def work() -> None:
        lower_priority(nice)
        try:
            future.set_result(make())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            future.set_exception(error)

    threading.Thread(target=work, name="engine-opening", daemon=True).start()
    return future.result()
