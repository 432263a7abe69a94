from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engines.bundle import Bundle
from engines.specs.manet import MANetSpec
from tests.conftest import ROOT
from tests.training.conftest import DataSet, train_command
from training.__main__ import main
from training.commands import clip_scores
from training.data import ClipSource
from training.lists import read_list
from training.losses import LossSettings
from training.models import open_network
from training.recipes import CODE, PAPER, RECIPES, SMALL, make_optimiser, set_rate
from training.state import STATE_FILE, read
from training.train import Run, new_network, train


def test_recipes_say_what_the_paper_and_the_code_say() -> None:
    """MANet paper, section V-B; and the differences of the released code."""
    assert (PAPER.epochs, PAPER.batch_size, PAPER.learning_rate, PAPER.momentum, PAPER.weight_decay) == (
        80,
        10,
        0.001,
        0.9,
        1e-4,
    )
    assert (PAPER.loss.alpha, PAPER.loss.embedding) == (5.0, "squared_distance")
    assert (PAPER.dropout, PAPER.optimiser) == (0.5, "sgd")
    rates = [PAPER.learning_rate * PAPER.rate_at(epoch * 7, 7) for epoch in (0, 29, 30, 59, 60, 79)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert (CODE.learning_rate, CODE.bias_rate, CODE.clip_norm, CODE.loss.alpha) == (0.00125, 2.0, 20.0, 50.0)
    assert RECIPES.keys() == {"paper", "code", "small"}


def test_parameter_groups_of_paper_and_code() -> None:
    network = new_network(MANetSpec(depth=18, width=8, size=32), 0.5)
    total = sum(p.numel() for p in network.parameters())
    for recipe, decays, scales in ((PAPER, [1e-4, 1e-4, 1e-4], [1, 1, 1]), (CODE, [1e-4, 0, 0], [1, 2, 1])):
        optimiser = make_optimiser(recipe, network)
        set_rate(optimiser, 0.01)
        groups = optimiser.param_groups
        assert [group["weight_decay"] for group in groups] == decays
        assert [group["lr"] for group in groups] == pytest.approx([0.01 * scale for scale in scales])
        assert sum(p.numel() for group in groups for p in group["params"]) == total
        assert sum(p.numel() for p in groups[1]["params"]) == 52 + 300 + 300  # classifier and embedding head


def test_one_cycle_rises_once_and_falls_to_almost_nothing() -> None:
    rates = [SMALL.rate_at(step, 10) for step in range(SMALL.epochs * 10)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[-1] < 0.01


def test_training_learns_and_leaves_curves_a_checkpoint_and_an_honest_bundle(trained: Path) -> None:
    rows = list(csv.DictReader((trained / "curves.csv").open()))
    losses = [float(row["loss"]) for row in rows]
    assert len(losses) == 6
    assert losses[-1] < 0.8 * losses[0]
    assert 0.0 <= float(rows[-1]["val_f1_mean"]) <= 1.0
    assert float(rows[-1]["embedding"]) > 0.0
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")
    card = Bundle.load(trained / "model").card
    assert card.trained
    assert card.provenance.trained_on == "MA-52: 18 clips of 3 actions"
    assert card.provenance.seed == 0
    assert "small" in card.provenance.made_with
    assert str(trained) not in card.provenance.made_with
    assert (card.network.length, card.view, card.calibration.activation) == (4, "rgb", "softmax")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = read(folder / STATE_FILE)["model"]
    return model


def test_a_killed_run_goes_on_to_the_same_weights(data: DataSet, tmp_path: Path) -> None:
    """SIGKILL in the middle of an epoch, twice."""
    more = ("--recipe", "small", "--epochs", "3", "--batch-size", "4", "--no-embedding", "--no-se", "--save-every", "1")
    recipe = replace(SMALL, epochs=3, batch_size=4, loss=replace(SMALL.loss, alpha=0.0))
    spec = MANetSpec(depth=18, width=8, size=32, length=4, se_ratio=0, embedding=False)
    torch.set_num_threads(1)  # as the commands below
    whole = train(
        Run(recipe, spec, 0, tmp_path / "whole", "data", "tests"),
        ClipSource(read_list(data.train, data.folder), data.folder, 4, 32, 0, augment=True),
        None,
        None,
        clip_scores,
    ).state_dict()
    killed = tmp_path / "killed"
    reached = []
    for goal in (3, 7):  # steps, of 5 an epoch
        process = subprocess.Popen(
            [sys.executable, "-m", "training", *train_command(data, killed, *more, "--resume")],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (killed / STATE_FILE).exists():
                state = read(killed / STATE_FILE)
                if 5 * state["epoch"] + state["position"] >= goal:
                    break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        reached.append(read(killed / STATE_FILE)["epoch"])
    assert reached[1] >= 1 > reached[0]
    assert not (killed / "model").exists()
    assert open_network(str(killed / STATE_FILE))[1].startswith(f"broken off in epoch {reached[1] + 1} of 3: ")
    assert main(train_command(data, killed, *more, "--resume")) == 0
    resumed = weights(killed)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not open_network(str(killed / STATE_FILE))[1].startswith("broken off")
    assert (killed / "curves.csv").read_text().count("\n") == 4
    card = Bundle.load(killed / "model").card
    assert (card.network.se_ratio, card.network.embedding) == (0, False)


def test_seeds_and_workers(data: DataSet, tmp_path: Path) -> None:
    """The same seed gives the same weights whoever prepares the batches; another seed gives others."""
    entries = read_list(data.train, data.folder)[::3]
    recipe = replace(CODE, epochs=1, loss=LossSettings(alpha=0.0))
    spec = MANetSpec(depth=18, width=8, size=32, length=4, embedding=False)
    found = []
    for seed, workers in ((0, 0), (0, 1), (1, 0)):
        run = Run(recipe, spec, seed, tmp_path / f"{seed}{workers}", "data", "tests", workers)
        source = ClipSource(entries, data.folder, 4, 32, seed, augment=True)
        found.append(train(run, source, None, None, clip_scores).state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not torch.equal(found[0]["stem.conv.weight"], found[2]["stem.conv.weight"])


def test_a_run_may_begin_with_the_weights_of_another(
    trained: Path, data: DataSet, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Rate 1e-9: after an epoch the weights are still those of the first run, but for batch norm's statistics."""
    more = (
        "--recipe",
        "code",
        "--epochs",
        "1",
        "--learning-rate",
        "1e-9",
        "--no-embedding",
        "--init",
        trained / "model",
    )
    assert main(train_command(data, tmp_path / "out", *more)) == 0
    before, after = weights(trained), weights(tmp_path / "out")
    assert torch.allclose(before["layer3.0.conv1.conv.weight"], after["layer3.0.conv1.conv.weight"], atol=1e-6)
    assert torch.allclose(before["classifier.weight"], after["classifier.weight"], atol=1e-6)
    trained_on = Bundle.load(tmp_path / "out" / "model").card.provenance.trained_on
    assert trained_on == "MA-52: 18 clips of 3 actions; begun with model, trained on MA-52: 18 clips of 3 actions"
    assert "--no-se as it has them" in refused(*train_command(data, tmp_path / "other", *more, "--depth", "34"))


def test_a_long_story_is_cut_to_what_a_card_holds(trained: Path, data: DataSet, tmp_path: Path) -> None:
    more = ("--epochs", "1", "--no-embedding", "--init", trained / "model", "--data-name", "interviews " * 45)
    assert main(train_command(data, tmp_path / "out", *more)) == 0
    trained_on = Bundle.load(tmp_path / "out" / "model").card.provenance.trained_on
    assert trained_on.startswith("interviews ")
    assert trained_on.endswith(" …")
    assert len(trained_on) <= 500
