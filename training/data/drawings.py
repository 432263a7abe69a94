"""Training windows of simulated interviews."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.landmarks.mirror import mirror
from events.scores import FloatArray
from simulation.drawing_cache import Cache
from simulation.windows import targets
from training.data.examples import Example
from training.data.rare_actions import Preference, prefer_rare

JUDGED = 1000  # sessions whose windows are counted
MIRRORED = 0.5  # of training windows: none of the 52 actions is of the left or of the right


@dataclass(frozen=True)
class SimulatedWindows:
    """Clips (T, S, S, 3) and targets (52,) of windows of a cache's sessions, at random places or evenly spread."""

    cache: Cache
    count: int  # per epoch
    seed: int = 0
    chances: FloatArray | None = None  # see `chances_of`; None: the same, evenly spread windows in every epoch

    def __len__(self) -> int:
        return self.count

    def item(self, index: int, epoch: int) -> Example:
        """See `Source.item`."""
        plan = self.cache.plan
        rng = np.random.default_rng([self.seed, epoch, index])
        if self.chances is None:
            place = index * plan.sessions * plan.positions // self.count
        else:
            place = int(np.searchsorted(self.chances, rng.random() * self.chances[-1], side="right"))
        number, position = divmod(place, plan.positions)
        clip, end_s, events = self.cache.window(number, position)
        if self.chances is not None and rng.random() < MIRRORED:
            clip = mirror(clip)
        target = targets(events, np.array([end_s]), plan.span_s, plan.length, plan.focus)[0]
        return {"clips": clip, "targets": target}


def preference_of(cache: Cache) -> Preference:
    """Which windows of a cache to pick more often, by its first sessions."""
    return prefer_rare(np.concatenate([cache.targets(number) for number in range(min(cache.plan.sessions, JUDGED))]))


def chances_of(cache: Cache, preference: Preference) -> FloatArray:
    """Cumulative chances of all windows of a cache, session by session, (sessions · positions,)."""
    chances = [preference.chance(cache.targets(number)) for number in range(cache.plan.sessions)]
    return np.concatenate(chances).cumsum(dtype=np.float64)
