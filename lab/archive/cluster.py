"""Workers on a Ray cluster: the same worker process for each slot, started by a task of Ray.

The dataset, the recordings and models given by path must be at the same path on every machine. A machine that is lost
is no recording's fault: Ray runs its recordings elsewhere.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from engines.common.errors import BadInput, Failed
from lab.archive.dataset import WORK_FOLDER
from lab.archive.jobs import Job, Outcome, Pool, Task, from_line, to_line
from lab.archive.local import POLL_S, Worker

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing about an interview leaves these machines

CONNECT_S = 10.0
EXPECTED, START = "the address of a Ray cluster", "`ray start --head` starts one"

_worker: tuple[bytes, Worker] | None = None  # of this process of Ray, for one task


def need_ray() -> None:
    """Raises BadInput: it is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise BadInput("Ray for --ray", "none installed", 'pip install "manet-live[cluster]" on every machine')


def archive_here(task: bytes, job: bytes) -> bytes:
    """What Ray runs for a recording, in one of its own processes: the worker process stays for the next one."""
    global _worker
    if _worker is None or _worker[0] != task:
        order = from_line(task, Task)
        log = Path(order.dataset) / WORK_FOLDER / f"worker-{socket.gethostname()}-{os.getpid()}.log"
        _worker = task, Worker(order, log)
        atexit.register(_worker[1].close)
    return to_line(_worker[1].archive(from_line(job, Job)))


class RayPool(Pool):
    """One recording a slot (CPU) of the cluster.

    Raises:
        BadInput: no cluster answers at this address.
    """

    def __init__(self, task: Task, address: str) -> None:
        import ray

        _check_address(address)
        self._ray: Any = ray
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            got = f"{address} ({' '.join(str(error).split())[:200]})"
            raise BadInput(EXPECTED, got, START) from None
        # Lost with its machine, it is run again; a recording that kills its worker comes back as an outcome.
        self._archive = self._ray.remote(num_cpus=1, max_retries=-1)(archive_here)
        self._task = self._ray.put(to_line(task))
        self._waiting: list[Any] = []

    def __enter__(self) -> RayPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()  # its processes end, and their workers with them

    def submit(self, job: Job) -> None:
        self._waiting.append(self._archive.remote(self._task, to_line(job)))

    def outcomes(self) -> Iterator[Outcome | None]:
        while self._waiting:
            done, self._waiting = self._ray.wait(self._waiting, timeout=POLL_S)
            for one in done:
                try:
                    outcome = from_line(self._ray.get(one), Outcome)
                except self._ray.exceptions.RayError as error:
                    raise Failed(f"Ray: {' '.join(str(error).split())[:300]}") from None
                yield outcome
            if not done:
                yield None


def _check_address(address: str) -> None:
    """Ray itself waits for minutes. Raises BadInput: nothing listens at this HOST:PORT."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # auto, or local
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise BadInput(EXPECTED, f"{address} ({error})", START) from None
