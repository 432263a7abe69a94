"""Crops of training clips: TSN's as in the released code, and those of the other networks' configurations."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from training.data.crops import Box, Crop, cut, draw_box

HEIGHT, WIDTH = 1080, 1296  # of MA-52: 256 x 307 after the resize


def boxes(crop: Crop, count: int = 6000) -> list[Box]:
    rng = np.random.default_rng(0)
    return [draw_box(HEIGHT, WIDTH, 224, crop, rng) for _ in range(count)]


def test_multi_scale_crops_are_the_released_codes() -> None:
    """Sides 256, 224, 192, 168; ten pairs and 13 places with equal chance; flips of half."""
    drawn = boxes(Crop())
    sides = collections.Counter((box.height, box.width) for box in drawn)
    steps = (256, 224, 192, 168)
    assert set(sides) == {(a, b) for i, a in enumerate(steps) for j, b in enumerate(steps) if abs(i - j) <= 1}
    assert all(abs(count - 600) < 120 for count in sides.values())
    places = collections.Counter((box.top, box.left) for box in drawn if (box.height, box.width) == (168, 168))
    quarter_down, quarter_across = (256 - 168) // 4, (307 - 168) // 4
    in_quarters = {(top // quarter_down, left // quarter_across) for top, left in places}
    edges = {(down, across) for down in (0, 2, 4) for across in (0, 2, 4)}
    assert in_quarters == edges | {(1, 1), (1, 3), (3, 1), (3, 3)}
    assert sum(box.flip for box in drawn) / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert {box.short_side for box in drawn} == {256}


def test_a_side_near_the_networks_is_the_networks() -> None:
    assert {box.height for box in boxes(Crop(scales=(0.88,), gap=0), 50)} == {224}  # 225 pixels


def test_squares_in_the_corners_as_i3d_has_them() -> None:
    drawn = boxes(Crop(scales=(1.0, 0.8), gap=0, places=5), 1000)
    assert {(box.height, box.width) for box in drawn} == {(256, 256), (204, 204)}
    assert len({(box.top, box.left) for box in drawn if box.height == 204}) == 5


def test_resized_crops_are_of_any_area_and_aspect_inside_the_picture() -> None:
    drawn = boxes(Crop(kind="resized"), 3000)
    shares = np.array([box.height * box.width / (256 * 307) for box in drawn])
    aspects = np.array([box.width / box.height for box in drawn])
    assert shares.min() == pytest.approx(0.08, abs=0.01)
    assert shares.max() > 0.95
    assert 0.74 < aspects.min() < 0.8
    assert 1.28 < aspects.max() < 1.35
    assert all(0 <= box.top <= 256 - box.height and 0 <= box.left <= 307 - box.width for box in drawn)


def test_rescaled_crops_are_of_pictures_up_to_a_quarter_larger() -> None:
    drawn = boxes(Crop(kind="rescaled"), 3000)
    assert {box.height for box in drawn} == {224}
    assert (min(box.short_side for box in drawn), max(box.short_side for box in drawn)) == (256, 320)


@pytest.mark.parametrize("kind", ["multi_scale", "random", "resized", "rescaled"])
def test_all_frames_of_a_clip_are_cut_alike(kind: str) -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 50, 3), np.uint8)
    seen = set()
    for seed in range(40):
        clip = cut([image, image, image], 32, Crop(kind=kind), np.random.default_rng(seed))
        assert (clip.shape, clip.dtype) == ((3, 32, 32, 3), np.uint8)
        assert (clip[0] == clip[1]).all()
        assert (clip[0] == clip[2]).all()
        seen.add(clip.tobytes())
    assert len(seen) > 25
