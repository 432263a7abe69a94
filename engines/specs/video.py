"""The video networks in plain data: a model card states one, its module builds it. Needs no torch.

Every default is the published network with MA-52's 52 classes; sampling is that of its published configuration.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from engines.specs.base import NUM_CLASSES, Colours, SpecStruct, VideoSpec
from engines.specs.sampling import Sampling

Length = Annotated[int, Meta(ge=1, le=64)]  # T, frames of a clip
Stride = Annotated[int, Meta(ge=1, le=64)]  # frames of the recording from one to the next
Size = Annotated[int, Meta(ge=32, le=512)]  # S, pixels
PatchedSize = Annotated[int, Meta(ge=32, le=512, multiple_of=16)]
Width = Annotated[int, Meta(ge=8, le=1024, multiple_of=8)]
Classes = Annotated[int, Meta(ge=NUM_CLASSES, le=NUM_CLASSES)]

# Residual blocks of each stage (He et al. 2016, Table 1).
STAGE_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class ClipSpec(VideoSpec, SpecStruct, frozen=True, kw_only=True):
    """What these networks share."""

    LAYOUT: ClassVar[Literal["segments", "dense"]] = "dense"

    length: Length = 8
    stride: Stride = 1
    size: Size = 224
    num_classes: Classes = NUM_CLASSES

    @property
    def sampling(self) -> Sampling:
        """Frames of a recording that make a clip."""
        return Sampling(self.length, self.LAYOUT, self.stride)


class SegmentSpec(ClipSpec, frozen=True, kw_only=True):
    """A 2-D ResNet on one frame of each of T segments."""

    LAYOUT: ClassVar[Literal["segments", "dense"]] = "segments"

    depth: Literal[18, 34, 50, 101] = 50
    width: Width = 64  # channels of the stem


class TSNSpec(SegmentSpec, frozen=True, tag="tsn"):
    """Temporal segment network (Wang et al. 2016): frames by themselves, their features averaged."""


class TSMSpec(SegmentSpec, frozen=True, tag="tsm"):
    """Temporal shift module (Lin et al. 2019)."""

    shift_fraction: Annotated[int, Meta(ge=2, le=64)] = 8  # one in this many channels is shifted, each way


class TINSpec(SegmentSpec, frozen=True, tag="tin"):
    """Temporal interlacing network (Shao et al. 2020): shifts whose lengths and weights are learnt."""

    width: Annotated[int, Meta(ge=16, le=1024, multiple_of=16)] = 64  # four groups of a quarter of the channels


class C3DSpec(ClipSpec, frozen=True, tag="c3d"):
    """C3D (Tran et al. 2015): eight 3×3×3 convolutions, two large linear layers, no normalisation."""

    # Statistics of blue, green, red, which the published weights are used with on red, green, blue.
    MEAN: ClassVar[Colours] = (104.0, 117.0, 128.0)
    STD: ClassVar[Colours] = (1.0, 1.0, 1.0)

    length: Annotated[int, Meta(ge=16, le=64, multiple_of=16)] = 16
    size: Size = 112
    width: Width = 64
    hidden: Annotated[int, Meta(ge=8, le=4096)] = 4096  # units of the two linear layers


class I3DSpec(ClipSpec, frozen=True, tag="i3d"):
    """I3D (Carreira and Zisserman 2017) as inflated ResNet-50."""

    length: Annotated[int, Meta(ge=4, le=64)] = 32
    stride: Stride = 2
    width: Width = 64


class SlowFastSpec(ClipSpec, frozen=True, tag="slowfast"):
    """SlowFast (Feichtenhofer et al. 2019), ResNet-50: 4×16, or 8×8 with `slow_length` 8."""

    length: Annotated[int, Meta(ge=4, le=64, multiple_of=4)] = 32  # of the fast path
    stride: Stride = 2
    slow_length: Annotated[int, Meta(ge=1, le=32)] = 4  # frames of the slow path
    width: Annotated[int, Meta(ge=32, le=256, multiple_of=32)] = 64  # of the slow path; the fast path has an eighth

    def __post_init__(self) -> None:
        if self.length % self.slow_length:
            raise ValueError(f"expected a slow_length that divides {self.length}, got {self.slow_length}")


class VideoSwinSpec(ClipSpec, frozen=True, tag="video_swin"):
    """Video Swin Transformer (Liu et al. 2022), tiny."""

    length: Annotated[int, Meta(ge=2, le=64, multiple_of=2)] = 32
    stride: Stride = 2
    size: Annotated[int, Meta(ge=32, le=512, multiple_of=32)] = 224
    width: Annotated[int, Meta(ge=12, le=192, multiple_of=12)] = 96
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    window: tuple[int, int, int] = (8, 7, 7)


class TimeSformerSpec(ClipSpec, frozen=True, tag="timesformer"):
    """TimeSformer (Bertasius et al. 2021) with divided attention: over time, then over space."""

    MEAN: ClassVar[Colours] = (127.5, 127.5, 127.5)
    STD: ClassVar[Colours] = (127.5, 127.5, 127.5)

    stride: Stride = 32
    size: PatchedSize = 224
    layers: Annotated[int, Meta(ge=1, le=24)] = 12
    width: Width = 768
    heads: Annotated[int, Meta(ge=1, le=16)] = 12


class UniFormerSpec(ClipSpec, frozen=True, tag="uniformer"):
    """UniFormer (Li et al. 2022), small: convolutions in two stages, attention over all tokens in two."""

    MEAN: ClassVar[Colours] = (114.75, 114.75, 114.75)
    STD: ClassVar[Colours] = (57.375, 57.375, 57.375)

    length: Annotated[int, Meta(ge=2, le=64)] = 16
    stride: Stride = 4
    size: Annotated[int, Meta(ge=32, le=512, multiple_of=32)] = 224
    depths: tuple[int, int, int, int] = (3, 4, 8, 3)
    widths: tuple[int, int, int, int] = (64, 128, 320, 512)
    head_width: Annotated[int, Meta(ge=8, le=128)] = 64


class VideoMAESpec(ClipSpec, frozen=True, tag="videomae"):
    """VideoMAE's classifier (Tong et al. 2022), base: a plain transformer on tubelets of two frames."""

    length: Annotated[int, Meta(ge=2, le=64, multiple_of=2)] = 16
    stride: Stride = 4
    size: PatchedSize = 224
    layers: Annotated[int, Meta(ge=1, le=24)] = 12
    width: Width = 768
    heads: Annotated[int, Meta(ge=1, le=16)] = 12
