"""ResNet on single frames, and the networks that look at T of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from engines.networks.contract import VideoNetwork
from engines.networks.layers import ConvNorm, Kernels, block_outputs, residual_stages
from engines.specs.manet import MANetSpec
from engines.specs.video import STAGE_BLOCKS, SegmentSpec

BOTTLENECK = ((1, 1), (3, 3), (1, 1))
BASIC = ((3, 3), (3, 3))
Mixer = Callable[[int], nn.Module]  # makes what stands before a block's branch, from its channels
HEAD_STD = 0.001  # of the initial weights of TSM's and MANet's heads


class ResNet2d(nn.Module):
    """Frames to feature maps; `mix` makes what exchanges between frames; `kernels` are a block's, by default He's."""

    def __init__(self, depth: int, width: int, mix: Mixer | None = None, kernels: Kernels | None = None) -> None:
        super().__init__()
        kernels = kernels or (BOTTLENECK if depth >= 50 else BASIC)
        # In a deep network every second block mixes, as published.
        every = 2 if depth > 50 else 1
        self.outputs = block_outputs(width << 3, kernels)
        self.stem = ConvNorm(3, width, (7, 7), (2, 2))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_stages(
            width,
            STAGE_BLOCKS[depth],
            lambda *_: kernels,
            (2, 2),
            mix=mix and (lambda block, channels: None if block % every else mix(channels)),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(N·T, 3, S, S) → (N·T, C, S/32, S/32)."""
        x = self.pool(self.stem(frames))
        maps: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return maps

    def step(self, frames: Tensor, pasts: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """One frame of N clips, where every block mixes by `step`.

        Args:
            frames: (N, 3, S, S).
            pasts: of every block, what the last call gave.

        Returns:
            (N, C, S/32, S/32), and what the next frame takes over.
        """
        x = self.pool(self.stem(frames))
        left: list[Tensor] = []
        blocks: list[Any] = [block for stage in (self.layer1, self.layer2, self.layer3, self.layer4) for block in stage]
        for block, past in zip(blocks, pasts, strict=True):
            mixed, mine = block.mix.step(x, past)
            left.append(mine)
            x = block.join(x, mixed)
        return x, left


class SegmentNetwork(VideoNetwork):
    """A ResNet on T frames, the classifier on the mean of their features."""

    def __init__(
        self,
        spec: SegmentSpec | MANetSpec,
        mix: Mixer | None = None,
        *,
        dropout: float = 0.5,
        std: float = HEAD_STD,
        kernels: Kernels | None = None,
    ) -> None:
        backbone = ResNet2d(spec.depth, spec.width, mix, kernels)
        super().__init__(spec, backbone.outputs, dropout, std)
        self.spec: SegmentSpec | MANetSpec = spec
        self.backbone = backbone

    moment_layer = "backbone"

    def frame_features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, T, C)."""
        return self.moments(self.backbone(self.pixels(clips).flatten(0, 1)))

    def moments(self, output: Tensor) -> Tensor:
        """Maps (N·T, C, H, W) → (N, T, C)."""
        return output.mean(dim=(2, 3)).reshape(-1, self.spec.length, output.shape[1])

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C)."""
        return self.frame_features(clips).mean(dim=1)


class FrameScoredNetwork(SegmentNetwork):
    """The classifier scores every frame, and the clip has their mean: dropout differs from frame to frame."""

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """uint8 RGB (N, T, S, S, 3) → logits (N, 52)."""
        # The classifier is linear: the mean of its inputs gives the mean of its scores.
        return {"logits": self.classifier(self.dropout(self.frame_features(clips)).mean(dim=1))}
