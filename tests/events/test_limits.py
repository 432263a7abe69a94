"""Limits: settings, card, defaults, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from engines.card import Calibration, PartCalibration
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.limits import DEFAULT_DURATION_S, DEFAULT_ENTER, DEFAULT_EXIT, limits
from events.settings import AggregatorSettings
from realtime.clock import to_ns


def test_settings_win_over_the_card_and_the_card_over_the_defaults() -> None:
    listed = [0.3 + index / 1000 for index in range(len(ACTIONS))]
    card = Calibration(enter=tuple(listed), exit=0.1, min_duration_s=0.2)
    chosen = limits(AggregatorSettings(), Calibration())
    assert (chosen.enter == DEFAULT_ENTER).all()
    assert (chosen.exit == DEFAULT_EXIT).all()
    assert (chosen.minimum_ns == to_ns(DEFAULT_DURATION_S)).all()
    assert chosen.exit.shape == chosen.enter.shape == chosen.minimum_ns.shape == (len(ACTIONS),)
    chosen = limits(AggregatorSettings(), card)
    assert chosen.enter.tolist() == listed
    assert (chosen.exit == 0.1).all()
    assert (chosen.minimum_ns == to_ns(0.2)).all()
    chosen = limits(AggregatorSettings(enter=0.6, min_duration_s=0.0), card)
    assert (chosen.enter == 0.6).all()
    assert (chosen.exit == 0.1).all()
    assert (chosen.minimum_ns == 0).all()


def test_limits_of_body_parts_stand_behind_those_of_actions() -> None:
    parts = PartCalibration(enter=0.5, exit=(0.1, 0.2, 0.3, 0.4, 0.5, 0.1, 0.1), min_duration_s=0.1)
    chosen = limits(AggregatorSettings(), Calibration(enter=0.7, exit=0.6, parts=parts))
    assert chosen.parts
    assert chosen.enter.tolist() == [0.7] * 52 + [0.5] * 7
    assert chosen.exit.tolist() == [0.6] * 52 + [0.1, 0.2, 0.3, 0.4, 0.5, 0.1, 0.1]
    assert chosen.minimum_ns.tolist() == [to_ns(0.5)] * 52 + [to_ns(0.1)] * 7


def card(enter: float | list[float] | None, exit_: float | None) -> Calibration:
    """As a card may hold them that nobody has checked."""
    made = Calibration()
    msgspec.structs.force_setattr(made, "enter", enter)
    msgspec.structs.force_setattr(made, "exit", exit_)
    return made


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
        limits(chosen, card(enter, exit_))
