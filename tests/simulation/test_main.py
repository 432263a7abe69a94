"""`python -m simulation make`."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from engines.taxonomy import ACTIONS
from simulation.__main__ import main

pytestmark = pytest.mark.slow

FILES = {"interview.json", "interview.mp4", "landmarks.npz", "truth.jsonl"}


def make(folder: Path, *more: str) -> int:
    return main(["make", "--seed", "7", "--minutes", "0.1", "--out", str(folder), "--actions", "balanced", *more])


def test_a_session_as_files_is_complete_and_reproducible(tmp_path: Path) -> None:
    assert make(tmp_path / "one") == make(tmp_path / "two") == 0
    assert {path.name for path in (tmp_path / "one").iterdir()} == FILES
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    about = json.loads((tmp_path / "one" / "interview.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "one" / "truth.jsonl").read_text().splitlines()]
    assert len(lines) == len(about["truth"]) > 0
    assert all(ACTIONS[line["index"]].name == line["action"] for line in lines)
    with np.load(tmp_path / "one" / "landmarks.npz") as stored:
        assert stored["pose"].shape == (180, 33, 4)
        assert stored["pose"].dtype == np.float32
        assert stored["times_ns"][-1] == round(179e9 / 30)
    with av.open(str(tmp_path / "one" / "interview.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 180


def test_idle_and_framing_are_respected(tmp_path: Path) -> None:
    assert make(tmp_path / "idle", "--actions", "idle", "--framing", "upper-body", "--fps", "12", "--no-noise") == 0
    about = json.loads((tmp_path / "idle" / "interview.json").read_text())
    assert about["truth"] == []
    assert about["camera"]["framing"] == "upper body"
    assert about["fps"] == 12


@pytest.mark.parametrize(
    "wrong",
    [
        ["--minutes", "0"],
        ["--minutes", "nan"],
        ["--fps", "1000"],
        ["--seed", "-1"],
        ["--actions", "all"],
        ["--split", "x"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path / "out", *wrong) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_occupied_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert make(tmp_path) == 2
    assert "empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
