from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.conftest import COLORS, DataSet
from training.__main__ import main

pytestmark = pytest.mark.slow


def test_statistics_of_a_list(
    data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    """Six clips of each of three actions, twelve pictures at 30 a second."""
    words = ["statistics", "--data", str(data.folder), "--list"]
    assert main([*words, str(data.train), "--out", str(tmp_path / "out")]) == 0
    assert "18 clips of 3 actions, 0.40 s on average" in " ".join(capsys.readouterr().out.split())
    rows = list(csv.DictReader((tmp_path / "out" / "statistics.csv").open()))
    assert [int(row["clips"]) for row in rows] == [6 if index in COLORS else 0 for index in range(52)]
    assert (rows[5]["code"], rows[5]["body_part"]) == ("B5", "head")
    assert float(rows[5]["mean_s"]) == float(rows[5]["longest_s"]) == pytest.approx(0.4, abs=0.001)
    assert rows[0]["mean_s"] == ""
    assert (tmp_path / "out" / "statistics.png").read_bytes().startswith(b"\x89PNG")
    assert "labels of the test list are withheld" in refused(*words, data.test, "--out", tmp_path / "other")
