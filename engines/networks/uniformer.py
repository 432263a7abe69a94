"""UniFormer (Li et al., "UniFormer: Unified Transformer for Efficient Spatiotemporal Representation", ICLR 2022)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from engines.networks.contract import VideoNetwork
from engines.networks.layers import TransformerBlock, frames_first, initialise_linear
from engines.networks.layouts import Layout, mmaction2
from engines.networks.registry import register
from engines.specs.video import UniFormerSpec

EPSILON = 1e-5  # of layer norms, as mmaction2 has it; the authors have 1e-6 inside the blocks
Volume = tuple[int, int, int]  # frames, rows, columns


class Patches(nn.Module):
    """Convolution without overlap in space, then layer norm."""

    def __init__(self, inputs: int, outputs: int, kernel: Volume, stride: Volume) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, (kernel[0] // 2, 0, 0))
        self.norm = nn.LayerNorm(outputs, EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, C', T', H', W')."""
        return frames_last(self.norm(self.conv(maps).permute(0, 2, 3, 4, 1)))


def frames_last(maps: Tensor) -> Tensor:
    """(N, T, H, W, C) → (N, C, T, H, W)."""
    return maps.permute(0, 4, 1, 2, 3)


def _positions(width: int) -> nn.Conv3d:
    """Where a token is: a convolution of each channel with its neighbours."""
    return nn.Conv3d(width, width, 3, padding=1, groups=width)


class LocalBlock(nn.Module):
    """Relations of near tokens: a depthwise convolution in the place of attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.positions = _positions(width)
        self.norm1 = nn.BatchNorm3d(width)
        self.relate = nn.Sequential(
            nn.Conv3d(width, width, 1),
            nn.Conv3d(width, width, 5, padding=2, groups=width),
            nn.Conv3d(width, width, 1),
        )
        self.norm2 = nn.BatchNorm3d(width)
        self.hidden = nn.Conv3d(width, 4 * width, 1)
        self.output = nn.Conv3d(4 * width, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, C, T, H, W)."""
        maps = maps + self.positions(maps)
        maps = maps + self.relate(self.norm1(maps))
        read: Tensor = maps + self.output(functional.gelu(self.hidden(self.norm2(maps))))
        return read


class GlobalBlock(nn.Module):
    """Relations of all tokens of the clip: attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.positions = _positions(width)
        self.transformer = TransformerBlock(width, heads, EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, C, T, H, W)."""
        maps = maps + self.positions(maps)
        tokens: Tensor = self.transformer(maps.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(-1, *maps.shape[1:])


@register("uniformer", UniFormerSpec)
class UniFormer(VideoNetwork):
    """Two stages of local relations, two of global ones, the mean of what the last says."""

    moment_layer = "norm"

    def __init__(self, spec: UniFormerSpec) -> None:
        super().__init__(spec, spec.widths[3], 0.0)
        self.spec = spec
        patches, stages = [], []
        inputs = 3
        for stage, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
            kernel, stride = ((1, 2, 2), (1, 2, 2)) if stage else ((3, 4, 4), (2, 4, 4))
            patches.append(Patches(inputs, width, kernel, stride))
            heads = width // spec.head_width
            stages.append(
                nn.Sequential(*(LocalBlock(width) if stage < 2 else GlobalBlock(width, heads) for _ in range(depth)))
            )
            inputs = width
        self.patches, self.stages = nn.ModuleList(patches), nn.ModuleList(stages)
        self.norm = nn.BatchNorm3d(inputs)
        initialise_linear(self)

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C)."""
        maps = frames_first(self.pixels(clips))
        for patches, stage in zip(self.patches, self.stages, strict=True):
            maps = stage(patches(maps))
        features: Tensor = self.norm(maps).mean(dim=(2, 3, 4))
        return features

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, and the authors', whose networks on images are inflated."""
        body = (
            (r"\.transformer\.", "."),
            (r"\.positions\.", ".pos_embed."),
            (r"\.relate\.0\.", ".conv1."),
            (r"\.relate\.1\.", ".attn."),
            (r"\.relate\.2\.", ".conv2."),
            (r"\.attention\.qkv\.", ".attn.qkv."),
            (r"\.attention\.output\.", ".attn.proj."),
            (r"\.(feed\.)?hidden\.", ".mlp.fc1."),
            (r"\.(feed\.)?output\.", ".mlp.fc2."),
            *((rf"^patches\.{stage}\.conv\.", f"patch_embed{stage + 1}.proj.") for stage in range(4)),
            *((rf"^patches\.{stage}\.", f"patch_embed{stage + 1}.") for stage in range(4)),
            *((rf"^stages\.{stage}\.", f"blocks{stage + 1}.") for stage in range(4)),
        )
        prefix = (r"^(patch_embed|blocks|norm\.)", r"backbone.\1")
        authors = Layout((*body, (r"^classifier\.", "head.")))
        return {"mmaction2": mmaction2(*body, prefix), "authors": authors}
