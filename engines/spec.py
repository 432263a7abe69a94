"""The shape of a network, in plain data: a model card states it, `engines.networks` builds it. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engines.preprocess import OFFICIAL_SIZE
from engines.taxonomy import ACTIONS

NUM_CLASSES = len(ACTIONS)
EMBEDDING_SIZE = 300  # GloVe vectors of the labels (MANet paper, section IV-C)

# ResNet (He et al. 2016, Table 1): residual blocks per stage.
STAGE_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class NetworkSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A MANet: ResNet with squeeze-and-excitation and temporal shift in every residual block.

    The defaults are the official checkpoint (MANet paper, section V-B: T = 8, 224×224, SE ratio 4, shift 1/8).
    """

    architecture: Literal["manet"] = "manet"
    depth: Literal[18, 34, 50] = 50
    width: Annotated[int, Meta(ge=8, le=128, multiple_of=8)] = 64  # channels of the stem; 64 in ResNet
    length: Literal[4, 8, 16] = 8  # T, frames per clip (MANet paper, Table III)
    size: Annotated[int, Meta(ge=32, le=512)] = OFFICIAL_SIZE  # S, pixels
    # Channels per squeezed channel; 0: without squeeze-and-excitation (MANet paper, Table V, "w/o SE").
    se_ratio: Annotated[int, Meta(ge=0, le=16)] = 4
    shift_fraction: Annotated[int, Meta(ge=2, le=64)] = 8  # one in this many channels is shifted, each way
    embedding: bool = True  # has the label-embedding head
    num_classes: Annotated[int, Meta(ge=NUM_CLASSES, le=NUM_CLASSES)] = NUM_CLASSES

    @property
    def bottleneck(self) -> bool:
        """Bottleneck blocks (depth 50) or basic blocks (18, 34)."""
        return self.depth >= 50

    @property
    def expansion(self) -> int:
        """Output channels of a block per base channel (He et al. 2016)."""
        return 4 if self.bottleneck else 1

    @property
    def features(self) -> int:
        """Channels that reach the head: 2048 for the official network."""
        return self.width * 8 * self.expansion

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(T, S, S, 3), the shape of one uint8 input clip."""
        return self.length, self.size, self.size, 3
