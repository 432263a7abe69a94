"""Training examples: where they come from, how they are varied, and the batches they make.

Everything random about an example is a function of (seed, epoch, index): the order of workers and a restart in the
middle of an epoch change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from engines.common.errors import BadInput
from engines.preprocess import center_crop, clip_frame_indices, crop_resized, resize_short_side, short_side_for
from engines.taxonomy import ACTIONS
from training.lists import Entry
from training.video import Indices, UInt8Array, read_frames

Float32Array = npt.NDArray[np.float32]

# Crop sides as shares of the short side (TSN, Wang et al. 2016, section 3.2: {256, 224, 192, 168} of 256).
CROP_SCALES = (1.0, 0.875, 0.75, 0.66)
FLIP_SHARE = 0.5  # none of the 52 actions is of the left or of the right


class Source(Protocol):
    """Numbered items of one or more examples each, that can be drawn again and again, each epoch varied."""

    @property
    def per_item(self) -> int:
        """K, examples per item."""
        ...

    def __len__(self) -> int:
        """Items per epoch."""
        ...

    def item(self, index: int, epoch: int) -> tuple[UInt8Array, Float32Array]:
        """Clips uint8 (K, T, S, S, 3) and targets float32 (K, 52), the share of each action, 0..1."""
        ...


class Batch(NamedTuple):
    """B examples."""

    clips: Tensor  # uint8 (B, T, S, S, 3)
    targets: Tensor  # float32 (B, 52)


@dataclass(frozen=True)
class ClipSource:
    """Trimmed, labelled videos: varied for training, the official view for evaluation.

    Training takes a random frame of each of the T segments (TSN, section 3.1), a multi-scale crop and a random flip.
    Evaluation takes `engines.preprocess.clip_frame_indices` and `center_crop`.
    """

    entries: Sequence[Entry]
    folder: Path
    length: int  # T
    size: int  # S
    seed: int = 0
    augment: bool = False

    @property
    def per_item(self) -> int:
        return 1

    def __len__(self) -> int:
        return len(self.entries)

    def item(self, index: int, epoch: int) -> tuple[UInt8Array, Float32Array]:
        """See `Source.item`.

        Raises:
            BadInput: the video cannot be read.
        """
        entry = self.entries[index]
        if self.augment:
            rng = np.random.default_rng([self.seed, epoch, index])
            images = read_frames(self.folder / entry.name, lambda count: segment_indices(count, self.length, rng))
            clip = vary(images, self.size, rng)
        else:
            images = read_frames(self.folder / entry.name, lambda count: clip_frame_indices(count, self.length))
            clip = np.stack([center_crop(image, self.size) for image in images])
        return clip[None], one_hot(entry.index)[None]


def one_hot(index: int) -> Float32Array:
    """(52,), 1 at `index`."""
    target = np.zeros(len(ACTIONS), np.float32)
    target[index] = 1.0
    return target


def segment_indices(frame_count: int, length: int, rng: np.random.Generator) -> Indices:
    """A random frame of each of T equal segments: `int((i + u) · N / T)`, u in [0, 1); ascending, shape (T,)."""
    return ((np.arange(length) + rng.random(length)) * frame_count / length).astype(np.int64)


def vary(images: Sequence[UInt8Array], size: int, rng: np.random.Generator) -> UInt8Array:
    """One multi-scale crop and flip for all frames of a clip.

    Width and height of the crop are drawn from `CROP_SCALES`, at most one step apart (TSN's scale jittering), its place
    uniformly.

    Args:
        images: T of uint8 (H, W, 3).
        size: S.
        rng: drawn from a fixed number of times.

    Returns:
        uint8 (T, S, S, 3).
    """
    short_side = short_side_for(size)
    step = int(rng.integers(len(CROP_SCALES)))
    other = min(max(step + int(rng.integers(-1, 2)), 0), len(CROP_SCALES) - 1)
    place = rng.random(2)
    flip = bool(rng.random() < FLIP_SHARE)
    crops = []
    for image in images:
        resized = resize_short_side(image, short_side)
        height, width = round(short_side * CROP_SCALES[step]), round(short_side * CROP_SCALES[other])
        top = int(place[0] * (resized.shape[0] - height + 1))
        left = int(place[1] * (resized.shape[1] - width + 1))
        crop = crop_resized(resized, top, left, height, width, size)
        crops.append(crop[:, ::-1] if flip else crop)
    return np.stack(crops)


class _Examples(Dataset[tuple[UInt8Array, Float32Array] | str]):
    """A source for torch's loader. Bad input crosses the process border as its line."""

    def __init__(self, source: Source, epoch: int) -> None:
        self._source, self._epoch = source, epoch

    def __getitem__(self, index: int) -> tuple[UInt8Array, Float32Array] | str:
        try:
            return self._source.item(index, self._epoch)
        except BadInput as error:
            return str(error)


def _collate(items: Sequence[tuple[UInt8Array, Float32Array] | str]) -> Batch | str:
    examples = []
    for item in items:
        if isinstance(item, str):
            return item
        examples.append(item)
    clips, targets = zip(*examples, strict=True)
    return Batch(torch.from_numpy(np.concatenate(clips)), torch.from_numpy(np.concatenate(targets)))


def batches(source: Source, order: Sequence[int], epoch: int, batch_size: int, workers: int = 0) -> Iterator[Batch]:
    """Batches of the items in `order`; the last one may be smaller.

    Args:
        source: what they are drawn from.
        order: indices of the source's items.
        epoch: passed on to the source.
        batch_size: B, examples, rounded down to whole items.
        workers: processes that prepare batches ahead; 0: none.

    Raises:
        BadInput: an example cannot be read.
    """
    loader: Iterable[Batch | str] = DataLoader(
        _Examples(source, epoch),
        batch_size=items_per_batch(source, batch_size),
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


def items_per_batch(source: Source, batch_size: int) -> int:
    """Items that make a batch of about `batch_size` examples."""
    return max(1, batch_size // source.per_item)


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """The items of an epoch in random order, the same for the same seed and epoch."""
    order: list[int] = np.random.default_rng([seed, epoch, count]).permutation(count).tolist()
    return order


def _start_worker(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
