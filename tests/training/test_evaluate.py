from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import DataSet
from training.__main__ import main
from training.data.clip_lists import read_list
from training.submission import HEADER, write_submission

pytestmark = pytest.mark.slow


def evaluate(model: Path, data: DataSet, which: Path, out: Path) -> int:
    return main(
        ["evaluate", str(model), "--data", str(data.folder), "--list", str(which), "--out", str(out), "--pictures", "2"]
    )


@pytest.mark.parametrize("model", ["model", "state.pt"])
def test_evaluate_writes_scores_pictures_and_a_submission(
    model: str, trained: Path, data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(trained / model, data, data.val, tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "f1_mean" in out
    assert ("MA-52: 18 clips of 3 actions" if model == "model" else "recipe tiny, 6 of 6 epochs") in " ".join(
        out.split()
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    pictures = {
        "confusion_fine.png",
        "confusion_coarse.png",
        "tsne_fine.png",
        "tsne_coarse.png",
        "clip_01_0019_01.png",
        "clip_02_0020_01.png",
    }
    assert names == pictures | {"scores.csv", "scores.npz", "submission.zip"}
    for name in pictures:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    rows = {row["score"]: row for row in csv.DictReader((tmp_path / "out" / "scores.csv").open())}
    parts = ("f1_macro_coarse", "f1_micro_coarse", "f1_macro_fine", "f1_micro_fine")
    assert float(rows["f1_mean"]["body_mapping"]) == pytest.approx(
        np.mean([float(rows[part]["body_mapping"]) for part in parts]), abs=1e-5
    )


def test_what_is_deployed_is_scored_as_torch_scores_it(trained: Path, data: DataSet, tmp_path: Path) -> None:
    """Through a runtime: the same scores from nearly the same logits, and no features to plot."""
    words = ["evaluate", str(trained / "model"), "--data", str(data.folder), "--list", str(data.val), "--pictures", "0"]
    assert main([*words, "--out", str(tmp_path / "torch")]) == 0
    assert main([*words, "--out", str(tmp_path / "deployed"), "--engine", "onnxruntime"]) == 0
    assert main([*words, "--out", str(tmp_path / "other"), "--engine", "nonesuch"]) == 2
    plain, deployed = (np.load(tmp_path / name / "scores.npz") for name in ("torch", "deployed"))
    np.testing.assert_array_equal(plain["labels"], deployed["labels"])
    assert np.abs(plain["logits"] - deployed["logits"]).max() <= 1e-3 * np.abs(plain["logits"]).max()
    assert not (tmp_path / "deployed" / "tsne_fine.png").exists()


def test_two_models_stand_side_by_side(
    trained: Path, data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second model is the first one's state.pt: the same scores, in columns of their own."""
    words = ["evaluate", str(trained / "model"), "--against", str(trained / "state.pt"), "--pictures", "1"]
    words += ["--data", str(data.folder), "--list", str(data.val)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").open()))
    assert list(rows[0]) == ["score", "body_mapping", "body_sum", "against_body_mapping", "against_body_sum"]
    assert [row["body_mapping"] for row in rows] == [row["against_body_mapping"] for row in rows]
    width = int.from_bytes((tmp_path / "out" / "confusion_coarse.png").read_bytes()[16:20], "big")
    assert width == 2 * 605  # two panels of 5.5 inches at 110 dots each


def test_withheld_labels_give_a_submission_and_no_scores(
    trained: Path, data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(trained / "model", data, data.test, tmp_path / "out") == 0
    assert "labels withheld" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "submission.zip" in names
    assert not names & {"scores.csv", "confusion_fine.png"}
    with zipfile.ZipFile(tmp_path / "out" / "submission.zip") as archive:
        assert archive.namelist() == ["prediction.csv"]  # without a folder
        rows = list(csv.reader(io.TextIOWrapper(archive.open("prediction.csv"))))
    assert rows[0] == HEADER == ["vid", *(f"{kind}_pred_{rank}" for kind in ("action", "body") for rank in range(1, 6))]
    assert [row[0] for row in rows[1:]] == [entry.name for entry in read_list(data.test, data.folder)]
    assert all(0 <= int(value) <= 51 for row in rows[1:] for value in row[1:6])
    assert all(0 <= int(value) <= 6 for row in rows[1:] for value in row[6:])


def test_submissions_rank_actions_and_their_parts(tmp_path: Path) -> None:
    probs = np.zeros((1, 52))
    probs[0, [9, 24, 25, 48]] = 0.4, 0.3, 0.2, 0.1
    write_submission(tmp_path / "s.zip", ["0003_01_0005.mp4"], probs)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        row = archive.read("prediction.csv").decode().split("\r\n")[1].split(",")
    assert row == ["0003_01_0005.mp4", "9", "24", "25", "48", "0", "1", "3", "3", "6", "0"]
    first = (tmp_path / "s.zip").read_bytes()
    write_submission(tmp_path / "s.zip", ["0003_01_0005.mp4"], probs)
    assert (tmp_path / "s.zip").read_bytes() == first
