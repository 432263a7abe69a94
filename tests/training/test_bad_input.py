"""Every mistake of a user: exit code 2 and one line that says what was expected, what came and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DataSet, train_command

pytestmark = pytest.mark.slow

Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("0001_01.mp4 5\nnone.mp4 3\n0002_01.mp4 5\n", "1 missing, the first none.mp4"),
        ("0001_01.mp4 52\n", "an action's index, 0..51, got '52' at"),
        ("0001_01.mp4 -1\n", "got '-1' at"),
        ("0001_01.mp4 ²\n", "got '²' at"),
        ("0001_01.mp4 nodding\n", "got 'nodding' at"),
        ("0001_01.mp4\n", "`name.mp4 index`, got '0001_01.mp4' at"),
        ("0001_01.mp4 5 6\n", "bad.txt:1; mend the line"),
        ("0001_01.mp4 5\n\n0001_01.mp4 5\n", "0001_01.mp4 twice"),
        ("\n", "which is empty"),
        ("0001_01.mp4 0\n0002_01.mp4 0\n", "a list with labels"),
    ],
)
def test_faulty_lists(lines: str, words: str, data: DataSet, tmp_path: Path, refused: Refused) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text(lines)
    command = train_command(data, tmp_path / "out", "--no-embedding")
    command[command.index("--train-list") + 1] = str(bad)
    assert words in refused(*command)
    assert not (tmp_path / "out").exists()


def test_lists_and_folders_that_are_not_there(data: DataSet, tmp_path: Path, refused: Refused) -> None:
    command = train_command(data, tmp_path / "out", "--no-embedding")
    command[command.index("--train-list") + 1] = str(tmp_path / "none.txt")
    assert "No such file" in refused(*command)
    command[command.index("--train-list") + 1] = str(data.train)
    command[command.index("--data") + 1] = str(tmp_path / "none")
    assert "check --data" in refused(*command)


def test_an_unreadable_video_is_named(data: DataSet, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    listed = tmp_path / "list.txt"
    listed.write_text("broken.mp4 5\n")
    command = [
        "train",
        "--data",
        tmp_path,
        "--train-list",
        listed,
        "--out",
        tmp_path / "out",
        *train_command(data, tmp_path, "--no-embedding")[7:],
    ]
    assert "broken.mp4" in refused(*command)


@pytest.mark.parametrize("vectors", [np.zeros((52, 50), np.float32), np.zeros((52, 300, 1), np.float32), None])
def test_label_vectors_of_the_wrong_shape(
    vectors: np.ndarray | None, data: DataSet, tmp_path: Path, refused: Refused
) -> None:
    if vectors is None:
        assert "--label-vectors" in refused(*train_command(data, tmp_path / "out"))
        return
    np.save(tmp_path / "v.npy", vectors)
    line = refused(*train_command(data, tmp_path / "out", "--label-vectors", tmp_path / "v.npy"))
    assert "finite floats (52, 300), one row per action, got float32 (52," in line


@pytest.mark.parametrize(
    "extra",
    [
        ("--epochs", "0"),
        ("--batch-size", "-1"),
        ("--learning-rate", "0"),
        ("--learning-rate", "nan"),
        ("--seed", "-1"),
        ("--alpha", "-2"),
        ("--width", "12"),
        ("--length", "5"),
        ("--recipe", "best"),
        ("--size", "8"),
    ],
)
def test_impossible_settings(extra: tuple[str, str], data: DataSet, tmp_path: Path, refused: Refused) -> None:
    command = train_command(data, tmp_path / "out", *extra)
    if extra[0] != "--alpha":
        command.append("--no-embedding")
    refused(*command)


def test_a_run_is_never_overwritten_or_continued_as_another(trained: Path, data: DataSet, refused: Refused) -> None:
    assert "--resume" in refused(*train_command(data, trained, "--bundle", trained / "other", "--no-embedding"))
    line = refused(*train_command(data, trained, "--resume", "--no-embedding", "--seed", "7"))
    assert "seed 7 instead of 0" in line
    (trained / "spoilt").mkdir(exist_ok=True)
    (trained / "spoilt" / "state.pt").write_bytes(b"\x80nonsense")
    assert "a training checkpoint" in refused(*train_command(data, trained / "spoilt", "--resume", "--no-embedding"))


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, data: DataSet, tmp_path: Path, refused: Refused
) -> None:
    monkeypatch.setattr("training.__main__.find_spec", lambda name: None if name == "matplotlib" else name)
    assert "no matplotlib; install the extra" in refused(*train_command(data, tmp_path / "out", "--no-embedding"))


def test_models_that_are_none(data: DataSet, tmp_path: Path, refused: Refused) -> None:
    rest = ("--data", data.folder, "--list", data.val, "--out", tmp_path / "out")
    assert "known models" in refused("evaluate", tmp_path / "none", *rest)
    (tmp_path / "state.pt").write_bytes(b"nonsense")
    assert "a training checkpoint" in refused("evaluate", tmp_path / "state.pt", *rest)
    refused("evaluate", tmp_path / "state.pt", *rest, "--workers", "-1")
    refused("practise")


def test_files_of_the_users_are_not_overwritten(data: DataSet, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "curves.csv").write_text("mine\n")
    line = refused(*train_command(data, tmp_path, "--no-embedding")).strip()
    assert line.endswith(
        f"expected a new folder for --out, got {tmp_path}, which holds curves.csv; "
        "name another, or continue a training run with --resume"
    )
    line = refused("evaluate-simulated", "landmarks-small", "--out", tmp_path / "curves.csv").strip()
    assert line.endswith(f"expected a new --out file, got {tmp_path}/curves.csv, a file; name another, or move it away")
    (tmp_path / "actions.csv").write_text("mine\n")
    line = refused("evaluate-emotion", "emotions-small", "--out", tmp_path).strip()
    assert line.endswith(f"expected a new folder for --out, got {tmp_path}, which holds actions.csv; name another")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "curves.csv": "mine\n",
        "actions.csv": "mine\n",
    }


def test_an_evaluation_goes_into_a_new_folder(trained: Path, data: DataSet, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "scores.csv").write_text("mine\n")
    line = refused("evaluate", trained / "model", "--data", data.folder, "--list", data.val, "--out", tmp_path).strip()
    assert line.endswith(
        f"expected a new or empty folder for --out, got {tmp_path}, a folder with files in it; "
        "name another: nothing is overwritten"
    )
    assert (tmp_path / "scores.csv").read_text() == "mine\n"
