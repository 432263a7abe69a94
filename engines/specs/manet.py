"""MANet in plain data."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from engines.preprocess import OFFICIAL_SIZE
from engines.specs.base import NUM_CLASSES, Shapes, SpecStruct, VideoSpec, View
from engines.specs.sampling import Sampling

EMBEDDING_SIZE = 300  # GloVe vectors of the labels (MANet paper, section IV-C)


class MANetSpec(VideoSpec, SpecStruct, frozen=True, tag="manet"):
    """ResNet with squeeze-and-excitation and temporal shift in every residual block.

    The defaults are the official checkpoint (MANet paper, section V-B: T = 8, 224×224, SE ratio 4, shift 1/8).
    """

    depth: Literal[18, 34, 50] = 50
    width: Annotated[int, Meta(ge=8, le=128, multiple_of=8)] = 64  # channels of the stem; 64 in ResNet
    length: Literal[4, 8, 16] = 8  # T, frames per clip (MANet paper, Table III)
    size: Annotated[int, Meta(ge=32, le=512)] = OFFICIAL_SIZE  # S, pixels
    # Channels per squeezed channel; 0: without squeeze-and-excitation (MANet paper, Table V, "w/o SE").
    se_ratio: Annotated[int, Meta(ge=0, le=16)] = 4
    shift_fraction: Annotated[int, Meta(ge=2, le=64)] = 8  # one in this many channels is shifted, each way
    embedding: bool = True  # has the label-embedding head
    # Kernel of the convolution behind the shift. 3: as in Eq. 1; the official checkpoint has 1. Left out as `mirrored`.
    shift_kernel: Literal[3] | UnsetType = UNSET
    num_classes: Annotated[int, Meta(ge=NUM_CLASSES, le=NUM_CLASSES)] = NUM_CLASSES
    # The exported graph's scores are the mean of those of a landmark drawing and of its mirror image; same weights.
    # A card leaves it out where it is not so, and older cards stay as they were sealed.
    mirrored: Literal[True] | UnsetType = UNSET

    @property
    def features(self) -> int:
        """Channels that reach the head: 2048 for the official network (He et al. 2016)."""
        return self.width * 8 * (4 if self.depth >= 50 else 1)

    @property
    def sampling(self) -> Sampling:
        """One frame of each of T segments."""
        return Sampling(self.length)

    @property
    def outputs(self) -> Shapes:
        """Logits, and the label embedding where there is one."""
        heads: Shapes = {"logits": (self.num_classes,)}
        return heads | ({"embedding": (EMBEDDING_SIZE,)} if self.embedding else {})

    @property
    def views(self) -> tuple[View, ...]:
        """Landmark drawings alone where the scores are mirrored."""
        return ("landmarks",) if self.mirrored else ("rgb", "landmarks")

    @property
    def title(self) -> str:
        """For people."""
        return f"MANet-{self.depth}, {self.length} x {self.size} x {self.size}"
