"""MANet (Guo et al., "Benchmarking Micro-action Recognition", 2024), as its official checkpoint has it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.landmarks.mirror import mirror_places
from engines.networks.blocks import ConvNorm, ResidualBlock
from engines.spec import EMBEDDING_SIZE, STAGE_BLOCKS, NetworkSpec

# ImageNet statistics in pixel values, RGB: what the official checkpoint was trained with.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
DROPOUT = 0.5  # official checkpoint


class Heads(NamedTuple):
    """What the network says of N clips."""

    logits: Tensor  # (N, 52)
    embedding: Tensor | None  # (N, 300), where the network has the head


class EmbeddingHead(nn.Module):
    """Features into the label space (MANet paper, section IV-C): Linear, tanh, Linear as in the official checkpoint."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, EMBEDDING_SIZE)
        self.output = nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)

    def forward(self, features: Tensor) -> Tensor:
        """(N·T, C) → (N·T, 300)."""
        embedded: Tensor = self.output(torch.tanh(self.hidden(features)))
        return embedded


class Trunk(nn.Module):
    """All of a MANet before its heads: clips to features per frame."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = ConvNorm(3, spec.width, 7, 2)
        inputs = spec.width
        for stage, blocks in enumerate(STAGE_BLOCKS[spec.depth]):
            base = spec.width << stage
            layers = []
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(ResidualBlock(spec, inputs, base, stride))
                inputs = base * spec.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))

    def features(self, frames: Tensor) -> Tensor:
        """Per-frame features before dropout.

        Args:
            frames: normalised float (N, T, 3, S, S).

        Returns:
            (N·T, C), C = `spec.features`.
        """
        x = frames.flatten(0, 1)  # (N·T, 3, S, S)
        x = functional.relu(self.stem(x))
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        for stage in range(4):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x.mean(dim=(2, 3))


class MANet(Trunk):
    """Clips to logits, and to label embeddings where `spec.embedding` is set."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(spec.features, spec.num_classes)
        self.embedding = EmbeddingHead(spec.features) if spec.embedding else None

    def forward(self, frames: Tensor) -> Heads:
        """Normalised float (N, T, 3, S, S) → mean over the T frames of the per-frame scores."""
        features = self.dropout(self.features(frames))
        logits = self._over_frames(self.classifier(features))
        if self.embedding is None:
            return Heads(logits, None)
        return Heads(logits, self._over_frames(self.embedding(features)))

    def _over_frames(self, scores: Tensor) -> Tensor:
        return scores.reshape(-1, self.spec.length, scores.shape[-1]).mean(dim=1)


class PixelGraph(nn.Module):
    """What is exported: pixels in, scores out, so that no runtime can get colour order or normalisation wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def normalise(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → float (N, T, 3, S, S), zero mean and unit deviation per colour."""
        size = clips.shape[3]
        rows = clips.to(self.mean.dtype).flatten(3)  # (N, T, S, S·3): long rows, or the colours' broadcast is slow
        rows = (rows - self.mean.repeat(size)) / self.std.repeat(size)
        return rows.reshape(clips.shape).permute(0, 1, 4, 2, 3)


class InferenceGraph(PixelGraph):
    """A micro-action model as it is exported."""

    def __init__(self, network: MANet) -> None:
        super().__init__()
        self.network = network
        places = mirror_places(network.spec.size) if network.spec.mirrored else np.empty(0, np.int64)
        self.register_buffer("_places", torch.from_numpy(places.clip(0)), persistent=False)
        self.register_buffer("_kept", torch.from_numpy((places >= 0).astype(np.float32)), persistent=False)
        self._places: Tensor
        self._kept: Tensor

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """uint8 RGB (N, T, S, S, 3) → (logits (N, 52),) or (logits, embedding (N, 300))."""
        if not self.network.spec.mirrored:
            return self._scores(clips)
        pixels = clips.to(self.mean.dtype)
        mirrored = (pixels.flatten(2).index_select(2, self._places) * self._kept).reshape(pixels.shape)
        both = self._scores(torch.cat((pixels, mirrored)))
        halves = [scores.reshape(2, -1, scores.shape[-1]) for scores in both]
        return tuple(0.5 * (plain + turned) for plain, turned in halves)

    def _scores(self, clips: Tensor) -> tuple[Tensor, ...]:
        heads: Heads = self.network(self.normalise(clips))
        return (heads.logits,) if heads.embedding is None else (heads.logits, heads.embedding)
