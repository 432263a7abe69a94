"""What an action or a body part must reach to become an event: from the settings, else the model's card, else defaults.

Events are of *classes*: the 52 actions and, where the card has limits for body parts, those 7 behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from engines.card import Calibration
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, BODY_PARTS
from events.posterior import FloatArray
from events.settings import AggregatorSettings
from events.types import Int64Array

DEFAULT_ENTER = 0.35
DEFAULT_EXIT = 0.2
DEFAULT_DURATION_S = 0.5
NAMES = (*(action.name for action in ACTIONS), *BODY_PARTS)
PART_OF = np.array([action.part_index for action in ACTIONS] + list(range(len(BODY_PARTS))))  # by class

Card = float | Sequence[float] | msgspec.UnsetType | None


def of_part(part: int) -> int:
    """The class that stands for a body part."""
    return len(ACTIONS) + part


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """By class, K of them: 52, or 59 with body parts."""

    enter: FloatArray  # (K,) posterior that starts an event
    exit: FloatArray  # (K,) posterior below which it ends
    minimum_ns: Int64Array  # (K,) events that are shorter are retracted

    def __post_init__(self) -> None:
        shape = self.enter.shape
        if shape not in ((len(ACTIONS),), (len(NAMES),)) or not self.exit.shape == self.minimum_ns.shape == shape:
            raise ValueError(
                f"expected limits ({len(ACTIONS)},) or ({len(NAMES)},), got {shape}, {self.exit.shape}, "
                f"{self.minimum_ns.shape}"
            )
        if not np.all(self.exit <= self.enter):
            raise ValueError("expected exit <= enter")

    @property
    def parts(self) -> bool:
        """Whether events are of body parts, and of actions where these are known."""
        return len(self.enter) > len(ACTIONS)


def limits(settings: AggregatorSettings, calibration: Calibration) -> Limits:
    """The limits for a model.

    Raises:
        BadInput: a threshold is not in 0..1, a list does not hold one per class, or an exit is above its enter.
    """
    levels = [_level(settings, len(ACTIONS), calibration.enter, calibration.exit, calibration.min_duration_s)]
    if parts := calibration.parts or None:
        levels.append(_level(settings, len(BODY_PARTS), parts.enter, parts.exit, parts.min_duration_s))
    enter, exit_, minimum_s = (np.concatenate(values) for values in zip(*levels, strict=True))
    above = np.flatnonzero(exit_ > enter)
    if above.size:
        at = int(above[0])
        raise BadInput(
            f"exit at or below enter for '{NAMES[at]}'",
            f"{exit_[at]:g} above {enter[at]:g}",
            "set both aggregator.enter and aggregator.exit",
        )
    return Limits(enter, exit_, np.round(minimum_s * 1e9).astype(np.int64))


def _level(
    settings: AggregatorSettings, count: int, enter: Card, exit_: Card, duration: Card
) -> tuple[FloatArray, FloatArray, FloatArray]:
    values = (
        _spread("enter threshold", count, settings.enter, enter, DEFAULT_ENTER),
        _spread("exit threshold", count, settings.exit, exit_, DEFAULT_EXIT),
        _spread("minimum duration", count, settings.min_duration_s, duration, DEFAULT_DURATION_S),
    )
    for name, chosen in zip(("enter", "exit"), values[:2], strict=True):
        if not np.all((chosen >= 0.0) & (chosen <= 1.0)):
            raise BadInput(
                f"{name} thresholds in 0..1", f"{chosen.min():g} to {chosen.max():g}", "fix the model's card.json"
            )
    return values


def _spread(name: str, count: int, setting: float | None, card: Card, default: float) -> FloatArray:
    on_card = None if isinstance(card, msgspec.UnsetType) else card
    values = np.asarray(setting if setting is not None else on_card if on_card is not None else default, np.float64)
    if values.shape not in ((), (count,)):
        raise BadInput(f"one {name} or {count}", f"{values.size}", "fix the model's card.json")
    return np.broadcast_to(values, (count,)).copy()
