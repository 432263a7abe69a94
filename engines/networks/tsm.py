"""TSM (Lin et al., "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019)."""

from __future__ import annotations

from collections.abc import Mapping

from engines.networks.blocks import Shift
from engines.networks.layouts import RESNET, Layout, mmaction2, torchvision
from engines.networks.registry import register
from engines.networks.resnet2d import FrameScoredNetwork
from engines.specs.video import TSMSpec

MMACTION2 = ((r"(layer.*\.conv1\.conv)\.weight$", r"\1.net.weight"), *RESNET)


@register("tsm", TSMSpec)
class TSM(FrameScoredNetwork):
    """Every residual branch begins with a shift of some channels by one frame."""

    def __init__(self, spec: TSMSpec) -> None:
        super().__init__(spec, lambda _: Shift(spec.length, spec.shift_fraction))

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, and torchvision's ResNet as a start."""
        return {"mmaction2": mmaction2(*MMACTION2), "torchvision": torchvision()}
