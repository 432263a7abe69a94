"""Every mistake of a user: exit code 2 and one line that says what was expected, what came and how to fix it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DataSet, run_command

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
        ("0001_01.mp4 5 6\n", "bad.txt:1; correct the line"),
        ("0001_01.mp4 5\n\n0001_01.mp4 5\n", "0001_01.mp4 twice"),
        ("\n", "which is empty"),
        ("0001_01.mp4 0\n0002_01.mp4 0\n", "a list with labels"),
    ],
)
def test_faulty_lists(lines: str, words: str, data: DataSet, recipe: Path, tmp_path: Path, refused: Refused) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text(lines)
    assert words in refused(*run_command(recipe, tmp_path / "out", f"data.train_list={bad}", data=data.folder))
    assert not (tmp_path / "out").exists()


def test_lists_and_folders_that_are_not_there(data: DataSet, recipe: Path, tmp_path: Path, refused: Refused) -> None:
    assert "No such file" in refused(*run_command(recipe, tmp_path / "out", data=tmp_path / "none"))
    command = run_command(recipe, tmp_path / "out", f"data.train_list={data.train}", data=tmp_path / "none")
    assert "check --data" in refused(*command)
    assert "folder" in refused(*run_command(recipe, tmp_path / "out"))


def test_an_unreadable_video_is_named(recipe: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    (tmp_path / "train.txt").write_text("broken.mp4 5\n")
    assert "broken.mp4" in refused(*run_command(recipe, tmp_path / "out", data=tmp_path))


@pytest.mark.parametrize("vectors", [np.zeros((52, 50), np.float32), np.zeros((52, 300, 1), np.float32)])
def test_label_vectors_of_the_wrong_shape(
    vectors: np.ndarray, data: DataSet, recipe: Path, tmp_path: Path, refused: Refused
) -> None:
    command = run_command(recipe, tmp_path / "out", "network.embedding=true", data=data.folder)
    np.save(tmp_path / "v.npy", vectors)
    line = refused(*command, "--set", f"data.label_vectors={tmp_path / 'v.npy'}")
    assert "finite floats (52, 300), one row per action" in line
    assert "got float32 (52," in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimiser.epochs=0", "`$.optimiser.epochs`"),
        ("optimiser.batch_size=-1", "`$.optimiser.batch_size`"),
        ("optimiser.learning_rate=0", "`$.optimiser.learning_rate`"),
        ("optimiser.learning_rate=fast", "`$.optimiser.learning_rate`"),
        ("optimiser.rate=0.1", "unknown field `rate`"),
        ("seed=-1", "`$.seed`"),
        ("epochs=3", "unknown field `epochs`"),
        ("losses.alpha=-2", "[losses] of recipe tiny"),
        ("losses.gamma=1", "unknown field `gamma`"),
        ("data.lists=x", "unknown field `lists`"),
        ("network.width=12", "a network that can be built"),
        ("network.architecture=manet2", "a network that can be built"),
        ("network.size=8", "a network that can be built"),
        ("task=dances", "a task of clips,"),
        ("task=simulated-emotion", "a network for emotion"),
        ("selection.keep=best", "a score with keep"),
        ("optimiser", "--set KEY.KEY=VALUE"),
    ],
)
def test_impossible_recipes(
    change: str, words: str, data: DataSet, recipe: Path, tmp_path: Path, refused: Refused
) -> None:
    assert words in refused(*run_command(recipe, tmp_path / "out", change, data=data.folder))
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_recipes(tmp_path: Path, refused: Refused) -> None:
    assert ", drawings-small, emotion-fan, emotion-fan-simulated," in refused(
        *run_command("nonesuch", tmp_path / "out")
    )
    (tmp_path / "bad.toml").write_text("name = \n")
    assert "a recipe in TOML" in refused(*run_command(tmp_path / "bad.toml", tmp_path / "out"))
    (tmp_path / "bad.toml").write_text('name = "x"\n')
    assert "missing required field `task`" in refused(*run_command(tmp_path / "bad.toml", tmp_path / "out"))


@pytest.mark.long
def test_a_run_is_never_overwritten_or_continued_as_another(
    trained: Path, data: DataSet, recipe: Path, tmp_path: Path, refused: Refused
) -> None:
    command = run_command(recipe, trained, data=data.folder)
    assert "which holds a bundle" in refused(*command)
    assert "instead of" in refused(*command, "--resume")
    (tmp_path / "state.pt").write_bytes(b"\x80nonsense")
    assert "a training checkpoint" in refused(*run_command(recipe, tmp_path, data=data.folder), "--resume")


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, tmp_path: Path, refused: Refused
) -> None:
    monkeypatch.setattr("training.__main__.find_spec", lambda name: None if name == "matplotlib" else name)
    assert "no matplotlib; install the extra" in refused(*run_command(recipe, tmp_path / "out"))


def test_models_that_are_none(data: DataSet, tmp_path: Path, refused: Refused) -> None:
    rest = ("--data", data.folder, "--list", data.val, "--out", tmp_path / "out")
    assert "known models" in refused("evaluate", tmp_path / "none", *rest)
    (tmp_path / "state.pt").write_bytes(b"nonsense")
    assert "a training checkpoint" in refused("evaluate", tmp_path / "state.pt", *rest)
    refused("evaluate", tmp_path / "state.pt", *rest, "--workers", "-1")
    refused("practise")


def test_files_of_the_users_are_not_overwritten(data: DataSet, recipe: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "curves.csv").write_text("mine\n")
    line = refused(*run_command(recipe, tmp_path, data=data.folder)).strip()
    assert line.endswith(
        f"expected a new folder for --out, got {tmp_path}, which holds curves.csv; "
        "name another, or continue a training run with --resume"
    )
    line = refused("evaluate-simulated", "landmarks-small", "--out", tmp_path / "curves.csv").strip()
    assert line.endswith(f"expected a new --out file, got {tmp_path}/curves.csv, a file; name another, or move it away")
    (tmp_path / "actions.csv").write_text("mine\n")
    line = refused("evaluate-emotion", "emotions", "--out", tmp_path).strip()
    assert line.endswith(f"expected a new folder for --out, got {tmp_path}, which holds actions.csv; name another")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "curves.csv": "mine\n",
        "actions.csv": "mine\n",
    }


@pytest.mark.long
def test_an_evaluation_goes_into_a_new_folder(trained: Path, data: DataSet, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "scores.csv").write_text("mine\n")
    line = refused("evaluate", trained / "model", "--data", data.folder, "--list", data.val, "--out", tmp_path).strip()
    assert line.endswith(
        f"expected a new or empty folder for --out, got {tmp_path}, a folder with files in it; "
        "name another: nothing is overwritten"
    )
    assert (tmp_path / "scores.csv").read_text() == "mine\n"
