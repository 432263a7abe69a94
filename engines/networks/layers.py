"""Layers that several networks are built from: convolutions with batch norm, residual stages, attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Size = tuple[int, ...]  # of a kernel or stride: (height, width) or (time, height, width)
Kernels = Sequence[Size]  # of a residual block's convolutions: two of a basic block, three of a bottleneck

_CONVOLUTIONS: dict[int, Callable[..., nn.Conv2d | nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_BATCH_NORMS: dict[int, Callable[..., nn.BatchNorm2d | nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, ReLU unless told otherwise; over space, or over time and space."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Size, stride: Size | None = None, *, relu: bool = True
    ) -> None:
        super().__init__()
        dims = len(kernel)
        padding = tuple(side // 2 for side in kernel)
        self.conv = _CONVOLUTIONS[dims](inputs, outputs, kernel, stride or (1,) * dims, padding, bias=False)
        self.bn = _BATCH_NORMS[dims](outputs)
        self.relu = relu
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) → (N, C', ...)."""
        normed: Tensor = self.bn(self.conv(x))
        return functional.relu(normed) if self.relu else normed


class ResidualBlock(nn.Module):
    """A bottleneck or basic block (He et al. 2016), whose branch `mix` may prepare.

    The second of three convolutions carries the stride, or the first of two.
    """

    def __init__(self, inputs: int, base: int, kernels: Kernels, stride: Size, mix: nn.Module | None = None) -> None:
        super().__init__()
        outputs = block_outputs(base, kernels)
        self.mix = nn.Identity() if mix is None else mix
        first, second, *third = kernels
        self.conv1 = ConvNorm(inputs, base, first, None if third else stride)
        self.conv2 = ConvNorm(base, base if third else outputs, second, stride if third else None, relu=bool(third))
        self.conv3 = ConvNorm(base, outputs, third[0], relu=False) if third else nn.Identity()
        projects = inputs != outputs or max(stride) > 1
        point = (1,) * len(stride)
        self.downsample = ConvNorm(inputs, outputs, point, stride, relu=False) if projects else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) → (N, C', ...)."""
        return self.join(x, self.mix(x))

    def join(self, x: Tensor, mixed: Tensor) -> Tensor:
        """The identity, and the branch of what `mix` made of it."""
        branch = self.conv3(self.conv2(self.conv1(mixed)))
        return functional.relu(branch + self.downsample(x))


def block_outputs(base: int, kernels: Kernels) -> int:
    """Channels behind a residual block (He et al. 2016)."""
    return base * 4 if len(kernels) == 3 else base


def residual_stages(
    width: int,
    blocks: Sequence[int],
    kernels: Callable[[int, int], Kernels],
    stride: Size,
    *,
    mix: Callable[[int, int], nn.Module | None] | None = None,
    joined: Sequence[int] = (0, 0, 0, 0),
) -> Iterator[nn.Sequential]:
    """The stages of a ResNet; every stage but the first begins with `stride` and has twice the channels.

    Args:
        width: channels of the stem.
        blocks: of each stage.
        kernels: of the block at (stage, block).
        stride: of the first block of every stage but the first.
        mix: what prepares the branch of a block, by its place in the stage and its input channels.
        joined: channels of another path that join the input of each stage.
    """
    inputs = width
    for stage, count in enumerate(blocks):
        inputs += joined[stage]
        layers = []
        for block in range(count):
            own = kernels(stage, block)
            step = stride if stage and not block else (1,) * len(stride)
            layers.append(ResidualBlock(inputs, width << stage, own, step, mix and mix(block, inputs)))
            inputs = block_outputs(width << stage, own)
        yield nn.Sequential(*layers)


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017), queries, keys and values from one product.

    A bias of the keys adds the same to all scores of a query, so that networks may do without one.
    """

    def __init__(self, width: int, heads: int, *, key_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=key_bias)
        self.query_value_bias = None if key_bias else nn.Parameter(torch.zeros(2 * width))
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """(N, L, C), or with windows (N, W, L, C) → the same; `bias` is added to the scores.

        Args:
            tokens: those that attend to each other, L of them.
            bias: (heads, L, L), or with windows (W, heads, L, L).
        """
        packed = self.qkv(tokens)
        if self.query_value_bias is not None:
            query_bias, value_bias = self.query_value_bias.chunk(2)
            packed = packed + torch.cat((query_bias, torch.zeros_like(query_bias), value_bias))
        queries, keys, values = (self._split(part) for part in packed.chunk(3, dim=-1))
        shape = queries.shape[1:]
        # Exporters know four dimensions alone: windows join the heads.
        queries, keys, values = (part.flatten(1, -3) for part in (queries, keys, values))
        mask = bias if bias is None or len(shape) == 3 else bias.flatten(0, -3)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask).reshape(-1, *shape)
        attended: Tensor = self.output(mixed.transpose(-3, -2).flatten(-2))
        return attended

    def _split(self, tokens: Tensor) -> Tensor:
        """(..., L, C) → (..., heads, L, C/heads)."""
        return tokens.reshape(*tokens.shape[:-1], self.heads, -1).transpose(-3, -2)


class FeedForward(nn.Module):
    """Linear, exact GELU, linear; four hidden units a feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, 4 * width)
        self.output = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) → (..., C)."""
        fed: Tensor = self.output(functional.gelu(self.hidden(tokens)))
        return fed


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network, each added to what its layer norm has read."""

    def __init__(self, width: int, heads: int, epsilon: float, *, key_bias: bool = True) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.attention = SelfAttention(width, heads, key_bias=key_bias)
        self.norm2 = nn.LayerNorm(width, epsilon)
        self.feed = FeedForward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, C) → (N, L, C)."""
        tokens = tokens + self.attention(self.norm1(tokens))
        read: Tensor = tokens + self.feed(self.norm2(tokens))
        return read


def initialise_linear(network: nn.Module) -> None:
    """Weights of linear layers as in ViT: normal, deviation 0.02; biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def frames_first(clips: Tensor) -> Tensor:
    """(N, C, T, H, W) ↔ (N, T, C, H, W)."""
    return clips.transpose(1, 2)


class Pixels(nn.Module):
    """uint8 RGB clips to normalised floats, inside the graph, so that no runtime and no caller gets them wrong."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, clips: Tensor) -> Tensor:
        """(N, T, S, S, 3) → (N, T, 3, S, S)."""
        size = clips.shape[3]
        rows = clips.to(self.mean.dtype).flatten(3)  # (N, T, S, S·3): long rows, or the colours' broadcast is slow
        rows = (rows - self.mean.repeat(size)) / self.std.repeat(size)
        return rows.reshape(clips.shape).permute(0, 1, 4, 2, 3)
