"""The visual part of VAANet (Zhao et al., "An End-to-End Visual-Audio Attention Network for Emotion Recognition in
User-Generated Videos", AAAI 2020). As published it is audio-visual; here it sees alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.contract import EmotionNetwork
from engines.networks.layers import Kernels, Pixels, frames_first
from engines.networks.layouts import Layout
from engines.networks.registry import register
from engines.networks.resnet3d import ResNet3d
from engines.specs.base import NUM_EMOTIONS
from engines.specs.emotion import SNIPPET, VAANetSpec
from engines.specs.video import STAGE_BLOCKS

BOTTLENECK: Kernels = ((1, 1, 1), (3, 3, 3), (1, 1, 1))
BASIC: Kernels = ((3, 3, 3), (3, 3, 3))


class Attention(nn.Module):
    """One weight for each column: a product over channels, batch norm, tanh, and a linear layer over the columns."""

    def __init__(self, channels: int, columns: int, *, bias: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 1, 1, bias=False)
        self.bn = nn.BatchNorm1d(1)
        self.linear = nn.Linear(columns, columns, bias=bias)
        if bias:
            nn.init.ones_(self.linear.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """(N, C, L) → (N, L), scores."""
        scores: Tensor = self.linear(torch.tanh(self.bn(self.conv(rows))).squeeze(1))
        return scores


@register("vaanet", VAANetSpec)
class VAANet(EmotionNetwork):
    """Pictures with flags to emotion logits. The backbone's weights are fixed, as published."""

    spec: VAANetSpec

    def __init__(self, spec: VAANetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.pixels = Pixels((100.0, 100.0, 100.0), (255.0, 255.0, 255.0))
        kernels = BOTTLENECK if spec.depth >= 50 else BASIC
        self.backbone = ResNet3d(
            spec.width,
            STAGE_BLOCKS[spec.depth],
            lambda *_: kernels,
            stem=((7, 7, 7), (1, 2, 2)),
            pool=((3, 3, 3), (2, 2, 2)),
            stride=(2, 2, 2),
        ).requires_grad_(False)
        places = (-(-spec.size // 32)) ** 2  # of a snippet's map, which has one frame left
        self.reduce = nn.Conv1d(self.backbone.outputs, spec.hidden, 1)
        self.reduce_bn = nn.BatchNorm1d(spec.hidden)
        self.place_attention = Attention(spec.hidden, places)
        self.channel_attention = Attention(places, spec.hidden)
        self.snippet_attention = Attention(spec.hidden, spec.snippets, bias=True)
        self.emotion = nn.Linear(spec.hidden, NUM_EMOTIONS)

    def forward(self, body: Tensor, body_seen: Tensor) -> dict[str, Tensor]:
        """uint8 RGB (N, T, S, S, 3) and flags (N, T) → emotion (N, 5)."""
        return {"emotion": self.emotion(self.features(body, body_seen))}

    def features(self, body: Tensor, body_seen: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) and flags (N, T) → (N, C), the mean over snippets in which something is seen."""
        seen = body_seen.to(self.emotion.weight.dtype)
        frames = self.pixels(body) * seen[:, :, None, None, None]
        maps = self.maps(frames.reshape(-1, SNIPPET, *frames.shape[2:]))
        maps = maps * self.place_weights(maps)[:, None]
        maps = maps * self.channel_weights(maps)[:, :, None]
        rows = maps.mean(dim=2).reshape(-1, self.spec.snippets, maps.shape[1])  # (N, K, C)
        present = seen.reshape(-1, self.spec.snippets, SNIPPET).amax(dim=2)  # (N, K)
        weights = self.snippet_weights(rows) * present
        return (rows * weights[:, :, None]).sum(dim=1) / present.sum(dim=1, keepdim=True).clamp_min(1.0)

    def maps(self, snippets: Tensor) -> Tensor:
        """Normalised (N·K, 16, 3, S, S) → (N·K, C, L), features of every place."""
        return functional.relu(self.reduce_bn(self.reduce(self.backbone(frames_first(snippets)).flatten(2))))

    def place_weights(self, maps: Tensor) -> Tensor:
        """(N·K, C, L) → (N·K, L), one on average."""
        return torch.softmax(self.place_attention(maps), dim=1) * maps.shape[2]

    def channel_weights(self, maps: Tensor) -> Tensor:
        """(N·K, C, L) → (N·K, C), one on average."""
        return torch.softmax(self.channel_attention(maps.transpose(1, 2)), dim=1) * maps.shape[1]

    def snippet_weights(self, rows: Tensor) -> Tensor:
        """(N, K, C) → (N, K), zero or more."""
        return functional.relu(self.snippet_attention(rows.transpose(1, 2)))

    def heads(self) -> Mapping[str, nn.Linear]:
        """The classifier."""
        return {"emotion": self.emotion}

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """The authors', of the visual part, and the 3-D ResNet on Kinetics that theirs starts from."""
        blocks = (
            (r"\.conv(\d)\.conv\.", r".conv\1."),
            (r"\.conv(\d)\.bn\.", r".bn\1."),
            (r"\.downsample\.conv\.", ".downsample.0."),
            (r"\.downsample\.bn\.", ".downsample.1."),
        )
        authors = (
            *blocks,
            (r"^backbone\.stem\.conv\.", "resnet.0."),
            (r"^backbone\.stem\.bn\.", "resnet.1."),
            *((rf"^backbone\.layer{stage}\.", f"resnet.{stage + 3}.") for stage in range(1, 5)),
            (r"^reduce\.", "conv0.0."),
            (r"^reduce_bn\.", "conv0.1."),
            (r"_attention\.conv\.", "_attention.conv.0."),
            (r"_attention\.bn\.", "_attention.conv.1."),
            (r"_attention\.linear\.", "_attention.fc."),
            (r"^place_attention\.", "sa_net."),
            (r"^channel_attention\.", "cwa_net."),
            (r"^snippet_attention\.", "ta_net."),
            (r"^emotion\.", "fc."),
        )
        start = (
            *blocks,
            (r"^backbone\.stem\.(conv|bn)\.", r"module.\g<1>1."),
            (r"^backbone\.", "module."),
        )
        return {
            "authors": Layout(authors),
            "ResNet on Kinetics": Layout(start, fresh=r"^(?!backbone\.)", unused=r"^module\.fc\."),
        }
