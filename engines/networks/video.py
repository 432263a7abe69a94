"""What all video networks share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from engines.networks.layers import Pixels
from engines.networks.layouts import Layout
from engines.networks.specs import VideoSpec


class VideoNetwork(nn.Module):
    """uint8 clips to logits; colours, layout and paths are taken care of inside.

    Args:
        spec: what to build.
        width: C, features that reach the classifier.
        dropout: of the features, in training.
        std: of the classifier's initial weights.
    """

    def __init__(self, spec: VideoSpec, width: int, dropout: float, std: float = 0.01) -> None:
        super().__init__()
        self.pixels = Pixels(spec.MEAN, spec.STD)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, spec.num_classes)
        nn.init.normal_(self.classifier.weight, std=std)
        nn.init.zeros_(self.classifier.bias)

    @abstractmethod
    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C), the input of the classifier."""

    @abstractmethod
    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """Layouts of published checkpoints by name."""

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """uint8 RGB (N, T, S, S, 3) → logits (N, 52)."""
        return {"logits": self.classifier(self.dropout(self.features(clips)))}
