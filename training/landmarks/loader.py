"""Batches of a recipe's epochs, made ahead by a process of their own where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from engines.landmarks.recordings import load_sequences
from simulation.landmark_cache import LandmarkPlan, load_or_make
from training.landmarks.batches import MixedBatches, RealWindows, SimulatedWindows


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """All that decides the batches; small enough to hand to another process, which opens the data itself."""

    sessions: LandmarkPlan
    folder: Path  # of the simulated sessions, made already
    recordings: tuple[Path, ...]  # none: simulated people alone
    steps: int  # T
    size: int  # of a batch
    real_share: float
    seed: int

    def open(self) -> MixedBatches:
        """Read the data. Raises BadInput: see `load_sequences` and `load_or_make`."""
        simulated = SimulatedWindows(load_or_make(self.folder, self.sessions, lambda *_: None), self.steps)
        files = [load_sequences(path) for path in self.recordings]
        real = RealWindows(files, self.steps) if files and self.real_share else None
        return MixedBatches(simulated, real, self.size, self.real_share, self.seed)


class _Batches(Dataset[dict[str, Tensor]]):
    """Batches by (epoch, number)."""

    def __init__(self, plan: BatchPlan) -> None:
        self._plan = plan
        self._made: MixedBatches | None = None

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        if self._made is None:
            self._made = self._plan.open()
        return self._made.make(*key)


@dataclass(slots=True)
class Batches:
    """The batches of one epoch after the other. With `workers`, one process makes all of them."""

    plan: BatchPlan
    workers: int
    _keys: list[tuple[int, int]] = field(default_factory=list)
    _loader: DataLoader[dict[str, Tensor]] | None = None

    def epoch(self, number: int, first: int, count: int) -> Iterator[dict[str, Tensor]]:
        """The batches `first`..`count` - 1 of an epoch."""
        if self._loader is None:
            workers = min(self.workers, 1)
            self._loader = DataLoader(
                _Batches(self.plan),
                batch_size=None,
                sampler=cast("list[int]", self._keys),  # the stubs know numbers alone
                num_workers=workers,
                persistent_workers=bool(workers),
                worker_init_fn=_start_worker,
                multiprocessing_context="spawn" if workers else None,  # a fork may copy a lock that some thread holds
                generator=torch.Generator(),  # its own: the global one belongs to dropout
            )
        self._keys[:] = [(number, at) for at in range(first, count)]
        yield from self._loader


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)
