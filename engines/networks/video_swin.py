"""Video Swin Transformer (Liu et al., "Video Swin Transformer", CVPR 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.contract import VideoNetwork
from engines.networks.layers import FeedForward, SelfAttention, frames_first, initialise_linear
from engines.networks.layouts import Layout, inflate, mmaction2
from engines.networks.registry import register
from engines.specs.video import VideoSwinSpec

PATCH = (2, 4, 4)
MASKED = -100.0  # added to the scores between tokens that the cyclic shift has brought together

Volume = tuple[int, int, int]  # frames, rows, columns


class Windows(NamedTuple):
    """How a stage's feature map is cut: an axis that fits into one window is not shifted."""

    grid: Volume  # of the map
    padded: Volume  # the map up to whole windows, behind its end
    window: Volume
    shift: Volume

    @classmethod
    def of(cls, grid: Sequence[int], largest: Sequence[int], shifted: bool) -> Windows:
        """For a map of `grid`; half a window is shifted, or nothing."""
        window = [min(pair) for pair in zip(grid, largest, strict=True)]
        shift = [most // 2 if shifted and side > most else 0 for side, most in zip(grid, largest, strict=True)]
        padded = [-(-side // step) * step for side, step in zip(grid, window, strict=True)]
        return cls(*(_volume(sides) for sides in (grid, padded, window, shift)))

    def cut(self, maps: Tensor) -> Tensor:
        """(N, T, H, W, C) → (N, windows, L, C)."""
        (t, h, w), (frames, rows, columns) = self.window, self.padded
        shape = (-1, frames // t, t, rows // h, h, columns // w, w, maps.shape[-1])
        return maps.reshape(shape).permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(1, 3)

    def join(self, tokens: Tensor) -> Tensor:
        """(N, windows, L, C) → (N, T, H, W, C)."""
        (t, h, w), (frames, rows, columns) = self.window, self.padded
        shape = (-1, frames // t, rows // h, columns // w, t, h, w, tokens.shape[-1])
        return tokens.reshape(shape).permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, *self.padded, tokens.shape[-1])

    def regions(self) -> Tensor:
        """Number of the region that each token was in before the cyclic shift, (windows, L)."""
        axes = []
        for side, window, shift in zip(self.padded, self.window, self.shift, strict=True):
            places = torch.arange(side)
            axes.append((places >= side - window).long() + (places >= side - shift) if shift else places * 0)
        frames, rows, columns = axes
        ids = frames[:, None, None] * 9 + rows[:, None] * 3 + columns
        return self.cut(ids[None, ..., None])[0, ..., 0]


def _volume(sides: Sequence[int]) -> Volume:
    frames, rows, columns = sides
    return frames, rows, columns


class WindowAttention(nn.Module):
    """Self-attention inside windows, with a learnt bias for each distance between two tokens."""

    def __init__(self, width: int, heads: int, largest: Volume, windows: Windows) -> None:
        super().__init__()
        frames, rows, columns = largest
        steps = ((2 * rows - 1) * (2 * columns - 1), 2 * columns - 1, 1)
        grid = torch.cartesian_prod(*(torch.arange(side) for side in largest))
        # A token's place, such that the difference of two is the row of the table for their distance. A smaller window
        # has the places of the largest one's first tokens, as published.
        places = (grid * torch.tensor(steps)).sum(dim=1)[: math.prod(windows.window)]
        distances = (2 * frames - 1) * steps[0]
        self.nearest = distances // 2  # the row of distance 0
        self.table = nn.Parameter(torch.zeros(distances, heads))
        self.attention = SelfAttention(width, heads)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("regions", windows.regions() if any(windows.shift) else None, persistent=False)
        self.places: Tensor
        self.regions: Tensor | None
        nn.init.trunc_normal_(self.table, std=0.02)

    def bias(self) -> Tensor:
        """What is added to the scores: (heads, L, L), or (windows, heads, L, L) with the mask."""
        distances = self.places[:, None] - self.places + self.nearest  # (L, L)
        bias = self.table[distances].permute(2, 0, 1)
        if self.regions is None:
            return bias
        apart = self.regions[:, :, None] != self.regions[:, None, :]  # (windows, L, L)
        return bias + apart[:, None].to(bias.dtype) * MASKED

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, windows, L, C) → (N, windows, L, C)."""
        bias = self.bias()
        alike = bias.ndim == 3  # windows may then join the batch
        attended: Tensor = self.attention(tokens.flatten(0, 1) if alike else tokens, bias)
        return attended.reshape(-1, *tokens.shape[1:])


class SwinBlock(nn.Module):
    """Attention in (shifted) windows, then a feed-forward network."""

    def __init__(self, width: int, heads: int, largest: Volume, windows: Windows) -> None:
        super().__init__()
        self.windows = windows
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, largest, windows)
        self.norm2 = nn.LayerNorm(width)
        self.feed = FeedForward(width)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, T, H, W, C) → (N, T, H, W, C)."""
        windows = self.windows
        margins = [large - small for large, small in zip(windows.padded, windows.grid, strict=True)]
        x = functional.pad(self.norm1(maps), (0, 0, 0, margins[2], 0, margins[1], 0, margins[0]))
        back = any(windows.shift)
        if back:
            x = torch.roll(x, [-step for step in windows.shift], (1, 2, 3))
        x = windows.join(self.attention(windows.cut(x)))
        if back:
            x = torch.roll(x, list(windows.shift), (1, 2, 3))
        frames, rows, columns = windows.grid
        maps = maps + x[:, :frames, :rows, :columns]
        read: Tensor = maps + self.feed(self.norm2(maps))
        return read


class PatchMerging(nn.Module):
    """Four neighbours into one of twice the features: (0, 0), (1, 0), (0, 1), (1, 1) of (row, column)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.linear = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, T, H, W, C) → (N, T, H/2, W/2, 2·C); an odd side is padded."""
        maps = functional.pad(maps, (0, 0, 0, maps.shape[3] % 2, 0, maps.shape[2] % 2))
        quarters = [maps[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.linear(self.norm(torch.cat(quarters, dim=-1)))
        return merged


@register("video_swin", VideoSwinSpec)
class VideoSwin(VideoNetwork):
    """Patches, four stages of windowed attention, the mean of what the last says."""

    spec: VideoSwinSpec
    moment_layer = "norm"

    def __init__(self, spec: VideoSwinSpec) -> None:
        width = spec.width << 3
        super().__init__(spec, width, 0.5)
        self.spec = spec
        self.patch = nn.Conv3d(3, spec.width, PATCH, PATCH)
        self.patch_norm = nn.LayerNorm(spec.width)
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in self._stages(spec))
        self.merges = nn.ModuleList(PatchMerging(spec.width << stage) for stage in range(3))
        self.norm = nn.LayerNorm(width)
        initialise_linear(self)

    @staticmethod
    def _stages(spec: VideoSwinSpec) -> Iterator[list[SwinBlock]]:
        frames, side = spec.length // PATCH[0], spec.size // PATCH[1]
        for stage, (depth, heads) in enumerate(zip(spec.depths, spec.heads, strict=True)):
            grid = (frames, side, side)
            width = spec.width << stage
            yield [
                SwinBlock(width, heads, spec.window, Windows.of(grid, spec.window, bool(block % 2)))
                for block in range(depth)
            ]
            side = -(-side // 2)

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C)."""
        maps = self.patch_norm(self.patch(frames_first(self.pixels(clips))).permute(0, 2, 3, 4, 1))
        for index, stage in enumerate(self.stages):
            maps = stage(maps if index == 0 else self.merges[index - 1](maps))
        features: Tensor = self.norm(maps).mean(dim=(1, 2, 3))
        return features

    def moments(self, output: Tensor) -> Tensor:
        """(N, M, H, W, C) → (N, M, C)."""
        return output.mean(dim=(2, 3))

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2 1.x's, the authors' (which is 0.x's), and the authors' 2-D network on ImageNet as a start."""
        body = (
            (r"^patch\.", "patch_embed.proj."),
            (r"^patch_norm\.", "patch_embed.norm."),
            (r"^stages\.(\d+)\.(\d+)\.", r"layers.\1.blocks.\2."),
            (r"^merges\.(\d+)\.norm\.", r"layers.\1.downsample.norm."),
            (r"^merges\.(\d+)\.linear\.", r"layers.\1.downsample.reduction."),
            (r"\.attention\.table$", ".attn.relative_position_bias_table"),
            (r"\.attention\.attention\.qkv\.", ".attn.qkv."),
            (r"\.attention\.attention\.output\.", ".attn.proj."),
            (r"\.feed\.hidden\.", ".mlp.fc1."),
            (r"\.feed\.output\.", ".mlp.fc2."),
        )
        prefix = (r"^(patch_embed|layers|norm3?)\.", r"backbone.\1.")
        unused = r"^data_preprocessor\.|relative_position_index$|attn_mask$"
        image = (*body, (r"^classifier\.", "head."))
        return {
            "mmaction2": mmaction2((r"^norm\.", "norm3."), *body, prefix, unused=unused),
            "authors": mmaction2(*body, prefix, unused=unused),
            "authors' Swin on images": Layout(image, unused=unused, adapt=self._inflate),
        }

    def _inflate(self, name: str, theirs: Tensor, shape: torch.Size) -> Tensor:
        """As `inflate`; a bias table of one frame is repeated for every distance in time."""
        if name.endswith(".table") and theirs.shape[1] == shape[1]:
            times = 2 * self.spec.window[0] - 1
            return theirs.repeat(times, 1) if len(theirs) * times == shape[0] else theirs
        return inflate(name, theirs, shape)
