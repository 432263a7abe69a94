"""ResNet over time and space."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from engines.networks.layers import ConvNorm, Kernels, Size, block_outputs, residual_stages

Inflated = Callable[[int, int], bool]  # by stage and block: does the first convolution span three frames?


def inflated_bottleneck(inflated: Inflated) -> Callable[[int, int], Kernels]:
    """Kernels of bottlenecks whose first convolution may reach over time (I3D, SlowFast)."""
    return lambda stage, block: ((3 if inflated(stage, block) else 1, 1, 1), (1, 3, 3), (1, 1, 1))


class Pool(nn.MaxPool3d):
    """Largest of overlapping neighbours."""

    def __init__(self, kernel: Size, stride: Size) -> None:
        super().__init__(kernel, stride, tuple(side // 2 if side > 2 else 0 for side in kernel))


class ResNet3d(nn.Module):
    """Clips to feature maps.

    Args:
        width: channels of the stem.
        blocks: of each stage.
        kernels: of the block at (stage, block).
        stem: kernel and stride of the first convolution.
        pool: kernel and stride of the pooling behind it.
        stride: of every stage but the first.
        joined: channels of another path that join the input of each stage.
    """

    def __init__(
        self,
        width: int,
        blocks: Sequence[int],
        kernels: Callable[[int, int], Kernels],
        *,
        stem: tuple[Size, Size],
        pool: tuple[Size, Size],
        stride: Size = (1, 2, 2),
        joined: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        self.outputs = block_outputs(width << 3, kernels(3, 0))
        self.stem = ConvNorm(3, width, *stem)
        self.pool = Pool(*pool)
        stages = residual_stages(width, blocks, kernels, stride, joined=joined)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The four stages, first to last."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, S, S) → (N, C, T', S', S')."""
        x: Tensor = self.pool(self.stem(clips))
        for stage in self.stages:
            x = stage(x)
        return x
