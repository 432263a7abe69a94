"""MANet in plain data."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from engines.preprocess import OFFICIAL_SIZE
from engines.specs.base import NUM_CLASSES, Shapes, SpecStruct, VideoSpec, View
from engines.specs.sampling import Sampling
from engines.specs.video import STAGE_BLOCKS

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
    # Channels are shifted from the frame before alone: the exported graph takes frame by frame and carries a state.
    shift: Literal["past"] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.shift and self.mirrored:
            raise ValueError("expected mirrored scores or a shift from the past, got both")

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
    def states(self) -> Shapes:
        """Of every block, the channels that the next frame takes over; and the scores of the last T - 1 frames."""
        if not self.shift:
            return {}
        bottleneck = self.depth >= 50
        side, channels = -(-self.size // 4), self.width
        shapes: Shapes = {}
        for stage, blocks in enumerate(STAGE_BLOCKS[self.depth]):
            for block in range(blocks):
                shapes[f"past.{stage + 1}.{block}"] = (channels // self.shift_fraction, side, side)
                channels = (self.width << stage) * (4 if bottleneck else 1)
                if stage and not block:
                    side = -(-side // 2)
        return shapes | {"scores": (self.length - 1, sum(width for (width,) in self.outputs.values())), "seen": (1,)}

    @property
    def graph_inputs(self) -> Shapes:
        """One clip; or one frame and the states before it."""
        if not self.shift:
            return self.inputs
        return {"frames": (self.size, self.size, 3), **self.states}

    @property
    def views(self) -> tuple[View, ...]:
        """Landmark drawings alone where the scores are mirrored."""
        return ("landmarks",) if self.mirrored else ("rgb", "landmarks")

    @property
    def title(self) -> str:
        """For people."""
        return f"MANet-{self.depth}, {self.length} x {self.size} x {self.size}" + (", streaming" if self.shift else "")
