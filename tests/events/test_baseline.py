"""A baseline: measured on rest, taken off later, and nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest

from engines.card import Calibration
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.baseline import LEAST_WINDOWS, MARGIN, Baseline
from events.limits import limits
from events.log_odds import log_odds
from events.offline import WindowGrid, detect
from events.settings import AggregatorSettings

SPAN, HOP = 1_900_000_000, 250_000_000
EXIT = np.full(52, 0.2)
TILT, NOD = 7, 9


def rested(*rows: dict[int, float]) -> Baseline:
    """A baseline of 6 s measured on windows with these probabilities, 0.01 for all others."""
    baseline = Baseline(6_000_000_000, SPAN, EXIT)
    end = SPAN
    index = 0
    while end <= 6_000_000_000:
        assert baseline.take(end - SPAN, end, probs(rows[index % len(rows)])) is None
        end, index = end + HOP, index + 1
    return baseline


def probs(high: dict[int, float]) -> np.ndarray:
    row = np.full(52, 0.01, np.float32)
    for index, value in high.items():
        row[index] = value
    return row


def test_only_what_rests_high_is_lowered_and_just_below_its_exit() -> None:
    baseline = rested({TILT: 0.7}, {TILT: 0.9})
    after = baseline.take(5_000_000_000, 6_900_000_000, probs({TILT: 0.9, NOD: 0.8}))
    assert after is not None
    assert after[NOD] == np.float32(0.8)
    assert np.delete(after, [TILT, NOD]).tolist() == [np.float32(0.01)] * 50
    assert log_odds(after)[TILT] == pytest.approx(log_odds(EXIT)[TILT] - MARGIN, abs=1e-4)
    lowered = log_odds(np.array([0.9]))[0] - log_odds(EXIT)[0] + MARGIN
    assert str(baseline) == f"baseline: tilting head by {lowered:.1f} in log-odds"


def test_a_stronger_tilt_than_at_rest_is_still_seen() -> None:
    baseline = rested({TILT: 0.5})
    after = baseline.take(5_000_000_000, 6_900_000_000, probs({TILT: 0.999}))
    assert after is not None
    assert after[TILT] > 0.9


def test_a_calm_person_changes_nothing_to_the_bit() -> None:
    baseline = rested({})
    row = np.random.default_rng(0).random(52).astype(np.float32)
    after = baseline.take(5_000_000_000, 6_900_000_000, row)
    assert after is not None
    assert after.tobytes() == row.tobytes()
    assert str(baseline) == "baseline: nothing had to be lowered"


def test_it_waits_for_enough_windows_after_a_gap() -> None:
    baseline = Baseline(6_000_000_000, SPAN, EXIT)
    assert baseline.take(0, SPAN, probs({})) is None
    late = [baseline.take(9_000_000_000 + k * HOP, 9_000_000_000 + k * HOP + SPAN, probs({})) for k in range(6)]
    assert [one is None for one in late] == [True] * (LEAST_WINDOWS - 1) + [False] * (7 - LEAST_WINDOWS)
    assert "sit still for 6 s" in str(Baseline(6_000_000_000, SPAN, EXIT))


def test_too_short_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"a baseline of 2.9 s or more, as windows are 1.9 s, got 2 s"):
        Baseline(2_000_000_000, SPAN, EXIT)


def test_the_aggregator_raises_nothing_at_rest_and_finds_what_comes_after() -> None:
    ends = np.arange(SPAN, 30_000_000_000, HOP)
    scores = np.stack([probs({TILT: 0.8}) for _ in ends])
    nodding = (ends > 15_000_000_000) & (ends < 19_000_000_000)
    scores[nodding, NOD] = 0.95
    scores[ends < 4_000_000_000, NOD] = 0.25  # above its exit while at rest
    grid = WindowGrid(SPAN, HOP, 0)
    chosen = limits(AggregatorSettings(), Calibration(enter=0.35, exit=0.2))
    plain = detect(ends, scores, grid, AggregatorSettings(), chosen)
    based = detect(ends, scores, grid, AggregatorSettings(baseline_s=8.0), chosen)
    assert {ACTIONS[index].name for index, _, _ in plain} == {"tilting head", "nodding"}
    assert [index for index, _, _ in based] == [NOD]
    assert 13.0 < based[0][1] < 16.0
