"""One step of the `manet-code` recipe is the released code's, and its submission the same bytes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.networks.contract import Network
from engines.networks.layouts import load_pretrained
from engines.networks.registry import build
from tests.engines.conftest import official_shapes
from tests.engines.networks import oracle
from training.data.label_vectors import SHIPPED, read_label_vectors
from training.loop import make_optimiser, train
from training.losses import ActionLosses, action_losses
from training.recipe import Recipe, read_recipe
from training.submission import write_submission

pytestmark = pytest.mark.slow

LABELS = (9, 41)


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def recorded() -> np.lib.npyio.NpzFile:
    oracle.need_oracle()
    return np.load(oracle.ORACLE / "manet_training_step.npz")


def code_recipe(*settings: str) -> Recipe:
    return read_recipe("manet-code", ["start=null", "optimiser.dropout=0.0", "optimiser.epochs=1", *settings])


class OneStep:
    """The oracle's clips, labels and weights as a task of one batch."""

    data = ""

    def __init__(self, recipe: Recipe) -> None:
        self._losses = recipe.part("losses", ActionLosses, recipe.losses)
        self._vectors = torch.from_numpy(read_label_vectors(SHIPPED)).double()
        self.weights = {key: oracle.filled(key, shape).double() for key, shape in official_shapes().items()}

    def prepare(self, network: Network) -> None:
        load_pretrained(network, self.weights, network.pretrained_layouts()["official"])
        self.network = network

    def steps(self, epoch: int) -> int:
        return 1

    def batches(self, epoch: int, first: int) -> Iterator[dict[str, Tensor]]:
        targets = torch.nn.functional.one_hot(torch.tensor(LABELS), 52).double()
        yield {"clips": oracle.clips(2, 8, 64, 64, 3), "targets": targets}

    def loss(self, network: Network, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return action_losses(network(batch["clips"]), batch["targets"], self._vectors, self._losses)

    def evaluate(self, network: Network) -> dict[str, float]:
        return {"top1_fine": 0.0}


def summary(change: Tensor) -> np.ndarray:
    flat = change.reshape(-1)
    places = torch.from_numpy(np.floor(np.linspace(0, len(flat) - 1, 8)).astype(np.int64))
    return torch.cat((flat.sum()[None], flat.abs().sum()[None], flat[places])).numpy()


@pytest.mark.usefixtures("double_precision")
def test_one_step_changes_the_weights_as_the_released_code_does(
    recorded: np.lib.npyio.NpzFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss, gradients, clipping, rates, decay, momentum, statistics: the loop itself, in double precision."""
    torch.set_num_threads(1)
    norms = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *given: norms.append(clip(*given).item()))
    recipe = code_recipe("network.size=64")
    task = OneStep(recipe)
    network, state = train(recipe, task, tmp_path / "run")
    assert state.history[0]["loss"] == pytest.approx(float(recorded["loss"]), rel=1e-9)
    assert norms == pytest.approx([float(recorded["gradient_norm"])], rel=1e-9)
    official = network.pretrained_layouts()["official"]
    compared = 0
    for name, after in network.state_dict().items():
        (theirs,) = official.theirs(name)
        if f"change/{theirs}" not in recorded:
            assert name.endswith("num_batches_tracked")
            continue
        wanted = recorded[f"change/{theirs}"]
        scale = np.abs(wanted[1:]).max()
        np.testing.assert_allclose(summary(after - task.weights[theirs]), wanted, rtol=1e-9, atol=1e-9 * scale)
        compared += 1
    unused = [key for key in recorded.files if "action_p2" in key]
    assert compared + len(unused) == sum(key.startswith("change/") for key in recorded.files)


def test_optimiser_groups_are_the_released_codes(recorded: np.lib.npyio.NpzFile) -> None:
    """Parameters by rate and decay; theirs have the 48 unused weights in addition."""
    recipe = code_recipe()
    with torch.device("meta"):
        groups = make_optimiser(recipe.optimiser, build(recipe.spec)).param_groups
    ours: dict[tuple[float, float], int] = {}
    for group in groups:
        ours[round(group["lr"], 9), group["weight_decay"]] = len(group["params"])
    theirs: dict[tuple[float, float], int] = {}
    for group in json.loads(str(recorded["groups"])):
        key = round(group["lr"], 9), group["weight_decay"]
        theirs[key] = theirs.get(key, 0) + group["n"]
    theirs[0.00125, 1e-4] -= 48
    assert ours == theirs


def test_heads_begin_as_in_the_released_code() -> None:
    torch.manual_seed(0)
    network = build(code_recipe().spec)
    for layer in (network.classifier, network.embedding.hidden, network.embedding.output):
        assert layer.weight.std().item() == pytest.approx(0.001, rel=0.05)
        assert not layer.bias.any()


def test_the_submission_is_the_released_codes(tmp_path: Path) -> None:
    oracle.need_oracle()
    recorded = np.load(oracle.ORACLE / "submission.npz")
    write_submission(tmp_path / "s.zip", recorded["names"].tolist(), recorded["scores"])
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        (member,) = archive.infolist()
        assert (member.filename, member.compress_type) == ("prediction.csv", zipfile.ZIP_STORED)
        assert archive.read(member) == str(recorded["prediction_csv"]).encode()
