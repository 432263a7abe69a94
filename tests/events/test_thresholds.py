"""Thresholds: settings, card, defaults, and what is refused."""

from __future__ import annotations

import pytest

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.aggregator import DEFAULT_ENTER, DEFAULT_EXIT, thresholds
from events.settings import AggregatorSettings


def test_settings_win_over_the_card_and_the_card_over_the_defaults() -> None:
    listed = [0.3 + index / 1000 for index in range(len(ACTIONS))]
    enter, exit_ = thresholds(AggregatorSettings(), None, None)
    assert (enter == DEFAULT_ENTER).all()
    assert (exit_ == DEFAULT_EXIT).all()
    enter, exit_ = thresholds(AggregatorSettings(), listed, 0.1)
    assert enter.tolist() == listed
    assert (exit_ == 0.1).all()
    enter, exit_ = thresholds(AggregatorSettings(enter=0.6), listed, 0.1)
    assert (enter == 0.6).all()
    assert (exit_ == 0.1).all()
    assert exit_.shape == enter.shape == (len(ACTIONS),)


@pytest.mark.parametrize(
    ("chosen", "enter", "exit_", "message"),
    [
        (AggregatorSettings(enter=0.1), None, None, "exit at or below enter for 'shaking body', got 0.2 above 0.1"),
        (AggregatorSettings(), [0.5] * 51 + [0.1], 0.2, "scratching feet"),
        (AggregatorSettings(), [0.5] * 7, None, "one enter threshold or 52, got 7"),
        (AggregatorSettings(), 1.5, None, "enter thresholds in 0..1"),
        (AggregatorSettings(), None, float("nan"), "exit thresholds in 0..1"),
    ],
)
def test_impossible_thresholds_are_refused(
    chosen: AggregatorSettings, enter: float | list[float] | None, exit_: float | None, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        thresholds(chosen, enter, exit_)
