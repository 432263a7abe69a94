"""Workers on this machine: each a process that is started again when it dies."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from lab.archive.dataset import WORK_FOLDER
from lab.archive.jobs import Job, Outcome, Pool, Task, from_line, to_line
from lab.archive.worker import CLOSING_S

POLL_S = 0.5


class Worker:
    """One worker process, started with its first recording.

    It leads a session of its own, so that a Ctrl-C in the terminal reaches us alone.

    Args:
        log: where what its libraries print goes.
        inherited: a descriptor that it holds open, too.
    """

    def __init__(self, task: Task, log: Path, inherited: int | None = None) -> None:
        self._task, self._log, self._inherited = task, log, inherited
        self._process: subprocess.Popen[bytes] | None = None

    def archive(self, job: Job) -> Outcome:
        """Have a recording archived. A process that dies of it is replaced with the next one."""
        process = self._process = self._process or self._start()
        line = b""
        if process.stdin is not None and process.stdout is not None:
            with contextlib.suppress(OSError):
                process.stdin.write(to_line(job))
                process.stdin.flush()
                line = process.stdout.readline()
        if line.endswith(b"\n"):
            outcome = from_line(line, Outcome)
            if outcome.state == "failed":
                self.close()  # what a failed session may have left running ends with its process
            return outcome
        self._process = None
        code = process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Outcome(job.id, "died", f"its process ended with {how}{self._last_output()}")

    def close(self) -> None:
        """End the process; what is under way is not archived. May be called from another thread."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(2 * CLOSING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lab.archive.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                pass_fds=() if self._inherited is None else (self._inherited,),
                # the process must find the packages wherever this one found them
                env={**os.environ, "PYTHONPATH": paths},
            )
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # it died at once, as the first recording will find
                process.stdin.write(to_line(self._task))
                process.stdin.flush()
        return process

    def _last_output(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f"; it last printed: {lines[-1]}" if lines else ""


class LocalPool(Pool):
    """So many workers, each with a thread that feeds it.

    Args:
        lock: the descriptor of the dataset's lock, which a worker that outlives us goes on to hold.
    """

    def __init__(self, task: Task, workers: int, lock: int) -> None:
        folder = Path(task.dataset) / WORK_FOLDER
        self._workers = [Worker(task, folder / f"worker-{at}.log", lock) for at in range(workers)]
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._done: queue.Queue[Outcome] = queue.Queue()
        self._under_way = 0
        self._threads = [threading.Thread(target=self._feed, args=(one,), daemon=True) for one in self._workers]

    def __enter__(self) -> LocalPool:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        for _ in self._threads:
            self._jobs.put(None)
        closing = [threading.Thread(target=worker.close) for worker in self._workers]
        for thread in closing:
            thread.start()
        for thread in (*closing, *self._threads):
            thread.join()

    def submit(self, job: Job) -> None:
        self._under_way += 1
        self._jobs.put(job)

    def outcomes(self) -> Iterator[Outcome | None]:
        while self._under_way:
            try:
                outcome = self._done.get(timeout=POLL_S)
            except queue.Empty:
                yield None
                continue
            self._under_way -= 1
            yield outcome

    def _feed(self, worker: Worker) -> None:
        while (job := self._jobs.get()) is not None:
            self._done.put(worker.archive(job))
