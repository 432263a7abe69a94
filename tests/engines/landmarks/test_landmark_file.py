"""Landmarks on disk: every value comes back, and a file that was cut off is read as far as it goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.common.errors import BadInput
from engines.expressions import NUMBERS
from engines.landmarks.landmark_file import (
    BLOCK_PICTURES,
    MAGIC,
    LandmarkHeader,
    LandmarkWriter,
    Picture,
    Rounded,
    is_landmark_file,
    read_header,
    read_pictures,
    rounded_expression,
)
from engines.landmarks.points import FACE_POINTS, Landmarks

HEADER = LandmarkHeader("camera 0", 480, 640, 1_000, 30.0, "written")
COUNT = 2 * BLOCK_PICTURES + 7


def landmarks(index: int) -> Landmarks:
    rng = np.random.default_rng(index)
    if index % 50 == 3:
        return Landmarks.nobody(index * 33_000_000, 480, 640)
    hands = rng.uniform(-100, 740, (2, 21, 3)).astype(np.float32)
    hands[index % 2] = np.nan
    pose = rng.uniform(0, 480, (33, 4)).astype(np.float32)
    pose[:, 3] = rng.uniform(0, 1, 33)
    return Landmarks(
        index * 33_000_000, 480, 640, pose, hands, rng.normal(300, 50, (FACE_POINTS, 3)).astype(np.float32)
    )


def picture(index: int) -> Picture:
    nobody = index % 50 == 3
    expression = None if nobody else rounded_expression(np.linspace(-index, 1, NUMBERS, dtype=np.float32))
    return Picture(Rounded.of(landmarks(index)), 2 * index, index % 3, None if nobody else index * 1_000, expression)


def write(path: Path, first: int = 0, count: int = COUNT, resume: bool = False) -> Path:
    writer = LandmarkWriter(path, HEADER, resume)
    for index in range(first, first + count):
        writer.add(picture(index))
    writer.close()
    return path


def test_rounded_landmarks_are_near_and_rounding_them_again_changes_nothing() -> None:
    before = landmarks(1)
    rounded = Rounded.of(before)
    after = rounded.landmarks
    assert np.nanmax(np.abs(after.pose[:, :3] - before.pose[:, :3])) <= 640 / 8192
    assert np.nanmax(np.abs(after.pose[:, 3] - before.pose[:, 3])) <= 1 / 8192
    assert np.isnan(after.hands).all(axis=(1, 2)).tolist() == [False, True]
    assert np.array_equal(Rounded.of(after).values, rounded.values)
    assert not Rounded.of(Landmarks.nobody(0, 480, 640)).landmarks.person


def test_every_value_comes_back(tmp_path) -> None:
    path = write(tmp_path / "session.landmarks")
    assert is_landmark_file(path)
    assert read_header(path) == HEADER
    found = list(read_pictures(path))
    assert len(found) == COUNT
    for index, one in enumerate(found):
        expected = picture(index)
        assert (one.frame_id, one.people, one.followed_ns) == (2 * index, expected.people, expected.followed_ns)
        assert one.rounded.media_ns == expected.rounded.media_ns
        assert np.array_equal(one.rounded.values, expected.rounded.values)
        if expected.expression is None:
            assert one.expression is None
        else:
            assert one.expression is not None
            assert np.array_equal(one.expression, expected.expression)


@pytest.mark.parametrize("lost", [1, 1_000])
def test_a_file_that_was_cut_off_is_read_to_its_last_whole_block_and_taken_up_there(tmp_path, lost) -> None:
    path = write(tmp_path / "session.landmarks", count=2 * BLOCK_PICTURES)
    path.write_bytes(path.read_bytes()[:-lost])
    assert [one.frame_id // 2 for one in read_pictures(path)] == list(range(BLOCK_PICTURES))
    write(path, first=1_000, count=5, resume=True)
    assert [one.frame_id // 2 for one in read_pictures(path)] == [*range(BLOCK_PICTURES), *range(1_000, 1_005)]


def test_a_damaged_block_ends_it(tmp_path) -> None:
    path = write(tmp_path / "session.landmarks")
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert len(list(read_pictures(path))) == 2 * BLOCK_PICTURES


def test_nothing_is_overwritten(tmp_path) -> None:
    path = write(tmp_path / "session.landmarks", count=1)
    with pytest.raises(FileExistsError):
        LandmarkWriter(path, HEADER)


@pytest.mark.parametrize(
    "content", [b"", MAGIC, MAGIC + b"{}\n", MAGIC + b'{"source":"","height":0,"width":1}\n', b"x" * 99]
)
def test_what_is_no_such_file_is_refused(tmp_path, content) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="expected a file of --record-landmarks"):
        read_header(path)


def test_a_file_of_another_format_is_known_and_refused_by_name(tmp_path) -> None:
    path = tmp_path / "old.landmarks"
    path.write_bytes(b"manet-live landmarks 1\n{}\n")
    assert is_landmark_file(path)
    with pytest.raises(BadInput, match=r"landmarks in format 2, got .*old.landmarks in format 1; replay it with"):
        read_header(path)
