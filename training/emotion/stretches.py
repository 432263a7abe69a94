"""Examples of the emotion network: stretches with what was felt and done, packed in memory, varied and batched."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.landmarks.face_drawing import mirror_face
from engines.landmarks.mirror import mirror
from engines.specs.base import EmotionSpec
from engines.taxonomy import EMOTIONS

if TYPE_CHECKING:
    from typing import Self  # from Python 3.11 on

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Inputs = Mapping[str, UInt8Array]

LEVEL = 1  # of zlib: drawings are mostly black
# How often a branch is hidden from a training stretch, whole or for a run of frames, so that either learns to stand
# alone.
HIDDEN, HIDDEN_RUN = 0.12, 0.2


class Example(NamedTuple):
    """One stretch."""

    inputs: dict[str, UInt8Array]  # (T, ...) each, by the names of `EmotionSpec.inputs`
    felt: Float32Array  # (6,) share of each emotion, and of none
    actions: Float32Array  # (52,) 0 or 1


class Source(Protocol):
    """Numbered stretches that can be drawn again and again."""

    def __len__(self) -> int: ...

    def item(self, index: int, epoch: int) -> Example:
        """Raises BadInput where it cannot be had."""
        ...

    def labels(self) -> tuple[Float32Array, Float32Array]:
        """`felt` (N, 6) and `actions` (N, 52) of all stretches, without their pictures."""
        ...

    @property
    def plain(self) -> Source:
        """The same stretches unvaried."""
        ...

    @property
    def without_body(self) -> Source:
        """The same stretches without the pictures of the body: they cost most, and a frozen branch has seen them."""
        ...


class Varied:
    """Base of sources that vary their stretches where `_vary`, and show bodies where `_bodies`."""

    _vary: bool
    _bodies = True

    @property
    def plain(self) -> Self:
        """See `Source.plain`."""
        other = copy(self)
        other._vary = False
        return other

    @property
    def without_body(self) -> Self:
        """See `Source.without_body`."""
        other = copy(self)
        other._bodies = False
        return other


class Batch(NamedTuple):
    """B stretches."""

    inputs: dict[str, Tensor]  # uint8, in the order of `spec.inputs`
    emotion: Tensor  # float32 (B, 5) what E is trained towards
    actions: Tensor  # float32 (B, A), of `spec.actions`
    indices: list[int]  # of the source


def pack(array: UInt8Array) -> tuple[bytes, tuple[int, ...]]:
    """An array, compressed, and its shape."""
    return zlib.compress(np.ascontiguousarray(array).tobytes(), LEVEL), array.shape


def unpack(data: bytes, shape: tuple[int, ...]) -> UInt8Array:
    """What `pack` packed; not to be written to."""
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)


def emotion_target(felt: Float32Array) -> Float32Array:
    """(..., 6) → (..., 5): shares of the emotions; where none is felt, all alike: there is nothing to see."""
    count = len(EMOTIONS)
    return np.asarray(felt[..., :count] + felt[..., count:] / count, np.float32)


def vary(example: Example, rng: np.random.Generator, *, drawn: bool) -> Example:
    """A training stretch, varied: mirrored or not, a branch hidden now and then.

    Args:
        example: what was cut.
        rng: drawn from a fixed number of times.
        drawn: it is of the landmark view, whose mirror image exchanges red and blue.
    """
    inputs = dict(example.inputs)
    mirrored = bool(rng.random() < 0.5)
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
    return example._replace(inputs=inputs)


def batches(source: Source, order: Sequence[int], epoch: int, batch_size: int, spec: EmotionSpec) -> Iterator[Batch]:
    """Batches of the stretches in `order`; the last one may be smaller. Raises BadInput: see `Source.item`."""
    wanted = list(spec.actions)
    for start in range(0, len(order), batch_size):
        indices = list(order[start : start + batch_size])
        examples = [source.item(index, epoch) for index in indices]
        inputs = {
            name: torch.from_numpy(np.stack([one.inputs[name] for one in examples]))
            for name in spec.inputs
            if name in examples[0].inputs
        }
        felt, actions = (np.stack([getattr(one, name) for one in examples]) for name in ("felt", "actions"))
        yield Batch(inputs, torch.from_numpy(emotion_target(felt)), torch.from_numpy(actions[:, wanted]), indices)
