"""What the model says of a person all along counts for less: thresholds that get used to people.

An event is a change. But one person sits the way another bows, and fingers that are never quite still look like an
action again and again: nearly all false events of people who only sit come from a few of them, over and over. So the
aggregator keeps a running mean of how far each action's log-odds lie above chance, and takes it off the posterior: what
is new counts in full, what has been said of this person for a while counts for less. Without a long-standing
suspicion, nothing changes.

An event that runs is judged as when it began: arms may stay crossed for as long as they do. What it says of the person
is remembered up to `MOST` only, so that a second, clear event is still one.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from engines.taxonomy import ACTIONS, BODY_PARTS, Action
from events.log_odds import log_odds, lowered
from events.posterior import Cell

CHANCE = -math.log(len(ACTIONS) - 1)  # log-odds of one of 52 actions where nothing is known
PART_CHANCE = -math.log(len(BODY_PARTS) - 1)
MOST = 4.0  # log-odds above chance: a posterior of one half
NOTABLE = 1.5  # log-odds: a posterior of one half becomes 0.18


class Habituation:
    """One camera's. Cells in the order of media time."""

    def __init__(self, constant_ns: int, classes: int = len(ACTIONS)) -> None:
        """constant_ns: time constant of the running mean; classes: K, the actions and perhaps the body parts."""
        self._constant_ns = constant_ns
        self._chance = np.full(classes, CHANCE)
        self._chance[len(ACTIONS) :] = PART_CHANCE
        self._level = np.zeros(classes)  # log-odds above chance
        self._counted = np.zeros(classes)  # what is taken off: of running events, the level when they began

    @property
    def habitual(self) -> tuple[Action, ...]:
        """Actions that count for notably less by now, the most habitual first."""
        order = np.argsort(-self._level[: len(ACTIONS)], kind="stable").tolist()
        return tuple(ACTIONS[index] for index in order if self._level[index] >= NOTABLE)

    def take(self, cell: Cell, running: list[int]) -> Cell:
        """The cell as it counts for this person; `running`: the classes whose event is under way."""
        odds = log_odds(cell.probs)
        kept = self._counted[running]
        self._counted[:] = self._level
        self._counted[running] = kept
        share = -math.expm1((cell.start_ns - cell.end_ns) / self._constant_ns)
        self._level += share * (np.clip(odds - self._chance, 0.0, MOST) - self._level)
        return replace(cell, probs=lowered(cell.probs, odds, self._counted))
