"""Habituation: what is said of a person all along counts for less, and nothing else changes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from engines.card import Calibration
from engines.taxonomy import ACTIONS
from events.aggregator import Aggregator
from events.habituation import CHANCE, MOST, Habituation
from events.limits import Limits, limits
from events.log_odds import log_odds
from events.offline import WindowGrid, detect
from events.posterior import Cell, PosteriorGrid
from events.scores import Event
from events.settings import AggregatorSettings
from events.types import Prediction, Stamps

S = 1_000_000_000
SPAN, HOP = 2 * S, S // 4
GRID = WindowGrid(SPAN, HOP, 0)
TILT, NOD, CROSS = 7, 9, 11
NOBODY: list[int] = []


def row(**high: float) -> npt.NDArray[np.float32]:
    probs = np.full(52, 0.005, np.float32)
    for name, value in high.items():
        probs[{"tilt": TILT, "nod": NOD, "cross": CROSS}[name]] = value
    return probs


def cells(probs: npt.NDArray[np.float32], count: int, step_ns: int = HOP) -> list[Cell]:
    return [Cell(at * step_ns, (at + 1) * step_ns, probs) for at in range(count)]


def limits_of(enter: float, exit_: float) -> Limits:
    return limits(AggregatorSettings(), Calibration(enter=enter, exit=exit_))


def found(scores: npt.NDArray[np.float32], habituation_s: float, enter: float = 0.5, exit_: float = 0.2) -> list[Event]:
    ends = SPAN + HOP * np.arange(len(scores))
    return detect(ends, scores, GRID, AggregatorSettings(habituation_s=habituation_s), limits_of(enter, exit_))


def test_what_is_below_chance_stays_as_it_is_to_the_bit() -> None:
    habit = Habituation(40 * S)
    for cell in cells(np.full(52, 1.0 / 52.0 - 1e-4, np.float32), 100):
        assert habit.take(cell, NOBODY).probs.tobytes() == cell.probs.tobytes()
    assert habit.habitual == ()


def test_the_level_is_a_running_mean_above_chance() -> None:
    habit, probs = Habituation(40 * S), row(tilt=0.3)
    taken = [habit.take(cell, NOBODY) for cell in cells(probs, 160)]  # 40 s: the time constant
    lowered = log_odds(probs)[TILT] - log_odds(taken[-1].probs)[TILT]
    height = log_odds(probs)[TILT] - CHANCE
    assert lowered == pytest.approx(height * (1.0 - math.exp(-159 / 160)), rel=1e-3)
    assert taken[0].probs.tobytes() == probs.tobytes()
    assert [one.name for one in habit.habitual] == ["tilting head"]


def test_it_depends_on_time_and_not_on_the_number_of_cells() -> None:
    coarse, fine = Habituation(40 * S), Habituation(40 * S)
    for cell in cells(row(tilt=0.4), 40, S):
        coarse.take(cell, NOBODY)
    for cell in cells(row(tilt=0.4), 400, S // 10):
        fine.take(cell, NOBODY)
    last = Cell(40 * S, 41 * S, row(tilt=0.9))
    assert coarse.take(last, NOBODY).probs == pytest.approx(fine.take(last, NOBODY).probs, abs=1e-6)


def test_a_certain_and_lasting_action_is_remembered_up_to_a_bound() -> None:
    habit = Habituation(10 * S)
    for cell in cells(row(cross=0.9999), 400):
        habit.take(cell, NOBODY)
    odds = log_odds(habit.take(Cell(100 * S, 101 * S, row(cross=0.999)), NOBODY).probs)[CROSS]
    assert odds == pytest.approx(log_odds(np.array([0.999]))[0] - MOST, abs=1e-3)


def test_a_person_whose_fingers_are_never_still_stops_raising_events() -> None:
    rng = np.random.default_rng(1)
    scores = np.stack([row(nod=0.15 + 0.6 * float(rng.random() < 0.5)) for _ in range(960)])  # 4 minutes
    plain, used = found(scores, 0.0), found(scores, 40.0)
    assert len(plain) >= 10
    assert len(used) <= len(plain) // 5
    assert all(onset < 60.0 for _, onset, _ in used)


def test_a_new_action_counts_in_full_beside_a_usual_one() -> None:
    scores = np.stack([row(tilt=0.4)] * 480)
    scores[240:256, NOD] = 0.95
    [event] = found(scores, 40.0)
    assert event[0] == NOD
    assert found(scores, 40.0) == found(scores, 0.0)


def test_arms_stay_crossed_for_minutes_and_cross_again() -> None:
    scores = np.stack([row()] * 1440)
    scores[80:1200, CROSS] = 0.97
    scores[1240:1360, CROSS] = 0.97  # ten seconds after the end
    events = found(scores, 40.0)
    assert [index for index, _, _ in events] == [CROSS, CROSS]
    assert events[0][2] - events[0][1] == pytest.approx(280.0, abs=1.5)


def test_the_aggregator_says_what_is_usual() -> None:
    aggregator = Aggregator(0, PosteriorGrid(SPAN, HOP, HOP), limits_of(0.9, 0.9), AggregatorSettings())
    for at in range(300):
        end = SPAN + at * HOP
        aggregator.push(Prediction(0, at, end - SPAN, end, np.zeros(52, np.float32), row(tilt=0.6), None, Stamps()))
    assert aggregator.habitual == (ACTIONS[TILT],)
    assert aggregator.posteriors[TILT] < 0.3
    off = Aggregator(0, PosteriorGrid(SPAN, HOP, HOP), limits_of(0.9, 0.9), AggregatorSettings(habituation_s=0.0))
    assert off.habitual == ()
