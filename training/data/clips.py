"""Trimmed, labelled videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.preprocess import center_crop
from engines.specs.sampling import FrameRule, Sampling
from engines.taxonomy import ACTIONS
from training.data.clip_lists import Entry
from training.data.crops import TSN_CROP, Crop, cut
from training.data.examples import Example, Float32Array
from training.data.video import Indices, read_frames


@dataclass(frozen=True)
class ClipSource:
    """Clips uint8 (T, S, S, 3) and targets float32 (52,): varied for training, the official view for evaluation.

    Training takes frames as `varied_indices`, a crop as `Crop` and a random flip; evaluation takes the frames of
    `Sampling.indices` and the crop of `center_crop`.
    """

    entries: Sequence[Entry]
    folder: Path
    sampling: Sampling
    size: int  # S
    seed: int = 0
    augment: bool = False
    frames: FrameRule = "even"
    crop: Crop = TSN_CROP

    def __len__(self) -> int:
        return len(self.entries)

    def item(self, index: int, epoch: int) -> Example:
        """See `Source.item`."""
        entry = self.entries[index]
        path, sampling = self.folder / entry.name, self.sampling
        if self.augment:
            rng = np.random.default_rng([self.seed, epoch, index])
            images = read_frames(path, lambda count: varied_indices(count, sampling, rng, self.frames))
            clip = cut(images, self.size, self.crop, rng)
        else:
            images = read_frames(path, lambda count: sampling.indices(count, self.frames))
            clip = np.stack([center_crop(image, self.size) for image in images])
        return {"clips": clip, "targets": one_hot(entry.index)}


def one_hot(index: int) -> Float32Array:
    """(52,), 1 at `index`."""
    target = np.zeros(len(ACTIONS), np.float32)
    target[index] = 1.0
    return target


def varied_indices(count: int, sampling: Sampling, rng: np.random.Generator, rule: FrameRule = "even") -> Indices:
    """Frames of a training clip of `count` frames, (T,), in order of time unless it is too short for mmaction2.

    Segments: a random frame of each of T equal ones, `int((i + u) · N / T)`, u in [0, 1) (TSN, section 3.1);
    mmaction2's have `N // T` frames, so that the last `N % T` never come. Dense: at the stride, from a random frame on;
    a clip too short for that is cut into segments, or goes on from its start.
    """
    draws, steps = rng.random(sampling.frames), np.arange(sampling.frames)
    beyond = count - sampling.reach(rule)
    if sampling.layout == "dense" and (rule != "even" or beyond >= 0):
        return (int(draws[0] * (max(beyond, 0) + 1)) + steps * sampling.stride) % count
    each = count // sampling.frames
    if rule == "even":
        return ((steps + draws) * count / sampling.frames).astype(np.int64)
    if each == 0:
        return np.around(steps * count / sampling.frames).astype(np.int64) % count
    return steps * each + (draws * each).astype(np.int64)
