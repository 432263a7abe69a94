"""TSN (Wang et al., "Temporal Segment Networks", ECCV 2016)."""

from __future__ import annotations

from collections.abc import Mapping

from engines.networks.layouts import RESNET, Layout, mmaction2, torchvision
from engines.networks.registry import register
from engines.networks.resnet2d import SegmentNetwork
from engines.specs.video import TSNSpec


@register("tsn", TSNSpec)
class TSN(SegmentNetwork):
    """Frames do not see each other; their features are averaged."""

    def __init__(self, spec: TSNSpec) -> None:
        super().__init__(spec, dropout=0.4, std=0.01)

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, and torchvision's ResNet as a start."""
        return {"mmaction2": mmaction2(*RESNET), "torchvision": torchvision()}
