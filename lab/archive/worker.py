"""A worker: archives one recording after the other, each in a session as `replay --speed max` runs it.

Runs as `python -m lab.archive.worker`. Standard input holds the `Task` and a `Job` a line, its end stops the worker,
which so ends when whoever started it dies; standard output gets an `Outcome` a line.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from engines.common.errors import BadInput, Failed
from engines.common.printable import printable
from engines.runtimes import RuntimeFailed
from lab.archive.dataset import Dataset, Order
from lab.archive.jobs import Job, Outcome, Task, from_line, to_line
from lab.archive.tables import TablesOutput
from realtime.analysis.lane import Model
from realtime.capture.sources import FileSpec
from realtime.config import Config
from realtime.request import Request
from realtime.session import Session, open_models
from realtime.session_loop import SessionFailed

CLOSING_S = 5.0  # that a recording under way gets to end


def archive(task: Task, job: Job, models: Sequence[Model], stop: threading.Event) -> Outcome:
    """One recording into the dataset. Raises OSError: the dataset cannot be written."""
    dataset, order, recording = Dataset(Path(task.dataset)), task.order, job.recording
    if dataset.has(job.id):
        return Outcome(job.id, "archived", "before")
    try:
        with dataset.new(job.id) as folder:
            tables = TablesOutput(folder, order.posteriors, order.emotion_seal is not None)
            session = Session(
                FileSpec(job.path), order.model, [tables], models=models, speed=None, **settings_of(order)
            )
            try:
                session.run(stop)
            except SessionFailed as error:
                if tables.error is not None:
                    raise tables.error from None
                if isinstance(error.__cause__, RuntimeFailed) and any(one.runtime.remote for one in models):
                    raise Failed(str(error)) from None  # the server's fault, not the recording's
                raise
            if stop.is_set():
                raise _Stopped
            tables.finish({"path": printable(job.path), "bytes": job.bytes})
    except _Stopped:
        return Outcome(job.id, "stopped")
    except (BadInput, SessionFailed) as error:
        dataset.write_error(recording, str(error))
        return Outcome(job.id, "failed", str(error))
    return Outcome(job.id, "archived")


def settings_of(order: Order) -> dict[str, Any]:
    """Of a `Request`."""
    return {"config": msgspec.convert(order.config, Config), "emotion": order.emotion}


def open_for(order: Order, runtimes: contextlib.ExitStack) -> tuple[Model, ...]:
    """The models, open; their runtimes are the stack's to close.

    Raises:
        BadInput: a model is missing here, or is another one than the archive was begun with.
        Failed: it cannot be run here.
    """
    request = Request((FileSpec("a recording"),), order.model, speed=None, **settings_of(order))
    models = open_models(request, runtimes)
    for model, seal in zip(models, (order.seal, order.emotion_seal), strict=False):
        if model.bundle.card.seal != seal:
            name = model.bundle.card.name
            raise BadInput(f"the model {name} that the archive was begun with", "another", "copy it to every machine")
    return models


class _Stopped(Exception):
    """The dataset is to be left as it was."""


def main() -> int:
    """Entry point of the process."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not end up among the answers
    faulthandler.enable(os.dup(2))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    lines: queue.Queue[bytes] = queue.Queue()
    stop = threading.Event()
    threading.Thread(target=_read, args=(lines, stop), daemon=True).start()
    task = from_line(lines.get(), Task)
    with contextlib.ExitStack() as runtimes:
        models: tuple[Model, ...] | None = None
        while line := lines.get():
            job = from_line(line, Job)
            try:
                models = models or open_for(task.order, runtimes)
                outcome = archive(task, job, models, stop)
            except BadInput as error:
                outcome = Outcome(job.id, "unusable", str(error))
            except (Failed, OSError) as error:
                outcome = Outcome(job.id, "broken", str(error))
            os.write(answers, to_line(outcome))
    return 0


def _read(lines: queue.Queue[bytes], stop: threading.Event) -> None:
    """The lines of standard input; an empty one at its end."""
    rest = b""
    while data := os.read(0, 65536):  # not sys.stdin: its lock, held here, would abort the interpreter's shutdown
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            lines.put(line)
    stop.set()
    lines.put(b"")
    time.sleep(CLOSING_S)
    os._exit(1)  # something would not end


if __name__ == "__main__":
    sys.exit(main())
