"""Emotion-FAN (Meng et al., "Frame Attention Networks for Facial Expression Recognition in Videos", ICIP 2019).

The formulas are the paper's. The published code leaves the second attention out of a sum when it evaluates, which makes
its logits larger then.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engines.networks.contract import EmotionNetwork
from engines.networks.layers import Pixels
from engines.networks.layouts import Layout, torchvision
from engines.networks.registry import register
from engines.networks.resnet2d import ResNet2d
from engines.specs.base import NUM_EMOTIONS
from engines.specs.emotion import EmotionFANSpec

DROPOUT = 0.5
NONE_SEEN = 1e-6  # least sum of weights: without a face the features are zero


@register("emotion_fan", EmotionFANSpec)
class EmotionFAN(EmotionNetwork):
    """Faces with flags to emotion logits; an unseen face has no weight."""

    spec: EmotionFANSpec

    def __init__(self, spec: EmotionFANSpec) -> None:
        super().__init__()
        self.spec = spec
        self.pixels = Pixels((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
        self.backbone = ResNet2d(spec.depth, spec.width)
        channels = self.backbone.outputs
        self.dropout = nn.Dropout(DROPOUT)
        self.alpha = nn.Linear(channels, 1)
        self.beta = nn.Linear(2 * channels, 1) if spec.relation else None
        self.emotion = nn.Linear(2 * channels if spec.relation else channels, NUM_EMOTIONS)

    def forward(self, face: Tensor, face_seen: Tensor) -> dict[str, Tensor]:
        """uint8 RGB (N, T, F, F, 3) and flags (N, T) → emotion (N, 5)."""
        seen = face_seen.to(self.emotion.weight.dtype)[:, :, None]  # (N, T, 1)
        features = self.frame_features(face) * seen
        weights = torch.sigmoid(self.alpha(self.dropout(features))) * seen  # (N, T, 1), alpha in Eq. 3
        mean = weighted_mean(features, weights)  # (N, C), Eq. 4
        if self.beta is None:
            return {"emotion": self.emotion(self.dropout(mean))}
        related = torch.cat((features, mean[:, None].expand_as(features)), dim=2)  # (N, T, 2·C)
        weights = weights * torch.sigmoid(self.beta(self.dropout(related)))  # Eq. 5
        return {"emotion": self.emotion(self.dropout(weighted_mean(related, weights)))}  # Eq. 6

    def frame_features(self, face: Tensor) -> Tensor:
        """uint8 RGB (N, T, F, F, 3) → (N, T, C)."""
        maps: Tensor = self.backbone(self.pixels(face).flatten(0, 1))
        return maps.mean(dim=(2, 3)).reshape(-1, self.spec.length, maps.shape[1])

    def heads(self) -> Mapping[str, nn.Linear]:
        """The classifier."""
        return {"emotion": self.emotion}

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """The authors', and the ResNet on faces that theirs starts from."""
        body = torchvision().renames
        head = "pred_fc2." if self.spec.relation else "pred_fc1."
        attention = ((r"^(alpha|beta)\.", r"\1.0."), (r"^emotion\.", head))
        unused = r"^pred_fc1\." if self.spec.relation else r"^(pred_fc2|beta)\."
        start = (*body, (r"^(?!alpha|beta|emotion)", "module."))
        return {
            "authors": Layout((*body, *attention), unused=unused),
            "authors' ResNet": Layout(start, fresh=r"^(alpha|beta|emotion)\.", unused=r"^module\.fc\."),
        }


def weighted_mean(rows: Tensor, weights: Tensor) -> Tensor:
    """(N, T, C) and weights (N, T, 1) → (N, C); zeros where no row has weight."""
    return (rows * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(NONE_SEEN)
