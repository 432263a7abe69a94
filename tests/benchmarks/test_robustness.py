"""Degradations do what they say, and get worse with their strength."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from benchmarks import robustness
from benchmarks.degradation import OF_LANDMARKS, OF_PICTURES, STRENGTHS
from simulation.session import Settings, simulate


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Coarse and fine detail, uint8 (120, 160, 3)."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(60, 200, (12, 16, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0.0, 12.0, coarse.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", OF_PICTURES)
def test_pictures_get_worse_with_strength(name: str, picture: np.ndarray) -> None:
    change = OF_PICTURES[name]
    away = []
    for strength in STRENGTHS:
        changed = [change(picture, number, strength) for number in range(6)]
        assert all(one.dtype == np.uint8 and one.shape[0] == 120 for one in changed)
        assert np.array_equal(changed[3], change(picture, 3, strength))
        if name == "a second person":
            assert [one.shape[1] for one in changed] == [160 + 32 * strength] * 6
            assert np.array_equal(changed[0][:, :160], picture)
            continue
        away.append(np.mean([np.abs(one.astype(float) - picture).mean() for one in changed]))
    assert all(later > earlier > 0.0 for earlier, later in itertools.pairwise(away))


@pytest.mark.parametrize("name", OF_LANDMARKS)
def test_landmarks_get_worse_with_strength(name: str) -> None:
    session = simulate(1, 4.0, settings=Settings("balanced", "test", framing="whole body"))
    known = []
    for strength in (1, 5):
        changed = OF_LANDMARKS[name](session, strength, np.random.default_rng(0))
        assert (len(changed), changed.truth) == (len(session), session.truth)
        moved = np.abs(changed.pose[..., :2] - session.pose[..., :2]).mean()
        hidden = float(np.isnan(changed.hands).mean()) + float((changed.pose[..., 3] < 0.2).mean())
        known.append((moved, hidden))
    assert known[1][0] > known[0][0] or known[1][1] > known[0][1]


@pytest.mark.slow
def test_simulated_people_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "SESSIONS", 1)
    monkeypatch.setattr(robustness, "SECONDS", 12.0)
    monkeypatch.setattr(robustness, "LISTING", robustness.LISTING / "absent")
    monkeypatch.setattr(robustness, "STRENGTHS", (3,))
    monkeypatch.setattr(robustness, "RATES_HZ", (8,))
    found = robustness.run()
    assert 0.0 <= found.ours <= 1.0
    assert found.details["simulated, as it is, 0: part"] == found.other
    assert "simulated, a table, 3: wrong events" in found.details
