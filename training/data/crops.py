"""How a training clip's pictures are cut, as mmaction2's configurations of each network have it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from engines.preprocess import crop_resized, resize_short_side, short_side_for
from training.data.examples import UInt8Array
from training.recipe import Strict

FLIP_SHARE = 0.5  # none of the 52 actions is of the left or of the right
NEAR = 3  # pixels: a crop that is this near to the network's size is of that size
AREAS, ASPECTS = (0.08, 1.0), (3 / 4, 4 / 3)  # of "resized": shares of the picture, width over height
TRIES = 10  # of "resized", before the centre is taken
LONGEST_SIDE = 320 / 256  # of "rescaled": the short side is up to so many times as long

# Places of a crop in quarters of the room that it has: (across, down). The corners and the centre; and eight between.
CORNERS = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2))
BETWEEN = ((0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3))


class Crop(Strict, frozen=True):
    """The crop of a training clip; after a resize to a short side of 256 for 224 pixels."""

    # multi_scale: sides of `scales`, at fixed places (TSN). random: of the network's size, anywhere. resized: of any
    # area and aspect, anywhere (Inception). rescaled: as random, of a picture up to a quarter larger.
    kind: Literal["multi_scale", "random", "resized", "rescaled"] = "multi_scale"
    scales: tuple[Annotated[float, Meta(gt=0.0, le=1.0)], ...] = (1.0, 0.875, 0.75, 0.66)  # shares of the short side
    gap: Annotated[int, Meta(ge=0)] = 1  # steps of `scales` between width and height, at most
    places: Literal[5, 13] = 13


TSN_CROP = Crop()


class Box(NamedTuple):
    """A crop of a resized picture, pixels."""

    short_side: int
    top: int
    left: int
    height: int
    width: int
    flip: bool


def draw_box(height: int, width: int, size: int, crop: Crop, rng: np.random.Generator) -> Box:
    """The crop and flip of a clip of (height, width) for a network of `size` pixels."""
    short = short_side_for(size)
    if crop.kind == "rescaled":
        short = int(rng.integers(short, int(short * LONGEST_SIDE) + 1))
    scale = short / min(height, width)
    rows, columns = int(height * scale + 0.5), int(width * scale + 0.5)
    if crop.kind == "multi_scale":
        sides = [int(short * one) for one in crop.scales]
        sides = [size if abs(side - size) < NEAR else side for side in sides]
        pairs = [(i, j) for i in range(len(sides)) for j in range(len(sides)) if abs(i - j) <= crop.gap]
        first, second = pairs[int(rng.integers(len(pairs)))]
        places = CORNERS if crop.places == 5 else CORNERS + BETWEEN
        across, down = places[int(rng.integers(len(places)))]
        high, wide = sides[first], sides[second]
        top, left = (rows - high) // 4 * down, (columns - wide) // 4 * across
    else:
        high, wide = _resized(rows, columns, rng) if crop.kind == "resized" else (size, size)
        top, left = int(rng.integers(rows - high + 1)), int(rng.integers(columns - wide + 1))
    return Box(short, top, left, high, wide, bool(rng.random() < FLIP_SHARE))


def cut(images: Sequence[UInt8Array], size: int, crop: Crop, rng: np.random.Generator) -> UInt8Array:
    """One crop and flip for all frames of a clip.

    Args:
        images: T of uint8 (H, W, 3).
        size: S.

    Returns:
        uint8 (T, S, S, 3).
    """
    height, width = images[0].shape[:2]
    box = draw_box(height, width, size, crop, rng)
    crops = []
    for image in images:
        resized = resize_short_side(image, box.short_side)
        one = crop_resized(resized, box.top, box.left, box.height, box.width, size)
        crops.append(one[:, ::-1] if box.flip else one)
    return np.stack(crops)


def _resized(rows: int, columns: int, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a crop of random area and aspect; the largest square where none fits."""
    for _ in range(TRIES):
        area = rng.uniform(*AREAS) * rows * columns
        aspect = math.exp(rng.uniform(math.log(ASPECTS[0]), math.log(ASPECTS[1])))
        high, wide = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < high <= rows and 0 < wide <= columns:
            return high, wide
    return min(rows, columns), min(rows, columns)
