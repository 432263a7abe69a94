from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engines.bundle import Bundle
from engines.networks.registry import build
from tests.conftest import ROOT
from tests.training.conftest import DataSet, run_command, train_recipe
from training.checkpoint import STATE_FILE, network_of, read
from training.loop import make_optimiser, make_schedule
from training.machine import Machine
from training.recipe import SHIPPED, read_recipe
from training.run import provenance
from training.start import open_network
from training.tasks import open_task


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = read(folder / STATE_FILE)["parts"]["model"]
    return model


def rates(name: str, epochs: int, steps: int) -> list[float]:
    """Learning rates of all steps of a shipped recipe."""
    settings = read_recipe(name, [f"optimiser.epochs={epochs}"]).optimiser
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=settings.learning_rate)
    schedule = make_schedule(settings, optimiser, [steps] * epochs)
    found = []
    for _ in range(epochs * steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


pytestmark = pytest.mark.slow


def test_recipes_say_what_the_paper_and_the_code_say() -> None:
    """MANet paper, section V-B; and the differences of the released code."""
    paper, code = read_recipe("manet-paper"), read_recipe("manet-code")
    one = paper.optimiser
    assert (one.kind, one.epochs, one.batch_size, one.learning_rate) == ("sgd", 80, 10, 0.001)
    assert (one.momentum, one.weight_decay, one.dropout) == (0.9, 1e-4, None)
    assert (paper.losses["alpha"], paper.losses["embedding"]) == (5.0, "squared_distance")
    assert (code.optimiser.learning_rate, code.optimiser.bias_rate, code.optimiser.clip_norm) == (0.00125, 2.0, 20.0)
    assert code.losses["alpha"] == 50.0
    found = rates("manet-paper", 80, 7)
    assert [found[7 * epoch] for epoch in (0, 29, 30, 59, 60, 79)] == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5]
    )


def test_parameter_groups_of_paper_and_code() -> None:
    changes = ("network.depth=18", "network.width=8", "network.size=32")
    for name, decays, scales in (("manet-paper", [1e-4] * 3, [1, 1, 1]), ("manet-code", [1e-4, 0, 0], [1, 2, 1])):
        recipe = read_recipe(name, changes)
        network = build(recipe.spec)
        groups = make_optimiser(recipe.optimiser, network).param_groups
        assert [group["weight_decay"] for group in groups] == decays
        assert [group["lr"] for group in groups] == pytest.approx(
            [recipe.optimiser.learning_rate * one for one in scales]
        )
        assert sum(p.numel() for group in groups for p in group["params"]) == sum(
            p.numel() for p in network.parameters()
        )


def test_one_cycle_rises_once_and_falls_to_almost_nothing() -> None:
    found = rates("manet-small", 20, 10)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert max(found) == pytest.approx(3e-3, rel=0.01)
    assert found[-1] < 0.01 * 3e-3


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_named_as_their_files(path: Path) -> None:
    recipe = read_recipe(path.stem)
    assert recipe.name == path.stem
    assert recipe.spec.task == ("emotion" if "emotion" in recipe.task else "actions")
    assert read_recipe(str(path), data=Path("elsewhere")).digest == recipe.digest, "where the data lies decides nothing"
    assert read_recipe(path.stem, ["seed=7"]).digest != recipe.digest


def test_a_run_makes_curves_a_checkpoint_an_honest_bundle_and_a_report(trained: Path) -> None:
    rows = list(csv.DictReader((trained / "curves.csv").open()))
    losses = [float(row["loss"]) for row in rows]
    assert len(losses) == 6
    assert losses[-1] < 0.8 * losses[0]
    assert float(rows[-1]["embedding"]) > 0.0
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")
    card = Bundle.load(trained / "model").card
    made = card.provenance
    assert (card.name, card.trained, card.view, card.length, card.calibration.activation) == (
        "tiny",
        True,
        "rgb",
        4,
        "softmax",
    )
    assert made.trained_on == "MA-52: 18 clips of 3 actions"
    assert len(str(made.recipe_sha256)) == len(str(made.data_sha256)) == 64
    assert str(trained) not in str(made)
    report = (trained / "report.md").read_text()
    assert all(str(one) in report for one in (made.recipe_sha256, made.data_sha256, made.revision, "val_f1_mean"))
    assert (trained / "scores" / "scores.csv").exists()


def test_the_best_epoch_of_the_averaged_weights_is_kept(trained: Path) -> None:
    content = read(trained / STATE_FILE)
    rows = list(csv.DictReader((trained / "curves.csv").open()))
    scores = [float(row["val_f1_mean"]) for row in rows]
    best = content["state"]["best"]
    assert (best["score"], best["epoch"]) == (max(scores), scores.index(max(scores)) + 1)
    bundle = open_network(str(trained / "model")).network.state_dict()
    saved = [name for name in bundle if not name.endswith("num_batches_tracked")]
    assert all(torch.equal(bundle[name], best["model"][name]) for name in saved)
    plain = content["parts"]["model"]["classifier.weight"]
    assert not torch.equal(plain, bundle["classifier.weight"]), "averaged"


def test_a_killed_run_goes_on_to_the_same_weights(data: DataSet, recipe: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of the second epoch."""
    average = "optimiser.average=0.5"
    wanted = train_recipe(recipe, tmp_path / "whole", average, data=data.folder).state_dict()
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "training",
            *run_command(recipe, killed, average, data=data.folder),
            "--save-every",
            "1",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if (killed / STATE_FILE).exists():
            state = read(killed / STATE_FILE)["state"]
            if (state["epoch"], state["step"]) >= (1, 2):
                break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    state = read(killed / STATE_FILE)["state"]
    assert (0, 0) < (state["epoch"], state["step"]) < (3, 0)
    assert not (killed / "model").exists()
    assert network_of(killed / STATE_FILE).trained_on == f"recipe tiny, {state['epoch']} of 3 epochs"
    resumed = train_recipe(recipe, killed, average, data=data.folder, resume=True).state_dict()
    assert all(torch.equal(wanted[name], resumed[name]) for name in wanted)
    assert (killed / "curves.csv").read_text().count("\n") == 4


def test_a_run_may_begin_with_the_weights_of_another_and_freeze_them(
    trained: Path, data: DataSet, recipe: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    start = (f"start.model={trained / 'model'}", "start.part=backbone", "start.freeze=true", "optimiser.epochs=1")
    after = train_recipe(recipe, tmp_path / "out", *start, data=data.folder).state_dict()
    before = open_network(str(trained / "model")).network.state_dict()
    frozen = [name for name in after if name.startswith("backbone.") and not name.endswith("num_batches_tracked")]
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    made = read_recipe(str(recipe), start, data.folder)
    trained_on = provenance(made, open_task(made, Machine(tmp_path, tmp_path))).trained_on
    assert trained_on == "MA-52: 18 clips of 3 actions; kept model, trained on MA-52: 18 clips of 3 actions"
    changed = run_command(recipe, tmp_path / "other", *start, "network.depth=34", data=data.folder)
    assert "change [network] to its depth, width and parts" in refused(*changed)
    unknown = run_command(recipe, tmp_path / "third", *start, "start.part=spine", data=data.folder)
    assert "it has pixels" in refused(*unknown)
