from __future__ import annotations

import numpy as np
import pytest

from engines.taxonomy import ACTIONS
from training.metrics import PART_OF, average_precision, body_scores, f1_mean, mean_average_precision, score_clips

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


def test_clip_scores_by_hand() -> None:
    """Nodding (head) twice right, shaking (head) taken for nodding, sitting straightly for an action of the legs."""
    true, predicted = np.array([9, 9, 10, 1]), np.array([9, 9, 9, 24])
    probs = np.full((4, 52), 0.001)
    probs[np.arange(4), predicted] = 0.5
    probs[2, 10] = 0.3  # second
    scores = score_clips(probs, true)
    assert scores.top1_fine == scores.f1_micro_fine == 2 / 4
    assert scores.top1_coarse == scores.f1_micro_coarse == 3 / 4
    assert scores.top5_fine >= 3 / 4
    fine = (2 * 2 / (2 * 2 + 1), 0.0, 0.0, 0.0)  # nodding; shaking, action 1 and action 24 never
    assert scores.f1_macro_fine == pytest.approx(sum(fine) / 4)
    assert scores.f1_macro_coarse == pytest.approx((1.0 + 0.0 + 0.0) / 3)
    precision, recall = (2 / 3) / 4, 1.0 / 4  # means over the four classes
    assert scores.f1_macro_of_means_fine == pytest.approx(2 * precision * recall / (precision + recall))
    means = (scores.f1_macro_coarse, scores.f1_micro_coarse, scores.f1_macro_fine, scores.f1_micro_fine)
    assert scores.f1_mean == pytest.approx(sum(means) / 4)


def test_mean_average_precision_is_over_the_actions_that_occur() -> None:
    scores, positive = np.zeros((4, 52)), np.zeros((4, 52), bool)
    scores[:, 3] = scores[:, 8] = (0.9, 0.1, 0.2, 0.3)
    positive[0, 3] = positive[3, 8] = True  # first; second of four: 1/2
    assert mean_average_precision(scores, positive) == pytest.approx((1.0 + 0.5) / 2)
    assert np.isnan(mean_average_precision(scores, np.zeros((4, 52), bool)))
    assert np.isnan(average_precision(scores[:, 3], positive[:, 5]))


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
