"""Processes side by side: what begins in each, and their end with a parent that is killed."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from engines.common.process_pool import process_pool

pytestmark = pytest.mark.slow

WAITING = """
import os, time
from engines.common.process_pool import process_pool
if __name__ == "__main__":
    pool = process_pool(2)
    print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)
    time.sleep(60)
"""


def set_and_leave(name: str, value: str) -> None:
    os.environ[name] = value


def test_each_process_begins_as_asked_for_and_order_is_kept() -> None:
    with process_pool(2, set_and_leave, "BEGUN", "yes") as pool:
        assert list(pool.map(os.getenv, ["BEGUN"] * 4)) == ["yes"] * 4
        assert list(pool.map(abs, range(-9, 0))) == list(range(9, 0, -1))
    assert "BEGUN" not in os.environ


def test_workers_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert workers
        parent.kill()
    gone, alive = psutil.wait_procs(workers, timeout=5)
    assert (len(gone), alive) == (len(workers), [])
