from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.preprocess import center_crop, center_seen, clip_frame_indices, letterbox, resized_shape, short_side_for


def test_official_numbers() -> None:
    assert resized_shape(1296, 1080, 256) == (307, 256)
    assert short_side_for(224) == 256
    assert short_side_for(112) == 128
    assert clip_frame_indices(60, 8).tolist() == [3, 11, 18, 26, 33, 41, 48, 56]
    lost_each_side = (307 - 224) / 2 / 307
    assert lost_each_side == pytest.approx(0.135, abs=0.0005)
    assert center_seen(1296, 1080) == pytest.approx(224 * 224 / (256 * 307))


def test_crop_takes_the_centre() -> None:
    image = np.zeros((1296, 1080, 3), np.uint8)
    image[: int(1296 * 0.12)] = 255  # above the crop
    image[:, : int(1080 * 0.05)] = 255  # left of it
    crop = center_crop(image)
    assert (crop.shape, crop.dtype, crop.flags.c_contiguous) == ((224, 224, 3), np.dtype(np.uint8), True)
    assert crop.max() == 0


def test_crop_keeps_colour_order_and_position() -> None:
    ramp = np.zeros((256, 256, 3), np.uint8)
    ramp[..., 0] = np.arange(256)[None, :]  # columns in red
    ramp[..., 2] = np.arange(256)[:, None]  # rows in blue
    crop = center_crop(ramp)
    np.testing.assert_array_equal(crop[0, :, 0], np.arange(16, 240))
    np.testing.assert_array_equal(crop[:, 0, 2], np.arange(16, 240))
    assert not crop[..., 1].any()


@settings(max_examples=40)
@given(st.integers(8, 400), st.integers(8, 400), st.sampled_from([32, 112, 224]))
def test_any_picture_becomes_the_size(height: int, width: int, size: int) -> None:
    image = np.full((height, width, 3), 200, np.uint8)
    crop, boxed = center_crop(image, size), letterbox(image, size)
    assert crop.shape == boxed.shape == (size, size, 3)
    assert crop.min() == 200
    assert boxed.max() == 200
    assert 0 < center_seen(height, width, size) <= 1


def test_letterbox_keeps_everything() -> None:
    image = np.zeros((400, 100, 3), np.uint8)
    image[:8], image[-8:] = 255, 255
    boxed = letterbox(image, 100)
    assert boxed[0, 50].min() > 200
    assert boxed[-1, 50].min() > 200
    assert not boxed[:, :37].any()
    assert not boxed[:, 63:].any()


@given(st.integers(1, 2000), st.sampled_from([4, 8, 16]))
def test_sampled_frames_exist_and_follow_each_other(frames: int, length: int) -> None:
    indices = clip_frame_indices(frames, length)
    assert len(indices) == length
    assert indices.min() >= 0
    assert indices.max() < frames
    assert (np.diff(indices) >= 0).all()


@pytest.mark.parametrize(("frames", "length"), [(0, 8), (-1, 8), (5, 0)])
def test_no_frames_is_refused(frames: int, length: int) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        clip_frame_indices(frames, length)
