"""TimeSformer (Bertasius et al., "Is Space-Time Attention All You Need for Video Understanding?", ICML 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.contract import VideoNetwork
from engines.networks.layers import FeedForward, SelfAttention, initialise_linear
from engines.networks.layouts import Layout, mmaction2
from engines.networks.registry import register
from engines.specs.video import TimeSformerSpec

PATCH = 16  # pixels
EPSILON = 1e-6  # of layer norms
AUTHORS_MEAN, AUTHORS_STD = 0.45 * 255, 0.225 * 255  # of all colours


class DividedBlock(nn.Module):
    """Attention of each patch over time, then of each frame over space, then a feed-forward network.

    The class token has no part in time; in space every frame has a copy, and the copies' changes are averaged.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.time_norm = nn.LayerNorm(width, EPSILON)
        self.time_attention = SelfAttention(width, heads)
        self.time_output = nn.Linear(width, width)
        self.space_norm = nn.LayerNorm(width, EPSILON)
        self.space_attention = SelfAttention(width, heads)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.feed = FeedForward(width)

    def forward(self, token: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Class token (N, 1, C) and patches (N, T, P, C) → the same."""
        _, length, count, width = patches.shape
        series = patches.transpose(1, 2).reshape(-1, length, width)  # (N·P, T, C)
        series = self.time_output(self.time_attention(self.time_norm(series)))
        patches = patches + series.reshape(-1, count, length, width).transpose(1, 2)
        frames = torch.cat((token[:, :, None].expand(-1, length, -1, -1), patches), dim=2)  # (N, T, 1 + P, C)
        frames = self.space_attention(self.space_norm(frames).reshape(-1, 1 + count, width))
        frames = frames.reshape(-1, length, 1 + count, width)
        token, patches = token + frames[:, :, 0].mean(dim=1, keepdim=True), patches + frames[:, :, 1:]
        return token + self.feed(self.norm(token)), patches + self.feed(self.norm(patches))


@register("timesformer", TimeSformerSpec)
class TimeSformer(VideoNetwork):
    """A vision transformer whose every layer attends over time and over space by itself."""

    def __init__(self, spec: TimeSformerSpec) -> None:
        super().__init__(spec, spec.width, 0.0)
        self.spec = spec
        self.patch = nn.Conv2d(3, spec.width, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, spec.width))
        self.places = nn.Parameter(torch.zeros(1, 1 + (spec.size // PATCH) ** 2, spec.width))
        self.times = nn.Parameter(torch.zeros(1, spec.length, spec.width))
        self.blocks = nn.ModuleList(DividedBlock(spec.width, spec.heads) for _ in range(spec.layers))
        self.norm = nn.LayerNorm(spec.width, EPSILON)
        self.moment_layer = f"blocks.{spec.layers - 1}"
        initialise_linear(self)
        for learnt in (self.token, self.places):
            nn.init.trunc_normal_(learnt, std=0.02)
        for block in self.blocks:  # an untrained network does not look at time, as published
            nn.init.zeros_(block.get_parameter("time_output.weight"))

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C), the class token."""
        patches = self.patch(self.pixels(clips).flatten(0, 1)).flatten(2).transpose(1, 2)  # (N·T, P, C)
        patches = patches.reshape(-1, self.spec.length, *patches.shape[1:])
        patches = patches + self.places[:, None, 1:] + self.times[:, :, None]
        token = (self.token + self.places[:, :1]).expand(patches.shape[0], -1, -1)
        for block in self.blocks:
            token, patches = block(token, patches)
        features: Tensor = self.norm(token[:, 0])
        return features

    def moments(self, output: tuple[Tensor, Tensor]) -> Tensor:
        """The class token and patches (N, T, P, C) → (N, T, C)."""
        return output[1].mean(dim=2)

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, the authors', and a vision transformer on images as a start."""
        layer = r"^blocks\.(\d+)\."
        theirs = r"backbone.transformer_layers.layers.\1."
        return {
            "mmaction2": Layout(
                (
                    (r"^patch\.", "backbone.patch_embed.projection."),
                    *_embeddings("backbone."),
                    (r"^norm\.", "backbone.norm."),
                    (layer + r"(time|space)_", theirs + r"\2."),
                    (layer + r"norm\.", theirs + "ffns.0.norm."),
                    (layer + r"feed\.hidden\.", theirs + "ffns.0.layers.0.0."),
                    (layer + r"feed\.output\.", theirs + "ffns.0.layers.1."),
                    (r"\.time\.output\.", ".attentions.0.temporal_fc."),
                    (r"\.time\.", ".attentions.0."),
                    (r"\.space\.", ".attentions.1."),
                    (r"\.attention\.qkv\.", ".attn.in_proj_"),
                    (r"\.attention\.output\.", ".attn.out_proj."),
                    *mmaction2().renames,
                ),
                adapt=resample,
            ),
            "authors": Layout(
                (*_authors("temporal_norm1", "temporal_attn"), (r"^", "model.")), adapt=resample, finish=rescale
            ),
            "ViT on images": Layout(_authors("norm1", "attn"), fresh=r"^times$|\.time_output\.", adapt=resample),
        }


def _embeddings(prefix: str) -> tuple[tuple[str, str], ...]:
    names = {"token": "cls_token", "places": "pos_embed", "times": "time_embed"}
    return tuple((rf"^{ours}$", prefix + theirs) for ours, theirs in names.items())


def _authors(time_norm: str, time_attention: str) -> tuple[tuple[str, str], ...]:
    """Names in the authors' code, which are a vision transformer's; there time begins as a copy of space."""
    return (
        (r"^patch\.", "patch_embed.proj."),
        *_embeddings(""),
        (r"\.norm\.", ".norm2."),
        (r"\.time_norm\.", f".{time_norm}."),
        (r"\.time_attention\.", f".{time_attention}."),
        (r"\.time_output\.", ".temporal_fc."),
        (r"\.space_norm\.", ".norm1."),
        (r"\.space_attention\.", ".attn."),
        (r"(attn)\.output\.", r"\1.proj."),
        (r"\.feed\.hidden\.", ".mlp.fc1."),
        (r"\.feed\.output\.", ".mlp.fc2."),
        (r"^classifier\.", "head."),
    )


def rescale(weights: dict[str, Tensor]) -> None:
    """The patches' convolution for pixels as we normalise them: the authors have other statistics."""
    weight = weights["patch.weight"]
    shift = (TimeSformerSpec.MEAN[0] - AUTHORS_MEAN) / AUTHORS_STD
    weights["patch.bias"] = weights["patch.bias"] + shift * weight.sum(dim=(1, 2, 3))
    weights["patch.weight"] = weight * (TimeSformerSpec.STD[0] / AUTHORS_STD)


def resample(name: str, theirs: Tensor, shape: torch.Size) -> Tensor:
    """Learnt places or times for another size or length: the nearest, as the authors have it."""
    if theirs.ndim != 3 or len(shape) != 3 or theirs.shape[2] != shape[2] or theirs.shape == shape:
        return theirs
    if name == "times":
        return functional.interpolate(theirs.transpose(1, 2), shape[1]).transpose(1, 2)
    if name != "places":
        return theirs
    old, new = (round((length - 1) ** 0.5) for length in (theirs.shape[1], shape[1]))
    grid = theirs[:, 1:].transpose(1, 2).reshape(1, -1, old, old)
    grid = functional.interpolate(grid, (new, new)).flatten(2).transpose(1, 2)
    return torch.cat((theirs[:, :1], grid), dim=1)
