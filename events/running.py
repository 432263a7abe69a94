"""One event that is under way: what it is made of, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.taxonomy import ACTIONS, BODY_PARTS, Action
from events.limits import PART_OF
from events.posterior import Cell, FloatArray
from events.types import Candidate

HALF = 0.5  # of the peak, where events are dated
MOST_CANDIDATES = 3
LEAST_CANDIDATE = 0.05  # probability that is worth naming


@dataclass(slots=True)
class Running:
    """A provisional or confirmed event. Arrays are by class, (K,)."""

    id: int
    key: int  # the class that it is of: an action, or a body part while the action is not known
    onset_ns: int
    began_ns: int  # start of its first cell at or above exit
    from_ns: int  # where `mass` of its class begins
    first_ns: int  # where `mass` of all other classes begins: at the cell that raised it
    raised_ns: int  # end of the window whose arrival raised it
    held_ns: int  # end of the last cell that held it
    named_ns: int  # end of the last cell in which its own class was at or above exit
    mass: FloatArray  # posterior times duration, up to held_ns
    peak: FloatArray  # highest posteriors
    last: FloatArray  # posteriors of the last cell that held it
    pause_mass: FloatArray  # posterior times duration, since held_ns
    outside: FloatArray | None = None  # posteriors of the cell behind `last`, where there is one
    confirmed: bool = False

    @property
    def action(self) -> Action | None:
        """None while only the body part is known."""
        return ACTIONS[self.key] if self.key < len(ACTIONS) else None

    @property
    def part(self) -> int:
        """Index of its body part."""
        return int(PART_OF[self.key])

    @property
    def body_part(self) -> str:
        """Its name."""
        return BODY_PARTS[self.part]

    @property
    def confidence(self) -> float:
        """Mean posterior of its class up to now, 0..1."""
        return min(max(float(self.mass[self.key]) / (self.held_ns - self.from_ns), 0.0), 1.0)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The likeliest actions of its body part, likeliest first."""
        mean = self.mass[: len(ACTIONS)] / (self.held_ns - self.first_ns)
        if self.key < len(ACTIONS):
            mean[self.key] = self.confidence
        mean[PART_OF[: len(ACTIONS)] != self.part] = 0.0
        likeliest = np.argsort(-mean, kind="stable")[:MOST_CANDIDATES].tolist()
        return tuple(
            Candidate(ACTIONS[at], min(float(mean[at]), 1.0)) for at in likeliest if mean[at] >= LEAST_CANDIDATE
        )

    def name(self, key: int) -> None:
        """It is of this action."""
        self.key, self.from_ns = key, self.first_ns

    def hold(self, cell: Cell, named: bool) -> None:
        """It goes on; `named`: its own class is at or above exit."""
        self.mass = self.mass + self.pause_mass + mass_of(cell)
        self.pause_mass, self.outside = np.zeros_like(self.mass), None
        self.held_ns = cell.end_ns
        if named:
            self.named_ns = cell.end_ns
        self.last = cell.probs.astype(np.float64)
        self.peak = np.maximum(self.peak, self.last)

    def pause(self, cell: Cell) -> None:
        """It may be over."""
        self.pause_mass = self.pause_mass + mass_of(cell)
        if self.outside is None:
            self.outside = cell.probs.astype(np.float64)


def mass_of(cell: Cell) -> FloatArray:
    """Posterior times duration, (K,)."""
    mass: FloatArray = cell.probs.astype(np.float64) * (cell.end_ns - cell.start_ns)
    return mass


def inwards(exit_: float, peak: float, edge: float, outside: float, step_ns: int) -> int:
    """How far inside its run an event is dated, ns: 0 to half a cell.

    Args:
        exit_: posterior below which events of its class end.
        peak: highest posterior of the event so far.
        edge: posterior of the cell at the run's edge.
        outside: of the one beside it, NaN where there is none. Beside nothing, and beside the refractory period, the
            edge stays.
        step_ns: length of a cell.
    """
    if not outside < exit_:
        return 0
    level = min(max(exit_, HALF * peak), edge)
    share = (level - outside) / (edge - outside)  # of the way from the middle of one cell to that of the other
    return max(round((share - 0.5) * step_ns), 0)
