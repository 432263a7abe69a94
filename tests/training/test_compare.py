from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from engines.networks.registry import build
from tests.conftest import ROOT
from tests.training.conftest import TINY, DataSet
from training.__main__ import main
from training.ablations import TABLE_II, TABLES
from training.checkpoint import STATE_FILE, read
from training.compare import CSV_FILE, PICTURE_FILE, ROW_FILE, TEXT_FILE, Row, table_cells
from training.recipe import read_recipe

pytestmark = pytest.mark.slow


@pytest.fixture
def recipes(tmp_path: Path) -> str:
    """Two networks that train in seconds."""
    (tmp_path / "one.toml").write_text(TINY)
    second = TINY.replace("embedding = false\n", "").replace("manet", "tsn").replace("tiny", "second")
    (tmp_path / "two.toml").write_text(second)
    return f"{tmp_path / 'one.toml'},{tmp_path / 'two.toml'}"


@pytest.mark.long
def test_a_comparison_that_is_killed_goes_on_and_repeats_nothing(
    data: DataSet, recipes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL while the second row trains: the first stands, the second goes on from its batch."""
    out = tmp_path / "out"
    words = ["compare", "--recipes", recipes, "--data", str(data.folder), "--out", str(out), "--threads", "1"]
    words += ["--set", "data.val_list=val.txt", "--set", "optimiser.epochs=1", "--save-every", "1"]
    process = subprocess.Popen([sys.executable, "-m", "training", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    state = out / "two" / STATE_FILE
    while process.poll() is None and not state.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    first, begun = out / "one" / ROW_FILE, read(state)["state"]
    assert (begun["epoch"], begun["step"]) > (0, 0)
    assert [row["name"] for row in csv.DictReader((out / CSV_FILE).open())] == ["one"]
    stood = first.stat().st_mtime_ns, (out / "one" / STATE_FILE).stat().st_mtime_ns
    assert main(words) == 0
    assert (first.stat().st_mtime_ns, (out / "one" / STATE_FILE).stat().st_mtime_ns) == stood
    rows = list(csv.DictReader((out / CSV_FILE).open()))
    assert [row["name"] for row in rows] == ["one", "two"]
    for row in rows:
        scores = {line[0]: line[1] for line in csv.reader((out / row["name"] / "scores" / "scores.csv").open())}
        assert float(row["f1_mean"]) == pytest.approx(100 * float(scores["f1_mean"]), abs=0.006)
        assert float(row["openvino_ms"]) > 0
        assert float(row["onnxruntime_ms"]) > 0
    parameters = sum(one.numel() for one in build(read_recipe(recipes.split(",")[1]).spec).parameters())
    assert float(rows[1]["parameters_m"]) == pytest.approx(parameters / 1e6, abs=0.006)
    assert "published_f1_mean" not in rows[0], "this is not MA-52"
    assert (out / PICTURE_FILE).read_bytes().startswith(b"\x89PNG")
    assert (out / TEXT_FILE).read_text() in capsys.readouterr().out
    assert main([*words, "--set", "seed=3"]) == 2
    assert "of another recipe; name another --out" in capsys.readouterr().err


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_the_papers_tables_builds_its_own_network_or_loss(table: str) -> None:
    found = [read_recipe(TABLES[table].recipe, changes) for changes in TABLES[table].rows.values()]
    assert len({recipe.digest for recipe in found}) == len(found) >= 2


def test_equation_1_as_written_is_another_network() -> None:
    plain, written = (build(read_recipe("manet-paper", changes).spec) for changes in ([], ["network.shift_kernel=3"]))
    kernels = [network.backbone.layer3[1].conv1.conv.weight.shape for network in (plain, written)]
    assert kernels == [(256, 1024, 1, 1), (256, 1024, 3, 3)]


def test_published_figures_stand_beside_those_of_ma52() -> None:
    row = Row("manet-code", "0" * 64, "manet", "MA-52: 11250 clips", {"f1_mean": 0.6}, 1, 1.0, {}, TABLE_II["manet"])
    names, cells = table_cells([row, msgspec.structs.replace(row, published=())])
    assert dict(zip(names, cells[0], strict=True))["published_f1_mean"] == "65.59"
    assert dict(zip(names, cells[1], strict=True))["published_f1_mean"] == ""
