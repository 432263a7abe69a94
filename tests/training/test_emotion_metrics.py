"""Scores of Tables VI and VII: equal to scikit-learn where it has them, by hand where it has not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from training.metrics import score_emotions


def drawn(seed: int, count: int = 60, classes: int = 12) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    true = rng.choice(5, count, p=(0.5, 0.2, 0.15, 0.1, 0.05))
    emotion = rng.normal(size=(count, 5)) + 1.2 * np.eye(5)[true]
    done = (rng.random((count, classes)) < 0.2).astype(float)
    actions = np.round(rng.normal(size=(count, classes)) + done, 1)  # ties occur
    return emotion, true, actions, done


@given(seed=st.integers(0, 10_000), count=st.integers(1, 80))
@settings(max_examples=25)
def test_equal_to_scikit_learn(seed: int, count: int) -> None:
    emotion, true, actions, done = drawn(seed, count)
    got = score_emotions(emotion, true, actions, done)
    answer = emotion.argmax(axis=1)
    labels = sorted(set(true) | set(answer))
    want = {
        "accuracy": sk.accuracy_score(true, answer),
        "f1_weighted": sk.f1_score(true, answer, average="weighted", zero_division=0),
        "uf1": sk.f1_score(true, answer, average="macro", labels=labels, zero_division=0),
        "uar": sk.recall_score(true, answer, average="macro", labels=sorted(set(true)), zero_division=0),
    }
    if done.any():
        there, instances = done.any(axis=0), done.any(axis=1)
        want["map"] = sk.average_precision_score(done[:, there], actions[:, there], average="macro")
        want["map_instances"] = np.mean(
            [
                sk.average_precision_score(row, score)
                for row, score in zip(done[instances], actions[instances], strict=True)
            ]
        )
    for name, value in want.items():
        assert abs(getattr(got, name) - value) <= 1e-12, name
    np.testing.assert_array_equal(got.confusion, sk.confusion_matrix(true, answer, labels=range(5)))


def test_by_hand() -> None:
    """Joy 2 of 3 right, anger 1 of 1, and a joy taken for anger; one window without an emotion."""
    emotion = np.eye(5)[[0, 0, 4, 4, 2]]
    true = np.array([0, 0, 0, 4, -1])
    actions = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7], [0.2, 0.3], [0.3, 0.4]])
    done = np.array([[1, 0], [0, 0], [1, 1], [0, 0], [0, 0]], float)
    got = score_emotions(emotion, true, actions, done)
    assert got.accuracy == 3 / 4
    assert got.uar == pytest.approx((2 / 3 + 1) / 2)
    f1 = (2 * 2 / (2 * 2 + 0 + 1), 2 * 1 / (2 * 1 + 1 + 0))  # joy, anger
    assert got.uf1 == pytest.approx(sum(f1) / 2)
    assert got.f1_weighted == pytest.approx((3 * f1[0] + 1 * f1[1]) / 4)
    # action 0 ranks 0.9 (true), 0.8, 0.3, 0.2, 0.1 (true): (1 + 2/5) / 2; action 1's only one is first
    assert got.map == pytest.approx((0.7 + 1.0) / 2)
    # the first instance ranks its one action first; in the third both are true
    assert got.map_instances == pytest.approx((1.0 + 1.0) / 2)
    assert got.windows == 5
    assert np.isnan(got.recall[[1, 2, 3]]).all()


def test_nothing_to_score_is_not_a_number() -> None:
    got = score_emotions(np.zeros((3, 5)), np.full(3, -1), np.zeros((3, 4)), np.zeros((3, 4)))
    assert all(np.isnan(value) for _, value in got.rows())
    with pytest.raises(ValueError, match="expected"):
        score_emotions(np.zeros((3, 4)), np.zeros(3, int), np.zeros((3, 4)), np.zeros((3, 4)))
