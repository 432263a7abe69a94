"""TSM (Lin et al., "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from engines.networks.blocks import temporal_shift
from engines.networks.layouts import RESNET, Layout, mmaction2, torchvision
from engines.networks.resnet2d import FrameScoredNetwork
from engines.networks.specs import TSMSpec

MMACTION2 = ((r"(layer.*\.conv1\.conv)\.weight$", r"\1.net.weight"), *RESNET)


class Shift(nn.Module):
    """`temporal_shift` of T frames that follow each other."""

    def __init__(self, length: int, fraction: int) -> None:
        super().__init__()
        self.length, self.fraction = length, fraction

    def forward(self, frames: Tensor) -> Tensor:
        """(N·T, C, H, W) → (N·T, C, H, W)."""
        return temporal_shift(frames, self.length, self.fraction)


class TSM(FrameScoredNetwork):
    """Every residual branch begins with a shift of some channels by one frame."""

    def __init__(self, spec: TSMSpec) -> None:
        super().__init__(spec, lambda _: Shift(spec.length, spec.shift_fraction))

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, and torchvision's ResNet as a start."""
        return {"mmaction2": mmaction2(*MMACTION2), "torchvision": torchvision()}
