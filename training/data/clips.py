"""Trimmed, labelled videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.preprocess import center_crop, crop_resized, resize_short_side, short_side_for
from engines.specs.sampling import Sampling
from engines.taxonomy import ACTIONS
from training.data.clip_lists import Entry
from training.data.examples import Example, Float32Array, UInt8Array
from training.data.video import Indices, read_frames

# Crop sides as shares of the short side (TSN, Wang et al. 2016, section 3.2: {256, 224, 192, 168} of 256).
CROP_SCALES = (1.0, 0.875, 0.75, 0.66)
FLIP_SHARE = 0.5  # none of the 52 actions is of the left or of the right


@dataclass(frozen=True)
class ClipSource:
    """Clips uint8 (T, S, S, 3) and targets float32 (52,): varied for training, the official view for evaluation.

    Training takes frames as `varied_indices`, a multi-scale crop and a random flip; evaluation takes the frames of
    `Sampling.indices` and the crop of `center_crop`.
    """

    entries: Sequence[Entry]
    folder: Path
    sampling: Sampling
    size: int  # S
    seed: int = 0
    augment: bool = False

    def __len__(self) -> int:
        return len(self.entries)

    def item(self, index: int, epoch: int) -> Example:
        """See `Source.item`."""
        entry = self.entries[index]
        if self.augment:
            rng = np.random.default_rng([self.seed, epoch, index])
            images = read_frames(self.folder / entry.name, lambda count: varied_indices(count, self.sampling, rng))
            clip = vary(images, self.size, rng)
        else:
            images = read_frames(self.folder / entry.name, self.sampling.indices)
            clip = np.stack([center_crop(image, self.size) for image in images])
        return {"clips": clip, "targets": one_hot(entry.index)}


def one_hot(index: int) -> Float32Array:
    """(52,), 1 at `index`."""
    target = np.zeros(len(ACTIONS), np.float32)
    target[index] = 1.0
    return target


def varied_indices(count: int, sampling: Sampling, rng: np.random.Generator) -> Indices:
    """Frames of a training clip of `count` frames, ascending, shape (T,).

    Segments: a random frame of each of T equal ones, `int((i + u) · N / T)`, u in [0, 1) (TSN, section 3.1). Dense: at
    the stride, from a random frame on; a clip too short for that is cut into segments.
    """
    draws = rng.random(sampling.frames)
    reach = (sampling.frames - 1) * sampling.stride
    if sampling.layout == "dense" and reach < count:
        return int(draws[0] * (count - reach)) + np.arange(sampling.frames) * sampling.stride
    return ((np.arange(sampling.frames) + draws) * count / sampling.frames).astype(np.int64)


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
