"""VideoMAE's classifier (Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners", NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engines.networks.contract import VideoNetwork
from engines.networks.layers import TransformerBlock, frames_first, initialise_linear
from engines.networks.layouts import Layout, mmaction2
from engines.networks.registry import register
from engines.specs.video import VideoMAESpec

TUBELET = (2, 16, 16)  # frames, pixels, pixels
EPSILON = 1e-6  # of layer norms
WAVELENGTHS = 10_000.0  # longest over shortest of the positions (Vaswani et al. 2017)


def sinusoids(count: int, width: int) -> Tensor:
    """Fixed positions, (count, C): sine in the even columns, cosine in the odd ones."""
    columns = torch.arange(width, dtype=torch.float64)
    angles = torch.arange(count)[:, None] * WAVELENGTHS ** -((columns - columns % 2) / width)
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).float()


@register("videomae", VideoMAESpec)
class VideoMAE(VideoNetwork):
    """A plain vision transformer over all tubelets of a clip, and their mean."""

    moment_layer = "blocks"

    def __init__(self, spec: VideoMAESpec) -> None:
        super().__init__(spec, spec.width, 0.0)
        self.spec = spec
        self.patch = nn.Conv3d(3, spec.width, TUBELET, TUBELET)
        count = spec.length // TUBELET[0] * (spec.size // TUBELET[1]) ** 2
        self.register_buffer("positions", sinusoids(count, spec.width), persistent=False)
        self.positions: Tensor
        self.blocks = nn.Sequential(
            *(TransformerBlock(spec.width, spec.heads, EPSILON, key_bias=False) for _ in range(spec.layers))
        )
        self.norm = nn.LayerNorm(spec.width, EPSILON)
        self.layer_names = ("patch", *(f"blocks.{number}" for number in range(spec.layers)))
        initialise_linear(self)

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C)."""
        tokens = self.patch(frames_first(self.pixels(clips))).flatten(2).transpose(1, 2)  # (N, L, C)
        features: Tensor = self.norm(self.blocks(tokens + self.positions).mean(dim=1))
        return features

    def moments(self, output: Tensor) -> Tensor:
        """Tokens (N, M · P, C), times first → (N, M, C)."""
        return output.reshape(len(output), self.spec.length // TUBELET[0], -1, output.shape[2]).mean(dim=2)

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, the authors', and those of transformers."""
        body = (
            (r"^norm\.", "fc_norm."),
            (r"\.attention\.qkv\.", ".attn.qkv."),
            (r"\.attention\.query_value_bias", ".attn.{q,v}_bias"),
            (r"\.attention\.output\.", ".attn.proj."),
        )
        authors = (
            (r"^patch\.", "patch_embed.proj."),
            *body,
            (r"\.feed\.hidden\.", ".mlp.fc1."),
            (r"\.feed\.output\.", ".mlp.fc2."),
            (r"^classifier\.", "head."),
        )
        theirs = (
            (r"^patch\.", "patch_embed.projection."),
            *body,
            (r"\.feed\.hidden\.", ".mlp.layers.0.0."),
            (r"\.feed\.output\.", ".mlp.layers.1."),
            (r"^(patch_embed|blocks|fc_norm)\.", r"backbone.\1."),
        )
        return {
            "mmaction2": mmaction2(*theirs, unused=r"^data_preprocessor\.|^backbone\.pos_embed$"),
            "authors": Layout(authors),
            "transformers": Layout(_transformers("{query,value}.bias")),
            "transformers, before 5": Layout(_transformers("{q_bias,v_bias}")),
        }


def _transformers(biases: str) -> tuple[tuple[str, str], ...]:
    return (
        (r"^patch\.", "videomae.embeddings.patch_embeddings.projection."),
        (r"^blocks\.", "videomae.encoder.layer."),
        (r"^norm\.", "fc_norm."),
        (r"\.norm1\.", ".layernorm_before."),
        (r"\.norm2\.", ".layernorm_after."),
        (r"\.attention\.qkv\.weight", ".attention.attention.{query,key,value}.weight"),
        (r"\.attention\.query_value_bias", f".attention.attention.{biases}"),
        (r"\.attention\.output\.", ".attention.output.dense."),
        (r"\.feed\.hidden\.", ".intermediate.dense."),
        (r"\.feed\.output\.", ".output.dense."),
    )
