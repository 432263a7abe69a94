"""SlowFast (Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019), ResNet-50."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engines.networks.contract import VideoNetwork
from engines.networks.layers import frames_first
from engines.networks.layouts import Layout, mmaction2
from engines.networks.registry import register
from engines.networks.resnet3d import ResNet3d, inflated_bottleneck
from engines.specs.video import STAGE_BLOCKS, SlowFastSpec

FAST_SHARE = 8  # channels of the slow path for one of the fast path
POOL = ((1, 3, 3), (1, 2, 2))


@register("slowfast", SlowFastSpec)
class SlowFast(VideoNetwork):
    """Few frames with many channels beside many frames with few; the fast path is told to the slow one.

    Laterals are bare convolutions over time: no batch norm, no ReLU.
    """

    moment_layer = "slow.layer4"

    def __init__(self, spec: SlowFastSpec) -> None:
        fast_width, ratio = spec.width // FAST_SHARE, spec.length // spec.slow_length
        # Channels of the fast path at each meeting: behind the stem and behind the first three stages.
        meetings = (fast_width, *(fast_width * 4 << stage for stage in range(3)))
        blocks = STAGE_BLOCKS[50]
        slow = ResNet3d(
            spec.width,
            blocks,
            inflated_bottleneck(lambda stage, _: stage >= 2),
            stem=((1, 7, 7), (1, 2, 2)),
            pool=POOL,
            joined=[2 * channels for channels in meetings],
        )
        fast = ResNet3d(
            fast_width, blocks, inflated_bottleneck(lambda *_: True), stem=((5, 7, 7), (1, 2, 2)), pool=POOL
        )
        super().__init__(spec, slow.outputs + fast.outputs, 0.5)
        self.spec, self.ratio = spec, ratio
        self.slow, self.fast = slow, fast
        # As published, five frames long where the slow path has 4 frames of 32, seven where it has 8.
        reach = 5 if ratio >= 8 else 7
        self.laterals = nn.ModuleList(
            nn.Conv3d(channels, 2 * channels, (reach, 1, 1), (ratio, 1, 1), (reach // 2, 0, 0), bias=False)
            for channels in meetings
        )
        for lateral in self.laterals:
            nn.init.kaiming_normal_(lateral.get_parameter("weight"), mode="fan_out", nonlinearity="relu")

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C), the fast path's first."""
        frames = self.pixels(clips)
        slow = self.slow.pool(self.slow.stem(frames_first(frames[:, :: self.ratio])))
        fast = self.fast.pool(self.fast.stem(frames_first(frames)))
        for lateral, slow_stage, fast_stage in zip(self.laterals, self.slow.stages, self.fast.stages, strict=True):
            slow = slow_stage(join(slow, lateral(fast)))
            fast = fast_stage(fast)
        return torch.cat((fast.mean(dim=(2, 3, 4)), slow.mean(dim=(2, 3, 4))), dim=1)

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's; those of PySlowFast and pytorchvideo are of another network."""
        return {
            "mmaction2": mmaction2(
                (r"^(slow|fast)\.", r"backbone.\1_path."),
                (r"_path\.stem\.", "_path.conv1."),
                (r"^laterals\.0\.", "backbone.slow_path.conv1_lateral.conv."),
                (r"^laterals\.(\d)\.", r"backbone.slow_path.layer\1_lateral.conv."),
            )
        }


def join(slow: Tensor, lateral: Tensor) -> Tensor:
    """The slow path's channels, then the lateral's."""
    return torch.cat((slow, lateral), dim=1)
