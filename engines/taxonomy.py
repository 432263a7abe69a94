"""The 52 micro-actions and 7 body parts of MA-52, in the official index order (MANet paper, Table I).

A documented doubt: the clip counts that MA-52 publishes *per name* (turning around 308, rising up 15) match its own
annotation lists only if the names at indices 3 and 4 are exchanged. We keep the official order, so that checkpoints
and scores stay comparable; wherever these two names are shown, `Action.doubtful` says that they may be swapped.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

BODY_PARTS = ("body", "head", "upper limb", "lower limb", "body-hand", "head-hand", "leg-hand")
LOWER_LIMB_PARTS = frozenset({"lower limb", "leg-hand"})  # D and G, left out in the ablation of Table VII
EMOTIONS = ("joy", "sadness", "surprise", "fear", "anger")  # MANet paper, section VI, in the order of Table VII
DOUBTFUL_INDICES = frozenset({3, 4})


@dataclass(frozen=True, slots=True)
class Action:
    """One micro-action: `index` 0..51 in the official order, `code` as in the paper (A1 ... G4)."""

    index: int
    code: str
    name: str
    body_part: str

    @property
    def part_index(self) -> int:
        """Index of the body part, 0..6."""
        return BODY_PARTS.index(self.body_part)

    @property
    def doubtful(self) -> bool:
        """True where the official label file may have exchanged two names (see the module's docstring)."""
        return self.index in DOUBTFUL_INDICES


def _load() -> tuple[Action, ...]:
    text = resources.files("engines").joinpath("ma52.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(Action(int(row["index"]), row["code"], row["name"], row["body_part"]) for row in rows)


ACTIONS: tuple[Action, ...] = _load()
