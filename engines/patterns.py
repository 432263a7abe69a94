"""Seeded synthetic clips: smooth moving shapes. Stand-in inputs for parity checks, initialisation and timing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engines.expressions import encode
from engines.specs.base import Spec

AnyArray = npt.NDArray[Any]
UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

SHAPES_PER_CLIP = 5
PIXEL_STEP = 8  # few distinct values: a bundle's reference inputs compress to tens of kilobytes


def moving_patterns(seed: int, count: int, length: int, size: int, takes: int = 1) -> UInt8Array:
    """`count` clips of soft-edged discs that wander over a wavy colour gradient.

    Args:
        seed: the same seed gives the same clips, clip i independent of `count`.
        count: number of clips, N.
        length: frames per clip, T.
        size: side, pixels, S.
        takes: clips of one scene, one after the other: the same discs, elsewhere on their paths.

    Returns:
        uint8 (N, T, S, S, 3).
    """
    clips = [_clip(np.random.default_rng((seed, i // takes)), length, size, i % takes) for i in range(count)]
    return np.stack(clips) if clips else np.empty((0, length, size, size, 3), np.uint8)


def example_inputs(spec: Spec, seed: int, count: int, takes: int = 1) -> dict[str, AnyArray]:
    """Inputs of a network: patterns where it takes pictures, runs of seen and unseen frames where it takes flags, and
    slow curves between 0 and 1 where it takes numbers.

    Args:
        takes: inputs of one scene, one after the other, see `moving_patterns`.

    Returns:
        (count, ...) of the spec's `input_dtype` for each of `spec.inputs`. Of the first, every frame is seen.
    """
    inputs: dict[str, AnyArray] = {}
    for number, (name, shape) in enumerate(spec.inputs.items()):
        if spec.input_dtype == "float32" and name != "expressions" and not name.endswith("_seen"):
            inputs[name] = _curves(seed + number, count, shape, takes)
        elif name == "expressions":
            codes = encode((16.0 * _curves(seed + number, count, shape, takes) - 8.0).astype(np.float32))
            inputs[name] = codes.astype(spec.input_dtype)
        elif len(shape) == 4:
            inputs[name] = moving_patterns(seed + number, count, shape[0], shape[1], takes)
        else:
            rng = np.random.default_rng((seed, number))
            turns = rng.random((count, *shape)) < 0.25
            turns[0] = False
            inputs[name] = (turns.cumsum(axis=1) % 2 == 0).astype(spec.input_dtype)
    return inputs


def _curves(seed: int, count: int, shape: tuple[int, ...], takes: int) -> Float32Array:
    """(count, T, ...): each number swings around a place of its own."""
    found = np.empty((count, *shape), np.float32)
    for index in range(count):
        rng = np.random.default_rng((seed, index // takes))
        middle, reach, phase = (rng.random(shape[1:]) for _ in range(3))
        times = index % takes + np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) / shape[0]
        found[index] = 0.25 + 0.5 * middle + 0.25 * reach * np.sin(2 * np.pi * (times + phase))
    return found


def _clip(rng: np.random.Generator, length: int, size: int, start: int) -> UInt8Array:
    axis = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    y, x = axis[:, None], axis[None, :]  # (S, 1), (1, S)
    background = _background(rng, y, x)
    shapes = [_Disc(rng) for _ in range(SHAPES_PER_CLIP)]
    frames = np.empty((length, size, size, 3), np.uint8)
    for index in range(length):
        image = background
        for shape in shapes:
            image = shape.over(image, y, x, start + index / length)
        frames[index] = (np.clip(image, 0.0, 255.0) / PIXEL_STEP).astype(np.uint8) * PIXEL_STEP
    return frames


def _background(rng: np.random.Generator, y: Float32Array, x: Float32Array) -> Float32Array:
    """(S, S, 3): a colour, a slope and a slow wave."""
    colour, slope_y, slope_x, wave = (
        rng.uniform(low, high, 3).astype(np.float32) for low, high in ((40, 215), (-40, 40), (-40, 40), (0, 30))
    )
    angle = rng.uniform(0, np.pi)
    cycles = rng.uniform(1.0, 4.0)
    phase = np.sin(2 * np.pi * cycles * (np.cos(angle) * x + np.sin(angle) * y)).astype(np.float32)
    image: Float32Array = colour + y[..., None] * slope_y + x[..., None] * slope_x + phase[..., None] * wave
    return image


class _Disc:
    """An ellipse with a soft edge on a periodic path."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.colour = rng.uniform(0, 255, 3).astype(np.float32)
        self.center = rng.uniform(-0.7, 0.7, 2)
        self.reach = rng.uniform(0.0, 0.35, 2)
        self.cycles = rng.uniform(0.2, 2.0)
        self.phase = rng.uniform(0.0, 1.0, 2)
        self.radii = rng.uniform(0.1, 0.5, 2)

    def over(self, image: Float32Array, y: Float32Array, x: Float32Array, time: float) -> Float32Array:
        """`image` (S, S, 3) with the disc where it is at `time` (in clip lengths)."""
        at_y, at_x = self.center + self.reach * np.sin(2 * np.pi * (self.cycles * time + self.phase))
        distance = np.sqrt(((y - at_y) / self.radii[0]) ** 2 + ((x - at_x) / self.radii[1]) ** 2)
        cover = np.clip((1.0 - distance) * 8.0 + 0.5, 0.0, 1.0).astype(np.float32)[..., None]  # (S, S, 1)
        blended: Float32Array = image + cover * (self.colour - image)
        return blended
