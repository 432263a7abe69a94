"""MANet (Guo et al., "Benchmarking Micro-action Recognition", 2024), as its official checkpoint has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from engines.landmarks.mirror import mirror_places
from engines.networks.blocks import Shift, SqueezeExciteShift
from engines.networks.layouts import RESNET, Layout, torchvision
from engines.networks.registry import register
from engines.networks.resnet2d import HEAD_STD, SegmentNetwork
from engines.specs.manet import EMBEDDING_SIZE, MANetSpec

DROPOUT = 0.5  # official checkpoint
EQUATION_1 = ((3, 3), (3, 3), (1, 1))  # a 3×3 convolution takes what was shifted (MANet paper)
# Makes the official checkpoint's mean confidence (0.790 on the test set, against 61.3 % accuracy) equal its accuracy.
OFFICIAL_TEMPERATURE = 1.589
OFFICIAL_BASIS = "makes the official checkpoint's mean confidence equal its MA-52 test accuracy; not calibrated here"
# 48 tensors of the official checkpoint, which no forward pass of the released code uses; three for each of ours.
UNUSED = "action_p2_"


class EmbeddingHead(nn.Module):
    """Features into the label space (MANet paper, section IV-C): Linear, tanh, Linear as in the official checkpoint."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, EMBEDDING_SIZE)
        self.output = nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)
        for layer in (self.hidden, self.output):
            nn.init.normal_(layer.weight, std=HEAD_STD)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(N·T, C) → (N·T, 300)."""
        embedded: Tensor = self.output(torch.tanh(self.hidden(features)))
        return embedded


def mixer(spec: MANetSpec) -> Callable[[int], nn.Module]:
    """What stands before the branch of a residual block, by its channels."""
    past = bool(spec.shift)
    if spec.se_ratio:
        return lambda channels: SqueezeExciteShift(channels, spec.se_ratio, spec.length, spec.shift_fraction, past)
    return lambda _: Shift(spec.length, spec.shift_fraction, past)


@register("manet", MANetSpec)
class MANet(SegmentNetwork):
    """Clips to logits, and to label embeddings where `spec.embedding` is set: the mean of the frames' scores."""

    spec: MANetSpec

    def __init__(self, spec: MANetSpec) -> None:
        kernels = EQUATION_1 if spec.shift_kernel and spec.depth >= 50 else None  # smaller ones have 3×3 anyway
        super().__init__(spec, mixer(spec), dropout=DROPOUT, kernels=kernels)
        self.embedding = EmbeddingHead(spec.features) if spec.embedding else None
        places = torch.from_numpy(mirror_places(spec.size)) if spec.mirrored else torch.empty(0, dtype=torch.int64)
        self.register_buffer("_places", places.clamp_min(0), persistent=False)
        self.register_buffer("_kept", (places >= 0).float(), persistent=False)
        self._places: Tensor
        self._kept: Tensor

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """uint8 RGB (N, T, S, S, 3) → logits (N, 52) and maybe embedding (N, 300)."""
        if not self.spec.mirrored or self.training:
            return self._scores(clips)
        pixels = clips.to(self._kept.dtype)
        mirrored = (pixels.flatten(2).index_select(2, self._places) * self._kept).reshape(pixels.shape)
        both = self._scores(torch.cat((pixels, mirrored)))
        halves = {name: scores.reshape(2, -1, scores.shape[-1]) for name, scores in both.items()}
        return {name: 0.5 * (plain + turned) for name, (plain, turned) in halves.items()}

    def _scores(self, clips: Tensor) -> dict[str, Tensor]:
        frames = self.dropout(self.frame_features(clips))  # (N, T, C)
        scores = {"logits": self.classifier(frames.mean(dim=1))}  # linear: the mean of the frames' scores
        if self.embedding is not None:
            embedded = self.embedding(frames.flatten(0, 1))  # rows: an export folds other products' weights
            scores["embedding"] = embedded.reshape(-1, self.spec.length, embedded.shape[-1]).mean(dim=1)
        return scores

    def last_layer(self) -> nn.Linear:
        """As in the released code: the embedding's, where there is one."""
        return self.classifier if self.embedding is None else self.embedding.output

    def predict(self, frames: Tensor, states: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The next frame of N videos, of a network that shifts from the past alone.

        Args:
            frames: uint8 RGB (N, S, S, 3).
            states: (N, ...) of `spec.states`: zeros before the first frame, then what the last call gave.

        Returns:
            Scores of the last T frames, or of all since the states were zeros, as `forward` gives them of a clip; and
            the states for the next frame.
        """
        *names, _, _ = self.spec.states
        maps, pasts = self.backbone.step(self.pixels(frames[:, None])[:, 0], [states[name] for name in names])
        features = maps.mean(dim=(2, 3))  # (N, C)
        heads: dict[str, nn.Module] = {"logits": self.classifier}
        if self.embedding is not None:
            heads["embedding"] = self.embedding
        newest = torch.cat([head(features) for head in heads.values()], dim=1)
        scores = torch.cat((states["scores"], newest[:, None]), dim=1)  # (N, T, 52 + 300)
        seen = (states["seen"] + 1.0).clamp_max(self.spec.length)
        mean = scores.sum(dim=1) / seen
        widths = [self.spec.outputs[name][0] for name in heads]
        outputs = dict(zip(heads, torch.split(mean, widths, dim=1), strict=True))
        return outputs, {**dict(zip(names, pasts, strict=True)), "scores": scores[:, 1:], "seen": seen}

    def keep_fp32(self) -> tuple[str, ...]:
        """Both heads."""
        return "classifier", "embedding"

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """The official checkpoint's, and torchvision's ResNet as a start."""
        renames = (
            (r"\.conv1\.conv\.weight$", ".conv1.conv.net.weight"),
            (r"\.mix\.squeeze\.", ".conv1.conv.fcce.0."),
            (r"\.mix\.expand\.", ".conv1.conv.fcce.2."),
            *RESNET,
            (r"^classifier\.", "cls_head.fc_cls."),
            (r"^embedding\.hidden\.", "cls_head.fc_emb."),
            (r"^embedding\.output\.", "cls_head.fc_emb_t."),
        )
        unused = UNUSED if self.embedding is not None else rf"{UNUSED}|^cls_head\.fc_emb"
        return {"official": Layout(renames, unused=unused), "torchvision": torchvision(r"\.mix\.|^embedding\.")}

    def published_temperature(self, layout: str) -> tuple[float, str]:
        """The official checkpoint's."""
        if layout == "official":
            return OFFICIAL_TEMPERATURE, OFFICIAL_BASIS
        return super().published_temperature(layout)

    def unused_tensors(self, layout: str) -> dict[str, Tensor]:
        """The official checkpoint's: zeros."""
        zeros: dict[str, Tensor] = {}
        if layout != "official":
            return zeros
        published = self.pretrained_layouts()[layout]
        for name, value in self.state_dict().items():
            if name.endswith(".mix.squeeze.weight"):
                squeezed, channels = value.shape
                stem = published.theirs(name)[0].removesuffix("fcce.0.weight") + UNUSED
                zeros[stem + "squeeze.weight"] = torch.zeros(squeezed, channels, 1, 1)
                zeros[stem + "conv1.weight"] = torch.zeros(squeezed, squeezed, 3)
                zeros[stem + "expand.weight"] = torch.zeros(channels, squeezed, 1, 1)
        if self.embedding is None:
            for name, value in EmbeddingHead(self.spec.features).state_dict().items():
                zeros[published.theirs(f"embedding.{name}")[0]] = torch.zeros_like(value)
        return zeros
