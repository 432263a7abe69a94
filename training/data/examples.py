"""Numbered examples, and the batches they make.

Everything random about an example is a function of (seed, epoch, index): the order of workers and a restart in the
middle of an epoch change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from engines.common.errors import BadInput

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Example = dict[str, Any]  # arrays by name, without the leading N


class Source(Protocol):
    """Numbered examples that can be read again and again, each epoch varied."""

    def __len__(self) -> int:
        """Examples of an epoch."""
        ...

    def item(self, index: int, epoch: int) -> Example:
        """One example. Raises BadInput: it cannot be read."""
        ...


class _Examples(Dataset[Example | str]):
    """A source for torch's loader. Bad input crosses the process border as its line."""

    def __init__(self, source: Source, epoch: int) -> None:
        self._source, self._epoch = source, epoch

    def __getitem__(self, index: int) -> Example | str:
        try:
            return self._source.item(index, self._epoch)
        except BadInput as error:
            return str(error)


def batches(
    source: Source, order: Sequence[int], epoch: int, batch_size: int, workers: int = 0
) -> Iterator[dict[str, Tensor]]:
    """Batches of the examples in `order`; the last one may be smaller.

    Args:
        source: where they come from.
        order: numbers of examples.
        epoch: passed on to the source.
        batch_size: B.
        workers: processes that prepare batches ahead; 0: none.

    Raises:
        BadInput: an example cannot be read.
    """
    loader: Iterable[dict[str, Tensor] | str] = DataLoader(
        _Examples(source, epoch),
        batch_size=batch_size,
        sampler=list(order),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="spawn" if workers else None,  # a fork may copy a lock that some thread holds
        generator=torch.Generator(),  # its own: the global one belongs to dropout and must not depend on the loader
    )
    for batch in loader:
        if isinstance(batch, str):
            raise BadInput.from_line(batch)
        yield batch


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """The examples of an epoch in random order, the same for the same seed and epoch."""
    order: list[int] = np.random.default_rng([seed, epoch, count]).permutation(count).tolist()
    return order


def _collate(items: Sequence[Example | str]) -> dict[str, Tensor] | str:
    refused = next((item for item in items if isinstance(item, str)), None)
    batch: dict[str, Tensor] | str = default_collate(list(items)) if refused is None else refused
    return batch


def _start_worker(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
