from __future__ import annotations

import csv
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.networks.registry import SPECS, build, make_spec, names
from tests.conftest import ROOT
from tests.training.conftest import DataSet, run_command, train_recipe
from training.checkpoint import STATE_FILE, network_of, read
from training.loop import make_optimiser, make_schedule
from training.losses import ActionLosses
from training.machine import Machine
from training.recipe import SHIPPED, read_recipe, shipped
from training.run import provenance
from training.start import open_network
from training.tasks import open_task
from training.tasks.clips import ClipData


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


SMALL = {
    "manet": ("depth=18", "width=8", "size=32"),
    "tsn": ("depth=18", "width=8", "size=32"),
    "tsm": ("depth=18", "width=8", "size=32"),
    "tin": ("depth=18", "width=16", "size=32"),
    "c3d": ("width=8", "hidden=64", "size=32"),
    "i3d": ("width=8", "size=32"),
    "slowfast": ("width=32", "length=16", "slow_length=2", "size=32"),
    "video_swin": ("width=24", "depths=[2,2,2,2]", "size=32"),
    "timesformer": ("width=48", "heads=4", "layers=2", "size=32"),
    "uniformer": ("depths=[1,1,1,1]", "widths=[16,32,64,64]", "head_width=16", "size=32"),
    "videomae": ("width=48", "heads=4", "layers=2", "size=32"),
}
VIDEO_RECIPES = sorted(path.stem for path in SHIPPED.glob("*.toml") if read_recipe(path.stem).task == "clips")


def shares(name: str) -> dict[str, tuple[float, float]]:
    """Learning rate relative to the recipe's, and decay, of every parameter of a recipe's network at small size."""
    recipe = read_recipe(name)
    changes = [f"network.{change}" for change in SMALL[recipe.network["architecture"]]]
    recipe = read_recipe(name, changes)
    with torch.device("meta"):
        network = build(recipe.spec)
    groups = make_optimiser(recipe.optimiser, network).param_groups
    rate = recipe.optimiser.learning_rate
    found = {id(p): (round(one["lr"] / rate, 6), one["weight_decay"]) for one in groups for p in one["params"]}
    named = {key: found.pop(id(parameter)) for key, parameter in network.named_parameters()}
    assert not found
    return named


@pytest.mark.parametrize("name", VIDEO_RECIPES)
def test_every_video_recipe_builds_its_network_and_moves_all_of_it(name: str) -> None:
    assert shares(name)
    recipe = read_recipe(name)
    assert recipe.part("data", ClipData, {"folder": ".", **recipe.data}).train_list == "train_list.txt"
    recipe.part("losses", ActionLosses, recipe.losses)


def test_every_video_network_has_a_recipe() -> None:
    shipped = [name for name in names("actions") if SPECS[name].__module__.startswith("engines.")]
    networks = {name for name in shipped if "clips" in make_spec(name).inputs}
    assert {read_recipe(name).network["architecture"] for name in VIDEO_RECIPES} == networks


def test_parameter_groups_of_the_published_configurations() -> None:
    """Relative rate and decay of a few parameters of each."""
    paper, code, tsm, swin = (shares(name) for name in ("manet-paper", "manet-code", "tsm", "video_swin"))
    timesformer, videomae = shares("timesformer"), shares("videomae")
    assert set(paper.values()) == {(1.0, 1e-4)}
    assert code["embedding.output.weight"] == (5.0, 1e-4)
    assert code["embedding.output.bias"] == (10.0, 0.0)
    assert code["classifier.weight"] == (1.0, 1e-4)
    assert code["classifier.bias"] == (2.0, 0.0)
    assert code["backbone.stem.bn.weight"] == (1.0, 0.0)
    assert (tsm["classifier.weight"], tsm["classifier.bias"]) == ((5.0, 1e-4), (10.0, 0.0))
    assert swin["classifier.weight"] == swin["classifier.bias"] == (10.0, 0.02)
    assert swin["patch.weight"] == (1.0, 0.02)
    assert swin["norm.weight"] == swin["stages.0.0.attention.table"] == (1.0, 0.0)
    assert timesformer["places"] == timesformer["times"] == timesformer["token"] == (1.0, 0.0)
    assert timesformer["norm.weight"] == (1.0, 1e-4)
    rates = [videomae[key][0] for key in ("patch.weight", "blocks.0.feed.hidden.weight", "blocks.1.norm1.weight")]
    assert rates == pytest.approx([0.75**3, 0.75**2, 0.75])
    assert videomae["classifier.weight"] == (1.0, 0.05)
    assert videomae["blocks.0.attention.query_value_bias"] == (pytest.approx(0.75**2), 0.0)


def test_a_cosine_with_warm_up_rises_and_falls_to_nothing() -> None:
    """As mmaction2: a line from a tenth times a cosine from the first step on."""
    found = rates("video_swin", 10, 20)
    assert found[0] == pytest.approx(0.1 * 1.25e-5)
    warm_up = 2.5 * 20
    assert found[30] == pytest.approx(1.25e-5 * (0.1 + 0.9 * 30 / warm_up) * (1 + math.cos(math.pi * 30 / 200)) / 2)
    assert found[100] == pytest.approx(1.25e-5 / 2)
    assert found[-1] < 1e-3 * 1.25e-5


def test_layers_rates_need_layers() -> None:
    with pytest.raises(BadInput, match="layer_decay of a plain transformer"):
        make_optimiser(
            read_recipe("tsn", ["optimiser.layer_decay=0.5"]).optimiser,
            build(make_spec("tsn", ["depth=18", "width=8"])),
        )


def test_a_run_begins_with_a_published_checkpoint(
    data: DataSet, recipe: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """It is searched beside the lists, and named in the model's card; its classifier of other classes stays out."""
    start = ("start.checkpoint=resnet.pth", "optimiser.epochs=1", "optimiser.learning_rate=1e-9")
    missing = refused(*run_command(recipe, tmp_path / "none", *start, data=data.folder))
    assert "expected resnet.pth in the data's folder" in missing
    assert "start=null" in missing
    assert not (tmp_path / "none").exists()
    network = build(read_recipe(str(recipe)).spec)
    layout = network.pretrained_layouts()["torchvision"]
    weights = {layout.theirs(name)[0]: value for name, value in network.state_dict().items() if ".mix." not in name}
    weights["fc.weight"], weights["fc.bias"] = torch.zeros(1000, 64), torch.zeros(1000)
    folder = tmp_path / "data"
    folder.mkdir()
    for file in data.folder.iterdir():
        (folder / file.name).symlink_to(file)
    torch.save(weights, folder / "resnet.pth")
    after = train_recipe(recipe, tmp_path / "out", *start, data=folder).state_dict()
    torch.testing.assert_close(after["backbone.stem.conv.weight"], weights["conv1.weight"], atol=1e-6, rtol=0)
    made = read_recipe(str(recipe), start, folder)
    trained_on = provenance(made, open_task(made, Machine(tmp_path, tmp_path))).trained_on
    assert trained_on == "MA-52: 18 clips of 3 actions; begun with resnet.pth"


def test_one_cycle_rises_once_and_falls_to_almost_nothing() -> None:
    found = rates("manet-small", 20, 10)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert max(found) == pytest.approx(3e-3, rel=0.01)
    assert found[-1] < 0.01 * 3e-3


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_are_valid_and_named_as_their_files(name: str) -> None:
    path = SHIPPED / f"{name}.toml"
    recipe = read_recipe(name)
    assert recipe.name == name.replace("/", "-")
    assert recipe.spec.task == ("emotion" if "emotion" in recipe.task else "actions")
    assert read_recipe(str(path), data=Path("elsewhere")).digest == recipe.digest, "where the data lies decides nothing"
    assert read_recipe(name, ["seed=7"]).digest != recipe.digest


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
