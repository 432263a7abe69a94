"""People who rest unusually, and what a baseline changes with the default model."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.__main__ import main
from calibration.baseline import POSTURES, resting_session
from simulation.session import Settings, simulate

pytestmark = pytest.mark.slow


def test_an_unusual_posture_is_the_usual_person_sitting_otherwise() -> None:
    usual = simulate(4, 2.0, settings=Settings("idle", "test"))
    same, tilted = resting_session(4, 2.0, {}), resting_session(4, 2.0, POSTURES["head tilted"])
    assert np.array_equal(same.pose, usual.pose, equal_nan=True)
    eyes = [np.nanmean(one.pose[:, 2, :2] - one.pose[:, 5, :2], axis=0) for one in (usual, tilted)]
    roll = [float(np.arctan2(dy, dx)) for dx, dy in eyes]
    assert abs(abs(roll[1] - roll[0]) - 0.3) < 0.12
    assert tilted.camera == usual.camera


def test_the_command_reports_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "landmarks-small", "--minutes", "1", "--rest", "3"]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "with 3 s of rest" in line
    assert "simulated people" in line
    assert main(["baseline", "landmarks-small", "--rest", "1", "--minutes", "1"]) == 2
    assert "expected a baseline of 2.9 s or more" in capsys.readouterr().err
    assert main(["baseline", "untrained-small", "--minutes", "1"]) == 2
