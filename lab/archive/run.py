"""One run of an archive: what is not in the dataset yet goes through a pool, the longest recordings first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec
from rich.console import Console

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.common.errors import BadInput, Failed
from engines.common.log import log
from engines.runtimes import open_runtime
from lab.archive.dataset import Dataset, Order, check_space, needed_bytes, needed_export_bytes
from lab.archive.exports import export_archive
from lab.archive.jobs import Job, Outcome, Pool, Task
from lab.archive.progress import Progress
from lab.archive.recordings import Recording
from realtime.capture.sources import FileSpec
from realtime.config import Config
from realtime.request import Request
from realtime.session import find_emotion

MOST_DEATHS = 2  # of a recording's process: then it is set aside

MakePool = Callable[[Task, int], AbstractContextManager[Pool]]  # takes the lock's descriptor, too


def make_order(model: str, config: Config, emotion: str | None, posteriors: bool, before: Order | None) -> Order:
    """What an archive is made with. The engine is chosen once, so that every worker gives the same scores.

    Args:
        before: what the dataset was begun with: its engine goes on, unless another is asked for.

    Raises:
        BadInput: no such model, or none that fits.
    """
    bundle = Bundle.load(bundles.find(model))
    bundle.card.need("actions")
    request = Request((FileSpec("a recording"),), model, config, emotion=emotion)
    emotion_bundle = find_emotion(request, bundle, tracked=False)
    threads, runtime = config.engine.threads or 1, config.engine.runtime
    if config.server.fallback is not None:
        raise BadInput("one engine for the whole dataset", f"the fallback {config.server.fallback}", "leave it out")
    if runtime == "auto" and before is not None:
        runtime = before.config["engine"]["runtime"]
    elif runtime == "auto":
        with open_runtime(bundle, runtime, threads, log.info, log.debug) as chosen:
            runtime = chosen.name  # type: ignore[assignment]
    engine = msgspec.structs.replace(config.engine, runtime=runtime, threads=threads)
    emotions = msgspec.structs.replace(config.emotion, on=emotion_bundle is not None)
    return Order(
        model=_name_or_path(model, bundle),
        seal=bundle.card.seal,
        emotion=None if emotion_bundle is None or emotion is None else _name_or_path(emotion, emotion_bundle),
        emotion_seal=None if emotion_bundle is None else emotion_bundle.card.seal,
        posteriors=posteriors,
        config=msgspec.to_builtins(msgspec.structs.replace(config, engine=engine, emotion=emotions)),
    )


def run_archive(
    dataset: Dataset,
    order: Order,
    recordings: Sequence[Recording],
    make_pool: MakePool,
    console: Console,
    exports: Sequence[str] = (),
) -> str:
    """Archive, and export, what is not there yet. Returns what there is now, one line.

    Raises:
        BadInput: another run works on the dataset, it was made with something else, the disk is too small, or the
            user must fix something before any recording can be archived.
        Failed: something broke that is no recording's fault.
    """
    known = {one.id for one in recordings}
    todo = [one for one in recordings if not dataset.has(one.id)]
    new = [one for one in recordings if any(not dataset.export_path(name, one.id).exists() for name in exports)]
    needed = needed_bytes(todo, order.posteriors) + needed_export_bytes(new, len(exports))
    check_space(dataset.path, needed)
    dataset.begin(order)
    with ExitStack() as stack:
        lock = stack.enter_context(dataset.locked())
        dataset.clean()
        todo = [one for one in todo if not dataset.has(one.id)]
        todo.sort(key=lambda one: (-one.seconds, one.id))
        by_id = {one.id: one for one in todo}
        progress = stack.enter_context(Progress(len(known), len(todo), sum(one.seconds for one in todo), console))
        if todo:
            pool = stack.enter_context(make_pool(Task(str(dataset.path), order), lock))
            for one in todo:
                pool.submit(Job(one.id, str(one.path), one.bytes, one.seconds))
            for outcome in pool.outcomes():
                if outcome is not None and (again := _settle(dataset, by_id[outcome.id], outcome)):
                    pool.submit(again)
                elif outcome is not None:
                    progress.add(by_id[outcome.id].seconds, outcome.state != "archived")
                progress.show()
        progress.show(last=True)
        failed = export_archive(dataset, order, recordings, exports)
    lost = f"; {len(failed)} exports failed" if failed else ""
    return f"{summary(dataset, recordings)}{lost}"


def _settle(dataset: Dataset, recording: Recording, outcome: Outcome) -> Job | None:
    """What follows of an outcome: the recording again, where its process died for the first time."""
    if outcome.state == "unusable":
        raise BadInput.from_line(outcome.detail)
    if outcome.state in ("broken", "stopped"):
        raise Failed(outcome.detail or "a worker was stopped")
    if outcome.state == "failed":
        log.info("%s: %s", recording.path.name, outcome.detail)
    if outcome.state != "died":
        return None
    count = dataset.note_death(recording.id, outcome.detail)
    log.info("%s: %s (%d of %d)", recording.path.name, outcome.detail, count, MOST_DEATHS)
    if count < MOST_DEATHS:
        return Job(recording.id, str(recording.path), recording.bytes, recording.seconds)
    dataset.write_error(recording, outcome.detail, set_aside=True)
    return None


def summary(dataset: Dataset, recordings: Sequence[Recording]) -> str:
    """`57 of 60 recordings archived, 3 failed (errors.parquet says why): DATASET`."""
    states = Counter(dataset.state(one.id) for one in recordings)
    failed = f", {states['failed']} failed (errors.parquet says why)" if states["failed"] else ""
    return f"{states['archived']} of {len(recordings)} recordings archived{failed}: {dataset.path}"


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name_or_path(given: str, bundle: Bundle) -> str:
    """A name stays one, so that every machine may keep its models where it likes; a folder becomes absolute."""
    named = bundles.known().get(bundle.path.name)
    by_name = given == bundle.path.name and named is not None and named.resolve() == bundle.path.resolve()
    return bundle.path.name if by_name else str(Path(bundle.path).absolute())
