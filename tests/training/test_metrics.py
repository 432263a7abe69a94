from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from engines.taxonomy import ACTIONS
from training.metrics import (
    PART_OF,
    average_precision,
    body_scores,
    confusion_matrix,
    f1_macro,
    f1_macro_of_means,
    f1_mean,
    f1_micro,
    mean_average_precision,
    score_clips,
    top_k,
)

# MANet paper, Table II: F1_mean, then F1_macro coarse and fine, F1_micro coarse and fine, per cent.
TABLE_II = {
    "TSN": (43.67, 52.50, 28.52, 59.22, 34.46),
    "TSM": (61.39, 70.98, 40.19, 77.64, 56.75),
    "TIN": (58.22, 66.99, 39.82, 73.26, 52.81),
    "C3D": (58.43, 66.60, 40.86, 74.04, 52.22),
    "I3D": (61.66, 71.56, 39.84, 78.16, 57.07),
    "SlowFast": (63.09, 70.61, 44.96, 77.18, 59.60),
    "VSwinT": (61.24, 71.25, 38.53, 77.95, 57.23),
    "TimeSF": (51.53, 61.90, 34.38, 69.17, 40.67),
    "UniF": (64.43, 71.80, 48.01, 79.03, 58.89),
    "MANet": (65.59, 72.87, 49.22, 78.95, 61.33),
}


@pytest.mark.parametrize("method", TABLE_II)
def test_f1_mean_reproduces_table_2(method: str) -> None:
    """Eq. 6. The parts are rounded to 0.01, and so is the mean."""
    mean, macro_coarse, macro_fine, micro_coarse, micro_fine = TABLE_II[method]
    assert f1_mean(macro_coarse, micro_coarse, macro_fine, micro_fine) == pytest.approx(mean, abs=0.0101)


@pytest.mark.parametrize("seed", range(8))
def test_scores_equal_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 400))  # few: most classes are absent
    true = rng.integers(0, 52, count)
    probs = rng.dirichlet(np.ones(52), count)
    probs[rng.random(count) < 0.5, 0] += 0.3
    predicted = probs.argmax(axis=1)
    want = {
        "macro": reference.f1_score(true, predicted, average="macro"),
        "micro": reference.f1_score(true, predicted, average="micro"),
    }
    confusion = confusion_matrix(true, predicted, 52)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(true, predicted, labels=range(52)))
    assert f1_macro(confusion) == pytest.approx(want["macro"], abs=1e-12)
    assert f1_micro(confusion) == pytest.approx(want["micro"], abs=1e-12)
    for k in (1, 5):
        score = reference.top_k_accuracy_score(true, probs, k=k, labels=range(52))
        assert top_k(probs, true, k) == pytest.approx(score, abs=1e-12)
    scores = score_clips(probs, true)
    parts = reference.f1_score(PART_OF[true], PART_OF[predicted], average="macro")
    assert scores.f1_macro_coarse == pytest.approx(parts, abs=1e-12)
    assert scores.top1_coarse == pytest.approx(np.mean(PART_OF[true] == PART_OF[predicted]), abs=1e-12)
    with np.errstate(all="ignore"):
        precision = reference.precision_score(true, predicted, average="macro", zero_division=0)
        recall = reference.recall_score(true, predicted, average="macro", zero_division=0)
    harmonic = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert f1_macro_of_means(confusion) == pytest.approx(harmonic, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_equals_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 20, 200) / 20.0  # many ties
    positive = rng.random(200) < 0.2
    assert average_precision(scores, positive) == pytest.approx(
        reference.average_precision_score(positive, scores), abs=1e-12
    )


def test_mean_average_precision_is_over_the_actions_that_occur() -> None:
    scores, shares = np.zeros((4, 52)), np.zeros((4, 52))
    scores[:, 3], shares[:, 3] = (0.9, 0.1, 0.2, 0.3), (1.0, 0.4, 0.0, 0.0)
    scores[:, 8], shares[:, 8] = (0.9, 0.1, 0.2, 0.3), (0.0, 0.0, 0.0, 0.6)  # second of four: 1/2
    assert mean_average_precision(scores, shares) == pytest.approx((1.0 + 0.5) / 2)
    assert np.isnan(mean_average_precision(scores, np.zeros((4, 52))))


def test_body_part_both_ways() -> None:
    """The top action is of the head, but the hands' actions together are likelier."""
    probs = np.zeros((1, 52))
    probs[0, 9] = 0.4
    probs[0, 11:14] = 0.2
    mapped, summed = body_scores(probs, "mapping"), body_scores(probs, "sum")
    assert mapped.argmax() == PART_OF[9] == 1
    assert summed.argmax() == PART_OF[11] == 2
    assert summed[0, 2] == pytest.approx(0.6)
    assert mapped[0, 2] == pytest.approx(0.2)
    assert [action.part_index for action in ACTIONS] == PART_OF.tolist()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 52\)"):
        score_clips(np.zeros((3, 51)), np.zeros(3, np.int64))
