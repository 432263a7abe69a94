"""Examples of emotion models: emotion windows with what was felt and done, and their variation in training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from engines.landmarks.face_drawing import mirror_face
from engines.landmarks.mirror import mirror
from engines.networks.landmark_features import mirrored as mirrored_landmarks
from engines.specs.base import EmotionSpec
from engines.taxonomy import ACTIONS
from simulation.emotion_cache import EmotionCache
from simulation.emotion_windows import AnyArray
from training.data.examples import Example, Float32Array

# How often a branch is hidden from a training window, whole or for a run of frames, so that either learns to stand
# alone.
HIDDEN, HIDDEN_RUN = 0.12, 0.2


class EmotionWindow(NamedTuple):
    """One emotion window with its labels."""

    inputs: dict[str, AnyArray]  # (T, ...) each, by the names of the spec's `inputs`
    felt: Float32Array  # (6,) share of each emotion, and of none
    actions: Float32Array  # (52,) 0 or 1


@dataclass
class EmotionSource(ABC):
    """Numbered emotion windows; a `Source` whose examples hold the inputs, `felt`, `done` and the `index`."""

    augment: bool  # vary the windows
    seed: int = 0
    drawn: bool = True  # of the landmark view
    bodies: bool = True  # without them: they cost most, and a frozen branch knows them

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def window(self, index: int, rng: np.random.Generator | None) -> EmotionWindow:
        """One window, drawn at random where `rng` is given. Raises BadInput: it cannot be read."""

    @abstractmethod
    def labels(self) -> tuple[Float32Array, Float32Array]:
        """`felt` (N, 6) and `actions` (N, 52) of all windows, without their pictures."""

    def item(self, index: int, epoch: int) -> Example:
        """See `Source.item`."""
        rng = np.random.default_rng([self.seed, epoch, index]) if self.augment else None
        window = self.window(index, rng)
        if rng is not None:
            window = vary(window, rng, drawn=self.drawn)
        return {**window.inputs, "felt": window.felt, "done": window.actions, "index": index}


@dataclass
class SimulatedEmotion(EmotionSource):
    """Emotion windows of simulated interviews."""

    cache: EmotionCache = field(kw_only=True)
    spec: EmotionSpec = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.cache.windows)

    def window(self, index: int, rng: np.random.Generator | None) -> EmotionWindow:
        """See `EmotionSource.window`."""
        kept = self.cache.windows[index]
        done = np.zeros(len(ACTIONS), np.float32)
        done[kept.actions] = 1.0
        return EmotionWindow(kept.open(self.spec, rng, self.bodies), np.array(kept.felt, np.float32), done)

    def labels(self) -> tuple[Float32Array, Float32Array]:
        """See `EmotionSource.labels`."""
        return self.cache.labels()


def vary(window: EmotionWindow, rng: np.random.Generator, *, drawn: bool) -> EmotionWindow:
    """A training window, varied: mirrored or not, a branch hidden now and then.

    Args:
        window: as it was cut.
        rng: drawn from a fixed number of times.
        drawn: it is of the landmark view, whose mirror image exchanges red and blue.
    """
    inputs = dict(window.inputs)
    mirrored = bool(rng.random() < 0.5)
    if mirrored and "landmarks" in inputs:
        inputs["landmarks"] = mirrored_landmarks(torch.from_numpy(inputs["landmarks"][None]))[0].numpy()
    for name, turn in (("body", mirror), ("face", mirror_face)):
        if mirrored and name in inputs:
            inputs[name] = turn(inputs[name]) if drawn else np.ascontiguousarray(inputs[name][:, :, ::-1])
    hidden = rng.random()
    for name, whole in (("body_seen", hidden < HIDDEN), ("face_seen", hidden > 1.0 - HIDDEN)):
        run, start, length = rng.random(), rng.random(), rng.random()
        if name in inputs:
            seen = inputs[name].copy()
            if whole and {"body_seen", "face_seen"} <= inputs.keys():
                seen[:] = 0
            elif run < HIDDEN_RUN:
                first = int(start * len(seen))
                seen[first : first + 1 + int(0.6 * length * len(seen))] = 0
            inputs[name] = seen
    return window._replace(inputs=inputs)
