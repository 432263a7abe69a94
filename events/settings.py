"""The aggregator's settings: each bounded and described."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = float
Counts = Annotated[float, Meta(ge=0.01, le=100.0)]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]


LEAST_LOOKAHEAD_S, MOST_LOOKAHEAD_S = 0.2, 0.95


def as_lookahead(latency_s: float) -> float:
    """The look-ahead of models that score every step, for a wish that holds for every model. Seconds."""
    return min(max(latency_s, LEAST_LOOKAHEAD_S), MOST_LOOKAHEAD_S)


class AggregatorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Windows to events."""

    latency_s: Annotated[
        Seconds,
        Meta(
            ge=0.0,
            le=30.0,
            description="wait this long for later windows before judging a moment; between hop "
            "(fast) and span (steady), clipped to them",
        ),
    ] = 0.5
    lookahead_s: Annotated[
        Seconds,
        Meta(
            ge=LEAST_LOOKAHEAD_S,
            le=MOST_LOOKAHEAD_S,
            description="models that score every step: wait this long behind a moment before judging it",
        ),
    ] = 0.2
    enter: Annotated[
        Probability | None, Meta(description="posterior that starts an event; none: the model card's, else 0.35")
    ] = None
    exit: Annotated[
        Probability | None, Meta(description="posterior below which it ends; none: the model card's, else 0.2")
    ] = None
    min_duration_s: Annotated[
        Annotated[float, Meta(ge=0.0, le=30.0)] | None,
        Meta(description="shorter events are retracted; none: the model card's, else 0.5"),
    ] = None
    merge_gap_s: Annotated[Seconds, Meta(ge=0.0, le=30.0, description="shorter pauses do not end an event")] = 0.5
    refractory_s: Annotated[
        Seconds, Meta(ge=0.0, le=60.0, description="no new event of an action this soon after its last")
    ] = 0.25
    posture_s: Annotated[
        Seconds,
        Meta(
            ge=0.0,
            le=3600.0,
            description="models that score body parts: an event that lasts this long ends as a posture; 0: never",
        ),
    ] = 30.0
    habituation_s: Annotated[
        Seconds,
        Meta(
            ge=0.0,
            le=3600.0,
            description="what the model says of the person all along is taken off, as a "
            "mean over about this long; 0: off",
        ),
    ] = 40.0
    baseline_s: Annotated[
        Seconds,
        Meta(
            ge=0.0,
            le=300.0,
            description="the person sits still this long at the start, and what the model "
            "says of that is taken off; 0: no baseline",
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        if self.enter is not None and self.exit is not None and self.exit > self.enter:
            raise ValueError(f"exit ({self.exit}) must not be above enter ({self.enter})")


class EmotionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rolling estimate of the emotions that the expression shows."""

    on: Annotated[bool, Meta(description="estimate them at all; off, nothing of it is loaded")] = True
    hop_s: Annotated[Seconds, Meta(ge=0.1, le=10.0, description="a stretch of video is judged this often")] = 1.0
    time_constant_s: Annotated[
        Seconds, Meta(ge=1.0, le=600.0, description="how fast the estimate forgets what it saw")
    ] = 10.0
    least_evidence_s: Annotated[
        Seconds, Meta(ge=0.0, le=600.0, description="with fewer seconds to go on it abstains")
    ] = 3.0
    counts_per_s: Annotated[
        Counts | None, Meta(description="what a second of video is worth; none: the model card's, else 1")
    ] = None
    habituation_s: Annotated[
        Seconds,
        Meta(
            ge=0.0,
            le=3600.0,
            description="without a baseline, what the face says all along is taken off, as a mean over "
            "about this long; 0: off",
        ),
    ] = 180.0
    face_margin: Annotated[
        float, Meta(ge=0.0, le=2.0, description="room around the face, as a share of its size (models that see pixels)")
    ] = 0.3
