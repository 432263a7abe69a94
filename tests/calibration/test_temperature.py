"""Temperatures of scores whose temperature is known; reliability by hand and against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from calibration.__main__ import main
from calibration.reliability import BINS, measure, plot, read_scores, reliability, statements
from engines.bundle import Bundle, find
from engines.card import Calibration
from engines.common.errors import BadInput
from events.fit_temperature import fit_temperature, with_temperature


@pytest.fixture(scope="module")
def softmax() -> Bundle:
    return Bundle.load(find("untrained-small"))


@pytest.fixture(scope="module")
def sigmoid(softmax: Bundle) -> Bundle:
    return Bundle(softmax.path, msgspec.structs.replace(softmax.card, calibration=Calibration(activation="sigmoid")))


def test_reliability_by_hand() -> None:
    """Four say 0.9, three are right; two say 0.2, none is."""
    found = measure(np.array([0.9, 0.9, 0.9, 0.9, 0.2, 0.2]), np.array([1, 1, 1, 0, 0, 0], bool))
    assert found.ece == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.2)
    assert found.brier == pytest.approx((3 * 0.01 + 0.81 + 2 * 0.04) / 6)
    assert found.nll == pytest.approx(-(3 * np.log(0.9) + np.log(0.1) + 2 * np.log(0.8)) / 6)
    assert found.shares.sum() == pytest.approx(1.0)


def test_reliability_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(5000)
    happened = rng.random(5000) < said**1.5
    found = measure(said, happened)
    assert found.brier == pytest.approx(brier_score_loss(happened, said), abs=1e-12)
    assert found.nll == pytest.approx(log_loss(happened, said), abs=1e-12)
    true, mean = calibration_curve(happened, said, n_bins=BINS)
    np.testing.assert_allclose(found.happened, true, atol=1e-12)
    np.testing.assert_allclose(found.said, mean, atol=1e-12)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_sigmoids_is_found(sigmoid: Bundle, true_temperature: float) -> None:
    rng = np.random.default_rng(1)
    honest = rng.normal(-1.0, 2.0, (3000, 52))
    labels = (rng.random(honest.shape) < 1.0 / (1.0 + np.exp(-honest))).astype(np.float64)
    logits = honest * true_temperature
    found = fit_temperature(sigmoid, logits, labels)
    assert found == pytest.approx(true_temperature, rel=0.03)
    mended = reliability(with_temperature(sigmoid, found), logits, labels)
    assert mended.ece < 0.01
    assert mended.nll <= reliability(sigmoid, logits, labels).nll + 1e-9


@pytest.mark.parametrize("true_temperature", [0.7, 1.589])
def test_the_temperature_of_a_softmax_is_found(softmax: Bundle, true_temperature: float) -> None:
    rng = np.random.default_rng(2)
    honest = rng.normal(0.0, 2.0, (6000, 52))
    chosen = (honest + rng.gumbel(size=honest.shape)).argmax(axis=1)  # drawn from the softmax (Gumbel-max)
    labels = np.eye(52)[chosen]
    found = fit_temperature(softmax, honest * true_temperature, labels)
    assert found == pytest.approx(true_temperature, rel=0.03)
    said, happened = statements(with_temperature(softmax, found), honest * true_temperature, labels)
    assert measure(said, happened).ece < 0.02


def test_scores_of_an_evaluation_give_a_bundle_and_a_diagram(softmax: Bundle, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    honest = rng.normal(0.0, 2.0, (4000, 52))
    true = (honest + rng.gumbel(size=honest.shape)).argmax(axis=1)
    scores, diagram = tmp_path / "scores.npz", tmp_path / "reliability.png"
    np.savez(scores, logits=(2.0 * honest).astype(np.float32), labels=true)
    assert (
        main(
            [
                "temperature",
                "untrained-small",
                "--out",
                str(tmp_path / "t"),
                "--scores",
                str(scores),
                "--plot",
                str(diagram),
            ]
        )
        == 0
    )
    calibration = Bundle.load(tmp_path / "t").card.calibration
    assert calibration.temperature == pytest.approx(2.0, rel=0.05)
    assert calibration.basis == "temperature: half of 4000 labelled clips; no thresholds"
    assert diagram.read_bytes().startswith(b"\x89PNG")


def test_bad_scores(softmax: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    for arrays in (
        {"logits": np.zeros((3, 51)), "labels": np.zeros(3)},
        {"logits": np.zeros((3, 52))},
        {"logits": np.zeros((3, 52)), "labels": np.full(3, 52)},
        {"logits": np.full((3, 52), np.nan), "labels": np.zeros(3)},
    ):
        np.savez(path, **arrays)
        with pytest.raises(BadInput, match=r"scores\.npz"):
            read_scores(path)
    path.write_text("no archive")
    with pytest.raises(BadInput, match="evaluation"):
        read_scores(path)
    with pytest.raises(BadInput, match="100 labelled windows"):
        fit_temperature(softmax, np.zeros((5, 52)), np.eye(52)[:5])
    with pytest.raises(ValueError, match="as many outcomes"):
        measure(np.zeros(3), np.zeros(2, bool))
    plot({"empty bins": measure(np.array([0.5]), np.array([True]))}, tmp_path / "one.png")
