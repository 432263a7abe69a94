"""I3D as inflated ResNet-50 (Carreira and Zisserman, CVPR 2017; Wang et al., "Non-local Neural Networks", 2018)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from engines.networks.contract import VideoNetwork
from engines.networks.layers import frames_first
from engines.networks.layouts import RESNET, Layout, mmaction2, torchvision
from engines.networks.registry import register
from engines.networks.resnet3d import Pool, ResNet3d, inflated_bottleneck
from engines.specs.video import STAGE_BLOCKS, I3DSpec


def _inflated(stage: int, block: int) -> bool:
    """All blocks of the first stage; every second of the others, and of the last stage the middle one."""
    return stage == 0 or block % 2 == (stage == 3)


@register("i3d", I3DSpec)
class I3D(VideoNetwork):
    """Stem, both poolings: each halves the frames."""

    moment_layer = "backbone.layer4"

    def __init__(self, spec: I3DSpec) -> None:
        backbone = ResNet3d(
            spec.width,
            STAGE_BLOCKS[50],
            inflated_bottleneck(_inflated),
            stem=((5, 7, 7), (2, 2, 2)),
            pool=((1, 3, 3), (2, 2, 2)),
        )
        super().__init__(spec, backbone.outputs, 0.5)
        self.spec = spec
        self.backbone = backbone
        self.pool2 = Pool((2, 1, 1), (2, 1, 1))

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C)."""
        first, *others = self.backbone.stages
        x: Tensor = self.backbone.pool(self.backbone.stem(frames_first(self.pixels(clips))))
        x = self.pool2(first(x))
        for stage in others:
            x = stage(x)
        return x.mean(dim=(2, 3, 4))

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, and torchvision's ResNet, inflated, as a start."""
        return {"mmaction2": mmaction2(*RESNET), "torchvision": torchvision()}
