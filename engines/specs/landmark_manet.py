"""The landmark network in plain data: MANet's gates and shifts on landmarks of every step. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engines.landmarks.steps import CHANNELS, POINTS, STEP_S
from engines.specs.base import LandmarkSpec, SpecStruct


class LandmarkMANetSpec(LandmarkSpec, SpecStruct, frozen=True, tag="landmark_manet"):
    """Residual temporal convolutions; the defaults are the shipped model. A ratio or fraction of 0: without."""

    steps: Annotated[int, Meta(ge=16, le=256)] = 48  # T
    points: Annotated[int, Meta(ge=POINTS, le=POINTS)] = POINTS
    channels: Annotated[int, Meta(ge=CHANNELS, le=CHANNELS)] = CHANNELS
    width: Annotated[int, Meta(ge=8, le=512, multiple_of=8)] = 96
    dilations: tuple[Annotated[int, Meta(ge=1, le=32)], ...] = (1, 2, 4, 8, 1, 2)  # of each block, steps
    se_ratio: Annotated[int, Meta(ge=0, le=16)] = 4  # channels per squeezed channel
    shift_fraction: Annotated[int, Meta(ge=0, le=64)] = 8  # one in this many channels is shifted, each way
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.1  # of features, in training

    @property
    def features(self) -> int:
        """What its blocks give of each step."""
        return self.width

    @property
    def span_s(self) -> float:
        """The steps at their fixed rate."""
        return self.steps * STEP_S
