"""The landmark task: one small run from simulated sessions and hand-made sequences to a bundle that is evaluated."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.landmarks.recordings import load_sequences
from engines.landmarks.steps import STEP_S, VALID, VISIBILITY
from lab.__main__ import main as lab
from simulation.landmark_cache import LandmarkPlan, LandmarkSessions, load_or_make
from tests.lab.test_evaluate_real import write
from training.__main__ import main
from training.landmarks.augment import OF_ARMS, OF_LEGS, REAL, SIMULATED, augment, framed
from training.landmarks.batches import MixedBatches, RealWindows, SimulatedWindows, at_rest, running, thinned
from training.landmarks.limits import shown_events
from training.machine import Machine
from training.recipe import read_recipe
from training.tasks import open_task

TINY = (
    "network.width=8",
    "network.dilations=[1,2]",
    "data.sessions=3",
    "data.seconds=6",
    "data.batches=2",
    "data.validation_sessions=2",
    "data.validation_windows=8",
    "calibration.idle_minutes=1",
    "optimiser.epochs=2",
    "optimiser.batch_size=8",
)
PLAN = LandmarkPlan("train", 3, 6.0, 1)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two files, one to train on and one to develop with."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "landmarks").mkdir()
    for name in ("one", "two"):
        write(folder / "landmarks" / f"{name}.npz")
    (folder / "split.json").write_text(json.dumps({"train": ["one"], "develop": ["two"]}))
    return folder


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedWindows:
    return SimulatedWindows(load_or_make(tmp_path_factory.mktemp("cache") / "made", PLAN, lambda *_: None), 48)


def test_sessions_are_cached_as_they_were_made(tmp_path: Path) -> None:
    made = load_or_make(tmp_path / "made", PLAN, lambda *_: None)
    again = load_or_make(tmp_path / "made", PLAN, lambda *_: pytest.fail("made again"))
    assert np.array_equal(made.frames, again.frames)
    assert np.array_equal(made.events, again.events)
    assert made.first.tolist() == [0, 180, 360, 540]
    with pytest.raises(BadInput, match="these sessions"):
        load_or_make(tmp_path / "made", LandmarkPlan("train", 3, 6.0, 2), lambda *_: None)


def test_targets_are_what_runs_at_each_step_and_what_cannot_be_told() -> None:
    events = np.array([(9, 0.0, 0.1, 1.0), (30, 0.0, 1.0, 0.1)])
    targets = running(events, np.array([0.0, 0.05, 0.2]))
    assert targets[:, 9].tolist() == [1.0, 1.0, 0.0]
    assert targets[:, 30].tolist() == [-1.0, -1.0, -1.0]
    assert targets.sum() == 2.0 - 3.0


def test_limits_are_fitted_on_what_is_recorded() -> None:
    """Sessions go on behind what is kept of them, and actions may be under way when they begin."""
    events = np.array(
        [
            (0, 9, -1.0, 1.5, 1.0),
            (0, 8, -1.0, 0.1, 1.0),
            (0, 7, 5.0, 9.0, 1.0),
            (0, 6, 6.0, 7.0, 1.0),
            (0, 5, 1.0, 2.0, 0.2),
        ]
    )
    none = np.zeros((0, 498), np.int16)
    sessions = LandmarkSessions(none, np.zeros(2, np.int64), np.array([30.0]), np.ones(1), ("balanced",), events)
    assert shown_events(sessions, 0, 6.0) == [(9, 0.0, 1.5), (7, 5.0, 6.0)]


def test_cameras_are_never_faster_than_the_recording() -> None:
    rng = np.random.default_rng(0)
    counts = [len(thinned(rng, 300, 30.0)) for _ in range(200)]
    assert min(counts) >= 75  # 8 pictures a second, less what coincides
    assert max(counts) == 300


def test_batches_depend_on_seed_epoch_and_number_alone(simulated: SimulatedWindows, real: Path) -> None:
    files = [load_sequences(real / "landmarks" / "one.npz")]
    made = MixedBatches(simulated, RealWindows(files, 48), 8, 0.25, seed=3)
    first, other = made.make(0, 1), made.make(0, 2)
    again = MixedBatches(simulated, RealWindows(files, 48), 8, 0.25, seed=3).make(0, 1)
    assert first["landmarks"].shape == (8, 48, 155, 5)
    assert first["targets"].shape == (6, 48, 52)
    assert first["sets"].shape == (2, 52)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["landmarks"], other["landmarks"])


def test_augmentation_leaves_what_was_not_found_at_zero(simulated: SimulatedWindows) -> None:
    landmarks, _ = simulated.batch(np.random.default_rng(1), 16)
    for spread in (SIMULATED, REAL):
        changed = augment(landmarks, spread, torch.Generator().manual_seed(1))
        gone = changed[..., VALID] == 0.0
        assert (changed[gone] == 0.0).all()
        assert torch.isfinite(changed).all()
        assert (changed[..., VALID] <= 1.0).all()


def test_what_a_camera_does_not_show_is_unknown(simulated: SimulatedWindows) -> None:
    landmarks, _ = simulated.batch(np.random.default_rng(1), 64)
    targets = torch.zeros(64, 48, 52)
    targets[..., [9, 23, 24, 41]] = 1.0  # nodding, gestures, shaking legs, touching the face
    changed, told = framed(landmarks, targets, torch.Generator().manual_seed(2))
    legs = (told[..., 24] == -1.0).all(1)  # windows whose legs are hidden
    arms = (told[..., 23] == -1.0).any(1)  # of which there are some that show head and shoulders alone
    assert 8 <= legs.sum() <= 32
    assert 0 < arms.sum() < legs.sum()
    assert (told[..., [9, 41]] == 1.0).all()
    assert (told[~legs] == targets[~legs]).all()
    assert torch.equal(changed[~legs], landmarks[~legs])
    assert (changed[legs][:, :, 25:33, VISIBILITY] <= 0.21).all()
    ears = changed[arms][:, :, 7:9]
    assert torch.equal(ears, landmarks[arms][:, :, 7:9])
    assert not set(OF_ARMS) & set(OF_LEGS)


def test_half_of_the_windows_show_an_action_drawn_evenly(simulated: SimulatedWindows) -> None:
    _, anywhere = simulated.batch(np.random.default_rng(1), 256)
    _, chosen = simulated.batch(np.random.default_rng(1), 256, 1.0)
    busy = [(one[:, -20:-3] > 0.0).any(1).any(1).float().mean().item() for one in (anywhere, chosen)]
    assert busy[1] > max(0.9, busy[0])


def test_sessions_made_in_processes_are_the_same(tmp_path: Path) -> None:
    plan = LandmarkPlan("train", 2, 5.0, 1)
    one = load_or_make(tmp_path / "one", plan, lambda *_: None)
    two = load_or_make(tmp_path / "two", plan, lambda *_: None, workers=1)
    assert np.array_equal(one.frames, two.frames)
    assert np.array_equal(one.events, two.events)


def test_rest_is_background(real: Path) -> None:
    sequence = load_sequences(real / "landmarks" / "one.npz")[0]
    assert at_rest(sequence) is None
    resting = at_rest(dataclasses.replace(sequence, rest=(2, 14)))
    assert resting is not None
    assert (resting.labels, len(resting.frames)) == ((), 12)


def test_without_real_people_the_card_says_so(tmp_path: Path, real: Path) -> None:
    alone = open_task(read_recipe("landmarks", TINY), Machine(tmp_path, tmp_path / "cache"))
    assert alone.about == "simulated interviews: 3 sessions of 6 s; no real people"
    both = open_task(read_recipe("landmarks", TINY, real), Machine(tmp_path, tmp_path / "cache"))
    assert "4 landmark sequences of real people with weak labels, 1 files" in both.about
    assert alone.data != both.data


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"train": ["absent"], "develop": []}')
    with pytest.raises(BadInput, match="absent"):
        open_task(read_recipe("landmarks", TINY, tmp_path), Machine(tmp_path, tmp_path / "cache"))


@pytest.mark.slow
def test_one_command_makes_a_bundle_that_can_be_evaluated(
    tmp_path: Path, real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [word for change in TINY for word in ("--set", change)]
    command = ["run", "landmarks", "--data", str(real), "--out", str(tmp_path / "run"), "--threads", "1", *changes]
    assert main(command) == 0
    bundle = Bundle.load(tmp_path / "run" / "model")
    card = bundle.card
    assert card.span_s == 48 * STEP_S == 3.0
    assert list(card.network.outputs) == ["actions", "parts"]
    assert card.calibration.parts is not None
    assert card.provenance.trained
    capsys.readouterr()
    file = str(real / "landmarks" / "two.npz")
    assert lab(["evaluate-real", str(bundle.path), file, "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["all"]["n"] == 3
    assert 0.0 <= found["all"]["top1"] <= found["all"]["top3"] <= 1.0
