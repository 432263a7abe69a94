"""The aggregator's settings: each bounded and described."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = float
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]


class AggregatorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Windows to events."""

    latency_s: Annotated[
        Seconds,
        Meta(ge=0.0, le=30.0, description="wait this long for later windows before judging a moment; between hop "
                                          "(fast) and span (steady), clipped to them"),
    ] = 0.5
    enter: Annotated[
        Probability | None, Meta(description="posterior that starts an event; none: the model card's, else 0.35")
    ] = None
    exit: Annotated[
        Probability | None, Meta(description="posterior below which it ends; none: the model card's, else 0.2")
    ] = None
    min_duration_s: Annotated[Seconds, Meta(ge=0.0, le=30.0, description="shorter events are retracted")] = 0.5
    merge_gap_s: Annotated[Seconds, Meta(ge=0.0, le=30.0, description="shorter pauses do not end an event")] = 0.5
    refractory_s: Annotated[
        Seconds, Meta(ge=0.0, le=60.0, description="no new event of an action this soon after its last")
    ] = 0.25

    def __post_init__(self) -> None:
        if self.enter is not None and self.exit is not None and self.exit > self.enter:
            raise ValueError(f"exit ({self.exit}) must not be above enter ({self.enter})")
