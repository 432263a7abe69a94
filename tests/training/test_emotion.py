"""Training the emotion network: on simulated interviews, resumed, frozen, each branch alone."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from engines.bundle import Bundle
from engines.common.errors import Failed
from engines.landmarks.points import FACE_MESH_INDICES
from engines.specs.landmark_manet import LandmarkMANetSpec
from engines.specs.maenet import ExpressionsSpec, MAENetSpec
from engines.specs.manet import MANetSpec
from simulation.emotion_cache import resting
from tests.training.conftest import TINY_MAENET, run_command, train_recipe
from training import loop
from training.__main__ import main
from training.checkpoint import State, read
from training.data.emotion_examples import EmotionWindow, vary
from training.start import open_network

pytestmark = pytest.mark.slow

TINY = f"""
name = "tiny"
task = "simulated-emotion"
{TINY_MAENET}[data]
sessions = 4
windows = 2
[optimiser]
epochs = 2
batch_size = 4
learning_rate = 3e-3
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module")
def emotion_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def whole(emotion_recipe: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to its end."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main([*run_command(emotion_recipe, out), "--cache", str(cache)]) == 0
    return out


@pytest.mark.long
def test_a_run_makes_a_bundle_that_can_be_judged(
    whole: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Bundle.load(whole / "model")
    assert bundle.card.trained
    assert bundle.card.provenance.trained_on == "simulated interviews: 4 sessions, 8 emotion windows, 2 epochs"
    assert (bundle.card.view, bundle.card.span_s, bundle.card.length) == ("landmarks", 3.8, 16)
    rows = list(csv.DictReader((whole / "curves.csv").open()))
    assert len(rows) == 2
    assert all(np.isfinite(float(rows[1][name])) for name in ("loss", "actions", "emotion", "val_map"))
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    capsys.readouterr()
    out = tmp_path / "scores"
    command = ["evaluate-emotion", str(whole / "model"), "--sessions", "2", "--windows", "2", "--out", str(out)]
    assert main([*command, "--draw-workers", "0", "--threads", "1", "--cache", str(cache)]) == 0
    scores = {row["score"]: float(row["value"]) for row in csv.DictReader((out / "scores.csv").open())}
    assert 0.0 <= scores["map_instances"] <= 1.0
    assert "4 emotion windows" in capsys.readouterr().out


def test_a_face_branch_alone_without_lower_limbs(emotion_recipe: Path, cache: Path, tmp_path: Path) -> None:
    changes = ("network.body=null", "network.lower_limb=false", "optimiser.epochs=1", "data.sessions=1")
    network = train_recipe(emotion_recipe, tmp_path / "face", *changes)
    assert set(network.spec.inputs) == {"face", "face_seen"}
    assert network.spec.outputs == {"emotion": (5,), "actions": (40,)}


def test_a_face_branch_of_expression_numbers_beside_a_body(emotion_recipe: Path, cache: Path, tmp_path: Path) -> None:
    changes = ('network.face={architecture = "expressions", features = 16}', "optimiser.epochs=1", "data.sessions=1")
    network = train_recipe(emotion_recipe, tmp_path / "numbers", *changes)
    assert set(network.spec.inputs) == {"body", "body_seen", "expressions", "face_seen"}
    assert network.expressions is not None


def test_the_shipped_recipe_keeps_the_landmark_network_and_draws_nothing(tmp_path: Path) -> None:
    changes = ("optimiser.epochs=1", "data.sessions=2", "data.windows=2")
    learnt = train_recipe("emotions", tmp_path / "run", *changes, cache=tmp_path / "cache").state_dict()
    theirs = open_network("landmarks").network.state_dict()
    body = {name.removeprefix("body."): value for name, value in learnt.items() if name.startswith("body.")}
    assert len(body) > 50
    assert all(torch.equal(value, theirs[name]) for name, value in body.items())
    (made,) = (tmp_path / "cache").glob("train*/*.windows")
    for kept in msgspec.msgpack.decode(made.read_bytes()):
        assert set(kept["inputs"]) == {"landmarks", "body_seen"}


def test_landmarks_are_mirrored_too() -> None:
    spec = MAENetSpec(LandmarkMANetSpec(steps=64), ExpressionsSpec())
    inputs = {name: np.ones(shape, np.float32) for name, shape in spec.inputs.items()}
    inputs["landmarks"][:, 15, 0] = 3.0  # the left wrist
    example = EmotionWindow(inputs, np.eye(6, dtype=np.float32)[0], np.zeros(52, np.float32))
    varied = [vary(example, np.random.default_rng(seed), drawn=True).inputs["landmarks"] for seed in range(200)]
    turned = [one[0, 16, 0] == -3.0 for one in varied]  # then it is the right one
    assert 0.35 < np.mean(turned) < 0.65
    assert all(one[0, 15, 0] == (-1.0 if is_turned else 3.0) for one, is_turned in zip(varied, turned, strict=True))


def test_a_frozen_branch_keeps_its_weights_and_the_rest_learns_and_resumes(
    emotion_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off in the middle of the second epoch."""
    changes = ("network.body.width=16", "start.model=landmarks-small", "start.part=body", "start.freeze=true")
    cache = tmp_path / "cache"
    at_once = train_recipe(emotion_recipe, tmp_path / "at once", *changes, cache=cache).state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(loop.Checkpoint, "save", breaking_at(loop.Checkpoint.save, (1, 1)))
        with pytest.raises(Failed, match="broken off"):
            train_recipe(emotion_recipe, tmp_path / "run", *changes, cache=cache, save_every=1)
    assert read(tmp_path / "run" / "state.pt")["state"]["epoch"] == 1
    learnt = train_recipe(emotion_recipe, tmp_path / "run", *changes, cache=cache, resume=True).state_dict()
    assert all(torch.equal(learnt[name], at_once[name]) for name in learnt)
    theirs = open_network("landmarks-small").network.state_dict()
    body = {name.removeprefix("body."): value for name, value in learnt.items() if name.startswith("body.")}
    assert all(torch.equal(value, theirs[f"backbone.{name}"]) for name, value in body.items())


def breaking_at(save: Callable[..., None], where: tuple[int, int]) -> Callable[..., None]:
    """Saves, and fails behind the save at this epoch and step."""

    def save_and_break(checkpoint: loop.Checkpoint, state: State) -> None:
        save(checkpoint, state)
        if (state.epoch, state.step) == where:
            raise Failed("broken off")

    return save_and_break


def test_bad_input_is_one_line(
    whole: Path, emotion_recipe: Path, cache: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    for changes, line in (
        (("start.freeze=true",), "a model or a checkpoint to start from"),
        (("data.span_s=90",), "`$.span_s`"),
        (("losses.beta=-1",), "`$.beta`"),
        (("network.face.size=8",), "a network that can be built"),
        (("start.model=nowhere",), "a bundle folder"),
        (("start.model=landmarks-small", "start.part=body"), "change [network] to its depth, width and parts"),
    ):
        assert line in refused(*run_command(emotion_recipe, tmp_path / "bad", *changes), "--cache", cache)
    line = refused(*run_command(emotion_recipe, tmp_path / "bad", "data.span_s=2.0"), "--cache", cache)
    assert "delete that folder, or choose another --cache" in line
    assert "an emotion model, got landmarks-small" in refused(
        "evaluate-emotion", "landmarks-small", "--out", tmp_path / "scores"
    )


def test_varied_windows_are_mirrored_and_hidden_now_and_then() -> None:
    branch = MANetSpec(depth=18, width=8, length=16, size=32, embedding=False)
    spec = MAENetSpec(branch, branch)
    inputs = {name: np.ones(shape, np.uint8) for name, shape in spec.inputs.items()}
    inputs["face"][:, :, 16:, 0] = 200
    example = EmotionWindow(inputs, np.eye(6, dtype=np.float32)[0], np.zeros(52, np.float32))
    varied = [vary(example, np.random.default_rng(seed), drawn=True) for seed in range(400)]
    mirrored = np.mean([one.inputs["face"][0, 0, 0, 2] == 200 for one in varied])
    assert 0.4 < mirrored < 0.6
    blind = [[not one.inputs[f"{name}_seen"].any() for one in varied] for name in ("body", "face")]
    assert all(0.07 < np.mean(each) < 0.18 for each in blind)
    assert not np.any(np.logical_and(*blind)), "something is always left to go on"
    partly = [one.inputs["face_seen"].any() and not one.inputs["face_seen"].all() for one in varied]
    assert 0.1 < np.mean(partly) < 0.3
    assert inputs["face_seen"].all(), "the example itself stays as it was"
    alone = {name: inputs[name] for name in ("face", "face_seen")}
    assert all(
        vary(example._replace(inputs=alone), np.random.default_rng(seed), drawn=True).inputs["face_seen"].any()
        for seed in range(200)
    )


def test_faces_at_rest_smile_or_frown_by_build() -> None:
    faces = np.stack([resting(np.random.default_rng(seed)) for seed in range(200)])  # cm
    left, right = (faces[:, FACE_MESH_INDICES.index(corner), 1] for corner in (291, 61))
    np.testing.assert_allclose(left, right)  # by build, so on both sides
    assert left.max() > 0.15
    assert left.min() < -0.15
    assert abs(left.mean()) < 0.05
