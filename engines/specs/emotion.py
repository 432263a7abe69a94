"""The networks that MAENet is compared with (MANet paper, Table VI), in plain data."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engines.specs.base import EmotionSpec, SpecStruct
from engines.specs.sampling import Sampling

SNIPPET = 16  # frames
FRAME_RATE_HZ = 30.0  # of the videos that VAANet's snippets are cut from


class EmotionFANSpec(EmotionSpec, SpecStruct, frozen=True, tag="emotion_fan"):
    """Emotion-FAN (Meng et al. 2019): a ResNet-18 on each face, and frames weighed by attention."""

    length: Annotated[int, Meta(ge=1, le=64)] = 16  # T, frames
    size: Annotated[int, Meta(ge=32, le=512)] = 224  # F, pixels of a face
    depth: Literal[18, 34, 50] = 18
    width: Annotated[int, Meta(ge=8, le=128, multiple_of=8)] = 64
    relation: bool = True  # each frame is weighed by itself and beside the weighted mean; False: by itself alone

    @property
    def face_size(self) -> int:
        """F."""
        return self.size


class VAANetSpec(EmotionSpec, SpecStruct, frozen=True, tag="vaanet"):
    """The visual part of VAANet (Zhao et al. 2020), which as published hears, too.

    A 3-D ResNet-101 on snippets of 16 frames; attention over places, channels and snippets.
    """

    snippets: Annotated[int, Meta(ge=2, le=16)] = 12
    size: Annotated[int, Meta(ge=32, le=224)] = 112  # S, pixels
    depth: Literal[18, 34, 50, 101] = 101
    width: Annotated[int, Meta(ge=8, le=64, multiple_of=8)] = 64
    hidden: Annotated[int, Meta(ge=16, le=1024)] = 512  # channels that attention weighs

    @property
    def length(self) -> int:
        """T, frames of all snippets."""
        return self.snippets * SNIPPET

    @property
    def picture_size(self) -> int:
        """S."""
        return self.size

    @property
    def sampling(self) -> Sampling:
        """Evenly spread: at the span's rate, one snippet begins where the last one ends."""
        return Sampling(self.length)

    @property
    def span_s(self) -> float:
        """Frames as near as in the snippets that it was published with."""
        return round(self.length / FRAME_RATE_HZ, 6)
