"""Training the emotion network: on simulated interviews, resumed, frozen, each branch alone."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.bundle import Bundle
from engines.common.errors import Failed
from engines.landmarks.points import FACE_MESH_INDICES
from engines.networks.manet import MANet
from engines.runtimes import check_parity, open_runtime
from engines.specs.maenet import MAENetSpec
from engines.specs.manet import MANetSpec
from training.__main__ import main
from training.emotion import train as training
from training.emotion.simulated import resting
from training.emotion.stretches import Example, vary

TINY = (
    "--width",
    "8",
    "--face-width",
    "8",
    "--size",
    "32",
    "--face-size",
    "32",
    "--epochs",
    "2",
    "--batch-size",
    "8",
    "--threads",
    "1",
    "--draw-workers",
    "0",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def simulate(out: Path, cache: Path, *more: str, code: int = 0) -> Path:
    assert main(["simulate-emotion", "--out", str(out), "--cache", str(cache), "--sessions", "6", *TINY, *more]) == code
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A run to its end."""
    return simulate(tmp_path_factory.mktemp("whole") / "run", cache)


@pytest.fixture
def broken_off(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A run that breaks off when its first checkpoint is written."""
    saved = training._save

    def save_and_break(*arguments: object) -> None:
        saved(*arguments)  # type: ignore[arg-type]
        raise Failed("broken off")

    def run(*more: str) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(training, "_save", save_and_break)
            return simulate(tmp_path / "broken", cache, *more, code=1)

    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "state.pt", weights_only=True)["model"]


def test_a_run_makes_a_bundle_that_can_be_judged(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Bundle.load(whole / "model")
    assert bundle.card.trained
    assert bundle.card.provenance.trained_on == "simulated interviews: 6 sessions, 18 stretches, 2 epochs"
    assert (bundle.card.view, bundle.card.span_s, bundle.card.length) == ("landmarks", 3.8, 16)
    with open_runtime(bundle, "onnxruntime", threads=1) as runtime:
        check_parity(runtime)
    rows = list(csv.DictReader((whole / "curves.csv").open()))
    assert len(rows) == 2
    assert all(np.isfinite(float(rows[1][name])) for name in ("loss", "actions", "emotion", "val_map"))
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])

    capsys.readouterr()
    assert (
        main(
            [
                "evaluate-emotion",
                str(whole / "model"),
                "--sessions",
                "4",
                "--out",
                str(tmp_path / "scores"),
                "--draw-workers",
                "0",
                "--threads",
                "1",
            ]
        )
        == 0
    )
    scores = {row["score"]: float(row["value"]) for row in csv.DictReader((tmp_path / "scores/scores.csv").open())}
    assert 0.0 <= scores["uar"] <= 1.0
    assert "12 stretches" in capsys.readouterr().out


def test_a_broken_off_run_goes_on_to_the_same_weights(
    whole: Path, tmp_path: Path, cache: Path, broken_off: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    want, half = weights(whole), broken_off()
    assert not (half / "model").exists()
    assert not all(torch.equal(want[name], value) for name, value in weights(half).items())
    again = weights(simulate(half, cache, "--resume"))
    assert all(torch.equal(want[name], again[name]) for name in want)
    capsys.readouterr()
    simulate(tmp_path / "broken", cache, "--resume", "--beta", "0.5", code=2)
    assert "the same settings and data as before" in capsys.readouterr().err
    simulate(tmp_path / "broken", cache, code=2)
    assert "which holds a bundle" in capsys.readouterr().err
    simulate(tmp_path / "broken", cache, "--bundle", str(tmp_path / "other"), code=2)
    assert "which holds state.pt; name another, or continue a training run with --resume" in capsys.readouterr().err


@pytest.mark.parametrize(("branches", "inputs"), [("face", {"face", "face_seen"}), ("action", {"body", "body_seen"})])
def test_each_branch_alone_is_one_flag(tmp_path: Path, cache: Path, branches: str, inputs: set[str]) -> None:
    run = simulate(tmp_path / branches, cache, "--branches", branches, "--no-lower-limb")
    spec = Bundle.load(run / "model").card.emotion
    assert set(spec.inputs) == inputs
    assert spec.outputs == {"emotion": (5,), "actions": (40,)}


def test_a_frozen_branch_keeps_its_weights_and_the_rest_learns(
    tmp_path: Path, cache: Path, broken_off: Callable[..., Path]
) -> None:
    from engines.card import ModelCard, Provenance
    from engines.export.onnx_export import write_bundle

    torch.manual_seed(3)
    start = MANet(MANetSpec(depth=18, width=8, length=8, size=32, embedding=False)).eval()
    card = ModelCard(
        name="start",
        network=start.spec,
        intended_use="tests",
        view="landmarks",
        provenance=Provenance(trained=True, trained_on="noise"),
    )
    write_bundle(start, card, tmp_path / "start")
    run = simulate(tmp_path / "run", cache, "--init-body", str(tmp_path / "start"), "--freeze-body")
    learnt = weights(run)
    theirs = start.state_dict()
    body = {name.removeprefix("body."): value for name, value in learnt.items() if name.startswith("body.")}
    assert all(torch.equal(value, theirs[name]) for name, value in body.items())
    assert "kept start, trained on noise" in Bundle.load(run / "model").card.provenance.trained_on
    free = weights(broken_off("--init-body", str(tmp_path / "start")))
    assert not torch.equal(free["body.stem.conv.weight"], theirs["stem.conv.weight"])


def test_bad_input_is_one_line(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, line in (
        (("--freeze-body",), "--init-body with --freeze-body"),
        (("--span", "90"), "--span of 0.5 to"),
        (("--beta", "-1"), "--beta of 0 or more"),
        (("--face-size", "8"), "can be built"),
        (("--sessions", "0"), "--sessions above 0"),
        (("--init-body", "nowhere"), "a bundle folder"),
        (("--init-body", "landmarks-small"), "--depth and --width as it has them"),
    ):
        simulate(tmp_path / "bad", cache, *more, code=2)
        error = capsys.readouterr().err.strip()
        assert line in error
        assert len(error.splitlines()) == 1
    simulate(tmp_path / "bad", cache, "--span", "2", code=2)
    assert "delete that folder, or choose another --cache" in capsys.readouterr().err
    assert main(["evaluate-emotion", "landmarks-small", "--out", str(tmp_path / "scores")]) == 2
    assert "an emotion model, got landmarks-small" in capsys.readouterr().err


def test_varied_stretches_are_mirrored_and_hidden_now_and_then() -> None:
    spec = MAENetSpec(
        MANetSpec(depth=18, width=8, length=16, size=32, embedding=False),
        MANetSpec(depth=18, width=8, length=16, size=32, embedding=False),
    )
    inputs = {name: np.ones(shape, np.uint8) for name, shape in spec.inputs.items()}
    inputs["face"][:, :, 16:, 0] = 200
    example = Example(inputs, np.eye(6, dtype=np.float32)[0], np.zeros(52, np.float32))
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
