"""TIN (Shao et al., "Temporal Interlacing Network", AAAI 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.layouts import RESNET, Layout, mmaction2, torchvision
from engines.networks.registry import register
from engines.networks.resnet2d import FrameScoredNetwork
from engines.networks.tsm import MMACTION2 as TSM_OF_MMACTION2
from engines.specs.video import TINSpec

LONGEST = 2.0  # frames that a shift may be long
INITIAL_SHIFT = 0.5  # frames, as published


def interlace(groups: Tensor, offsets: Tensor) -> Tensor:
    """Shift every group of channels in time by its own, fractional offset; zeros beyond the ends.

    A product with the matrix of linear interpolation: its gradient by the offsets is the true one, and that by the
    frames goes back against the shift.

    Args:
        groups: (N, G, T, X).
        offsets: (N, G), frames; positive is later.

    Returns:
        (N, G, T, X): out[t] = (1 - f)·in[t - s] + f·in[t - s - 1] with s the offset's floor and f the rest.
    """
    steps = torch.arange(groups.shape[2], dtype=offsets.dtype, device=offsets.device)
    distances = steps[:, None] - steps  # (T, T): of output from input
    weights = functional.relu(1.0 - (offsets[:, :, None, None] - distances).abs())  # (N, G, T, T)
    return weights @ groups


class Interlace(nn.Module):
    """A quarter of the channels, in four groups: two offsets and their negatives, and weights for every frame."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.length, self.moved = length, channels // 4
        self.offset_conv = nn.Conv1d(self.moved, 1, 3, padding=1)
        self.offset_hidden = nn.Linear(length, length)
        self.offset = nn.Linear(length, 2)
        self.weight_conv = nn.Conv1d(self.moved, 2, 3, padding=1)
        share = INITIAL_SHIFT / (2 * LONGEST) + 0.5  # what the sigmoid is to give
        nn.init.constant_(self.offset.bias, math.log(share / (1 - share)))
        nn.init.zeros_(self.weight_conv.get_parameter("bias"))

    def forward(self, frames: Tensor) -> Tensor:
        """(N·T, C, H, W) → (N·T, C, H, W)."""
        _, channels, height, width = frames.shape
        moved, rest = torch.split(frames, [self.moved, channels - self.moved], dim=1)
        offsets, weights = self.plan(moved.mean(dim=(2, 3)).reshape(-1, self.length, self.moved))
        groups = moved.reshape(-1, self.length, 4, self.moved // 4 * height * width).transpose(1, 2)  # (N, 4, T, X)
        groups = interlace(groups, offsets) * weights[..., None]
        return torch.cat((groups.transpose(1, 2).reshape(-1, self.moved, height, width), rest), dim=1)

    def plan(self, descriptors: Tensor) -> tuple[Tensor, Tensor]:
        """Means over space (N, T, C/4) → offsets (N, 4) in frames and weights (N, 4, T)."""
        series = descriptors.transpose(1, 2)  # (N, C/4, T)
        hidden = functional.relu(self.offset_hidden(self.offset_conv(series).squeeze(1)))
        offsets = 2 * LONGEST * (torch.sigmoid(self.offset(hidden)) - 0.5)  # (N, 2)
        weights = 2.0 * torch.sigmoid(self.weight_conv(series))  # (N, 2, T)
        return torch.cat((offsets, -offsets), dim=1), torch.cat((weights, weights), dim=1)


@register("tin", TINSpec)
class TIN(FrameScoredNetwork):
    """Every residual branch begins with learnt shifts of some channels."""

    def __init__(self, spec: TINSpec) -> None:
        super().__init__(spec, lambda channels: Interlace(channels, spec.length))

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's; its TSM and torchvision's ResNet as a start."""
        mixer = r"\1.conv1.conv.net1."
        renames = (
            (r"(layer.*\.conv1\.conv)\.weight$", r"\1.net2.weight"),
            (r"(layer.*)\.mix\.offset_conv\.", mixer + "offset_net.conv."),
            (r"(layer.*)\.mix\.offset_hidden\.", mixer + "offset_net.fc1."),
            (r"(layer.*)\.mix\.offset\.", mixer + "offset_net.fc2."),
            (r"(layer.*)\.mix\.weight_conv\.", mixer + "weight_net.conv."),
        )
        fresh = r"\.mix\."
        return {
            "mmaction2": mmaction2(*renames, *RESNET),
            "mmaction2 TSM": mmaction2(*TSM_OF_MMACTION2, fresh=fresh),
            "torchvision": torchvision(fresh),
        }
