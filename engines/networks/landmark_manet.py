"""MANet's ideas on landmarks: residual blocks with squeeze-and-excitation gates and a shift in time.

The blocks are one-dimensional: at each step a gate scales the channels by what that step shows, a part of the channels
is shifted by the block's dilation, and two convolutions follow, the first of them over time. Every step has scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.contract import LandmarkNetwork
from engines.networks.landmark_features import LandmarkFeatures
from engines.networks.registry import register
from engines.specs.base import NUM_CLASSES, NUM_PARTS
from engines.specs.landmark_manet import LandmarkMANetSpec

PRIOR = 0.03  # share of steps at which an action or a body part is busy, roughly: the heads begin there


class GatedBlock(nn.Module):
    """Gate → shift → convolution over time → 1×1 convolution, added to the identity."""

    def __init__(self, spec: LandmarkMANetSpec, dilation: int) -> None:
        super().__init__()
        width = spec.width
        self.dilation, self.fraction = dilation, spec.shift_fraction
        squeezed = width // spec.se_ratio if spec.se_ratio else 0
        self.squeeze = nn.Conv1d(width, squeezed, 1, bias=False) if squeezed else None
        self.expand = nn.Conv1d(squeezed, width, 1, bias=False) if squeezed else None
        self.conv1 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, C, T)."""
        branch = x
        if self.squeeze is not None and self.expand is not None:
            branch = x * torch.sigmoid(self.expand(functional.relu(self.squeeze(x))))
        if self.fraction:
            branch = shifted(branch, self.dilation, self.fraction)
        branch = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(branch)))))
        return functional.relu(x + branch)


def shifted(x: Tensor, steps: int, fraction: int) -> Tensor:
    """Temporal shift (Lin et al. 2019) of (N, C, T) by so many steps; one in `fraction` channels each way."""
    fold = x.shape[1] // fraction
    later, earlier, rest = torch.split(x, [fold, fold, x.shape[1] - 2 * fold], dim=1)
    later = functional.pad(later[:, :, steps:], (0, steps))
    earlier = functional.pad(earlier[:, :, :-steps], (steps, 0))
    return torch.cat([later, earlier, rest], dim=1)


class LandmarkBlocks(nn.Module):
    """All but the heads: landmarks to features of every step."""

    def __init__(self, spec: LandmarkMANetSpec) -> None:
        super().__init__()
        self.features = LandmarkFeatures()
        with torch.no_grad():
            count = self.features(torch.zeros(1, 4, spec.points, spec.channels)).shape[-1]
        self.norm = nn.BatchNorm1d(count)
        self.dropout = nn.Dropout1d(spec.dropout)
        self.stem = nn.Conv1d(count, spec.width, 1)
        self.blocks = nn.Sequential(*(GatedBlock(spec, dilation) for dilation in spec.dilations))

    def step_features(self, features: Tensor) -> Tensor:
        """What `LandmarkFeatures` gives, (N, T, F) → (N, T, C)."""
        x = functional.relu(self.stem(self.dropout(self.norm(features.transpose(1, 2)))))
        steps: Tensor = self.blocks(x).transpose(1, 2)
        return steps


@register("landmark_manet", LandmarkMANetSpec)
class LandmarkMANet(LandmarkBlocks, LandmarkNetwork):
    """Landmarks (N, T, points, channels) → logits of actions (N, T, 52) and of body parts (N, T, 7)."""

    def __init__(self, spec: LandmarkMANetSpec) -> None:
        super().__init__(spec)
        self.spec: LandmarkMANetSpec = spec
        self.actions = nn.Linear(spec.width, NUM_CLASSES)
        self.parts = nn.Linear(spec.width, NUM_PARTS)
        for head in (self.actions, self.parts):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.constant_(head.bias, math.log(PRIOR / (1.0 - PRIOR)))

    def forward(self, landmarks: Tensor) -> dict[str, Tensor]:
        """Scores of every step; features need no gradient."""
        with torch.no_grad():
            features = self.features(landmarks)
        return self.from_features(features)

    def from_features(self, features: Tensor) -> dict[str, Tensor]:
        """Scores of every step from what `LandmarkFeatures` gives, (N, T, F)."""
        steps = self.step_features(features)
        return {"actions": self.actions(steps), "parts": self.parts(steps)}

    def heads(self) -> Mapping[str, nn.Linear]:
        """Both are linear layers at every step."""
        return {"actions": self.actions, "parts": self.parts}
