"""The format of emotion data sets, and splits without a subject in both."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.common.errors import BadInput
from training.data.emotion_lists import HEADER, LabelledVideo, read_emotion_list, split_subjects


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    for name in ("a.mp4", "b.mp4", "deep/c.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    path = folder / "list.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def test_a_list_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.mp4,joy,B1 G4 B1,s01", "", "deep/c.mp4, anger ,,s02")
    assert read_emotion_list(path, tmp_path) == (
        LabelledVideo("a.mp4", 0, (9, 51), "s01"),
        LabelledVideo("deep/c.mp4", 4, (), "s02"),
    )


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("a.mp4,happy,B1,s01", r"an emotion of joy, .*'happy' at .*list.csv:2"),
        ("a.mp4,joy,B1 H9,s01", r"MA-52 codes.*'H9' at"),
        ("a.mp4,joy,B1", r"the columns .* got 3 of them"),
        ("a.mp4,joy,B1,", "a video and a subject"),
        ("a.mp4,joy,B1,s01\na.mp4,joy,,s01", "a.mp4 twice"),
        ("x.mp4,joy,B1,s01", "1 missing, the first x.mp4"),
        ("", "which has none"),
    ],
)
def test_faults_are_named(tmp_path: Path, line: str, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        read_emotion_list(written(tmp_path, line), tmp_path)


def test_files_that_are_no_lists(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="header video,emotion,actions,subject"):
        read_emotion_list(written(tmp_path, "a.mp4 3", header="a.mp4 3"), tmp_path)
    with pytest.raises(BadInput, match="No such file"):
        read_emotion_list(tmp_path / "absent.csv", tmp_path)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="no CSV text"):
        read_emotion_list(tmp_path / "binary.csv", tmp_path)
    with pytest.raises(BadInput, match="folder of the videos"):
        read_emotion_list(written(tmp_path, "a.mp4,joy,,s"), tmp_path / "elsewhere")


def test_no_subject_is_in_both_splits() -> None:
    entries = tuple(LabelledVideo(f"{n}.mp4", n % 5, (), f"s{n // 4:02d}") for n in range(100))
    for seed in range(5):
        train, held = split_subjects(entries, 0.2, seed)
        assert {one.subject for one in train} & {one.subject for one in held} == set()
        assert sorted(one.video for one in (*train, *held)) == sorted(one.video for one in entries)
        assert 10 <= len(held) <= 30
        assert {one.emotion for one in held} == set(range(5))
    assert split_subjects(entries, 0.2, 1) == split_subjects(entries, 0.2, 1)
    with pytest.raises(BadInput, match="two subjects"):
        split_subjects(entries[:3], 0.5, 0)
    assert all(split_subjects(entries[:8], 0.5, 0))
