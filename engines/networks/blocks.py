"""The residual blocks of MANet: squeeze-and-excitation, temporal shift, then the ResNet branch.

The released network differs from the paper: Eq. 1 has a 3×3 convolution inside the shift step, the official checkpoint
has SE → shift → conv1, all on the residual branch, and leaves the identity path untouched. We follow the checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.spec import NetworkSpec


def temporal_shift(frames: Tensor, length: int, fraction: int) -> Tensor:
    """Temporal shift (TSM, Lin et al. 2019; MANet paper, Eq. 1), zeros beyond the ends.

    The first C//fraction channels take frame t+1, the next C//fraction take frame t−1, the others stay.

    Args:
        frames: (N·T, C, H, W), the T frames of a clip following each other.
        length: T.
        fraction: one in this many channels is shifted each way.

    Returns:
        (N·T, C, H, W).
    """
    _, channels, height, width = frames.shape
    fold = channels // fraction
    clips = frames.reshape(-1, length, channels, height, width)  # (N, T, C, H, W)
    # Split, pad and concatenation only: exporters freeze an in-place slice assignment into a constant.
    first, second, rest = torch.split(clips, [fold, fold, channels - 2 * fold], dim=2)
    later = functional.pad(first[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))  # a zero frame after the last
    earlier = functional.pad(second[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))  # a zero frame before the first
    return torch.cat((later, earlier, rest), dim=2).reshape(-1, channels, height, width)


def gated_shift(frames: Tensor, gates: Tensor, length: int, fraction: int) -> Tensor:
    """`temporal_shift` of `frames` scaled by `gates`, in the order that runtimes are fastest at.

    Frames and gates are shifted each by itself. The frames stay (N·T, C, H, W), because a detour over five dimensions
    costs runtimes a change of layout and back. They are rolled, whatever then comes in beyond the ends of a clip: there
    the shifted gates are zero.

    Args:
        frames: (N·T, C, H, W), the T frames of a clip following each other.
        gates: (N·T, C).
        length: T.
        fraction: as for `temporal_shift`.

    Returns:
        (N·T, C, H, W).
    """
    channels = frames.shape[1]
    fold = channels // fraction
    first, second, rest = torch.split(frames, [fold, fold, channels - 2 * fold], dim=1)
    later = torch.cat((first[1:], first[:1]))
    earlier = torch.cat((second[-1:], second[:-1]))
    return torch.cat((later, earlier, rest), dim=1) * temporal_shift(gates[:, :, None, None], length, fraction)


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm; (N, C, H, W) → (N, C', H', W')."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.conv(x))
        return normed


class Gate(nn.Module):
    """Squeeze-and-excitation per frame (Hu et al. 2018), without biases as in the official checkpoint."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        squeezed = max(1, channels // ratio)
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.expand = nn.Linear(squeezed, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N·T, C, H, W) → (N·T, C), what each channel is to be scaled by, 0..1."""
        return torch.sigmoid(self.expand(functional.relu(self.squeeze(x.mean(dim=(2, 3))))))


class ResidualBlock(nn.Module):
    """SE → shift → ResNet branch, added to the identity or to a 1×1 projection of it.

    Depth 50: 1×1, 3×3 (carries the stride), 1×1. Depths 18 and 34: 3×3 (carries the stride), 3×3.
    """

    def __init__(self, spec: NetworkSpec, inputs: int, base: int, stride: int) -> None:
        super().__init__()
        outputs = base * spec.expansion
        self.length, self.fraction = spec.length, spec.shift_fraction
        self.gate = Gate(inputs, spec.se_ratio) if spec.se_ratio else None
        if spec.bottleneck:
            self.conv1 = ConvNorm(inputs, base, 1)
            self.conv2 = ConvNorm(base, base, 3, stride)
            self.conv3: ConvNorm | None = ConvNorm(base, outputs, 1)
        else:
            self.conv1 = ConvNorm(inputs, base, 3, stride)
            self.conv2 = ConvNorm(base, outputs, 3)
            self.conv3 = None
        projects = stride != 1 or inputs != outputs
        self.downsample = ConvNorm(inputs, outputs, 1, stride) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        """(N·T, C, H, W) → (N·T, C', H/stride, W/stride)."""
        if self.gate is None:
            branch = temporal_shift(x, self.length, self.fraction)
        else:
            branch = gated_shift(x, self.gate(x), self.length, self.fraction)
        branch = self.conv2(functional.relu(self.conv1(branch)))
        if self.conv3 is not None:
            branch = self.conv3(functional.relu(branch))
        identity = x if self.downsample is None else self.downsample(x)
        return functional.relu(branch + identity)
