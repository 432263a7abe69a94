"""python -m lab archive: its command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from engines.common.errors import BadInput
from lab.archive.dataset import Dataset
from lab.archive.exports import formats_of
from lab.archive.local import LocalPool
from lab.archive.recordings import find_recordings
from lab.archive.run import MakePool, cores, make_order, run_archive
from realtime import config as configuration
from realtime.session import DEFAULT_MODEL

MOST_WORKERS = 256


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("recordings", type=Path, metavar="FOLDER|LIST", help="or a text file, a path a line")
    command.add_argument("--out", type=Path, required=True, metavar="DATASET", help="new, or one to go on with")
    command.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|DIR", help=f"default: {DEFAULT_MODEL}")
    emotion = command.add_mutually_exclusive_group()
    emotion.add_argument("--emotion", metavar="NAME|DIR", help="emotion model (default: the one that fits the view)")
    emotion.add_argument("--no-emotion", action="store_true", help="load nothing of the emotion estimate")
    command.add_argument("--posteriors", action="store_true", help="the probabilities of every moment, too")
    command.add_argument(
        "--export", metavar="NAME[,NAME...]", help="every recording in formats of `export`, too; or all"
    )
    command.add_argument("--engine", metavar="RUNTIME", help="as of `live`; chosen once for the whole dataset")
    command.add_argument("--server", metavar="HOST:PORT", help="of the inference-server; [server] of --config has more")
    command.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; the command line wins over it")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="recordings at once, here (default: one a core)")
    where.add_argument("--ray", metavar="ADDRESS", help="on a Ray cluster: auto, or its HOST:PORT")


def run(options: argparse.Namespace) -> None:
    """Archive what is not archived yet."""
    overrides = {
        "engine": {"runtime": options.engine},
        "server": {"address": options.server},
        "emotion": {"on": False if options.no_emotion else True if options.emotion else None},
    }
    config = configuration.load(options.config, overrides)
    make_pool, exports = _pool(options), formats_of(options.export)
    dataset = Dataset(options.out)
    before = dataset.order()
    recordings = find_recordings(options.recordings)
    order = make_order(options.model, config, options.emotion, options.posteriors, before)
    print(run_archive(dataset, order, recordings, make_pool, Console(stderr=True), exports))


def _pool(options: argparse.Namespace) -> MakePool:
    if options.ray is not None:
        from lab.archive.cluster import RayPool, need_ray

        need_ray()
        return lambda task, _: RayPool(task, options.ray)
    workers = cores() if options.workers is None else options.workers
    if not 1 <= workers <= MOST_WORKERS:
        raise BadInput(f"1 to {MOST_WORKERS} workers", str(workers), "give another --workers")
    return lambda task, lock: LocalPool(task, workers, lock)
