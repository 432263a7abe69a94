"""The networks beside their oracle: specs, figures, names of traced modules, and mistakes with what they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks import blocks, slowfast, tin, video_swin
from engines.networks.c3d import C3D
from engines.networks.contract import VideoNetwork
from engines.networks.i3d import I3D
from engines.networks.slowfast import SlowFast
from engines.networks.timesformer import TimeSformer
from engines.networks.tin import TIN
from engines.networks.tsm import TSM
from engines.networks.tsn import TSN
from engines.networks.uniformer import UniFormer
from engines.networks.video_swin import VideoSwin
from engines.specs.base import VideoSpec
from engines.specs.video import (
    C3DSpec,
    I3DSpec,
    SlowFastSpec,
    TimeSformerSpec,
    TINSpec,
    TSMSpec,
    TSNSpec,
    UniFormerSpec,
    VideoSwinSpec,
)


@dataclass(frozen=True)
class Mistake:
    """A wrong network: `make(network, monkeypatch)` spoils it; the logits then change by about `change`."""

    make: Callable
    change: float
    strong: bool = False  # seen with larger tables


@dataclass(frozen=True)
class Case:
    """One network of the oracle; `small` is the input its traces are from, `full` the published one."""

    name: str
    network: Callable[..., VideoNetwork]
    small: VideoSpec
    full: VideoSpec
    parameters: int
    gmac: float
    traces: dict[str, str] = field(default_factory=dict)  # the oracle's module → ours
    mistakes: dict[str, Mistake] = field(default_factory=dict)
    replaced: dict[str, tuple[int, ...]] = field(default_factory=dict)  # shapes of keys in the small run
    tolerance: float = 1e-4

    def __str__(self) -> str:
        return self.name


RESNET_TRACES = {"conv1": "stem", "maxpool": "pool"} | {f"layer{n}": f"layer{n}" for n in (1, 2, 3, 4)}
BACKBONE = {f"backbone.{theirs}": f"backbone.{ours}" for theirs, ours in RESNET_TRACES.items()}
SLOWFAST = {
    f"backbone.{path}_path.{theirs}": f"{path}.{ours}"
    for path in ("slow", "fast")
    for theirs, ours in RESNET_TRACES.items()
    if theirs != "maxpool"
} | {
    f"backbone.slow_path.{theirs}_lateral": f"laterals.{index}"
    for index, theirs in enumerate(("conv1", "layer1", "layer2", "layer3"))
}
C3D_TRACES = {
    f"backbone.conv{name}": f"backbone.relu{name}" for name in ["1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b"]
}
C3D_TRACES |= {f"backbone.pool{n}": f"backbone.pool{n}" for n in range(1, 6)}
C3D_TRACES |= {"backbone.fc6": "hidden1", "backbone.fc7": "hidden2"}
SWIN_TRACES = {f"backbone.layers.{n}": f"stages.{n}" for n in range(4)}
SWIN_TRACES |= {"backbone.patch_embed": "patch_norm", "backbone.norm3": "norm"}
UNIFORMER_TRACES = {f"backbone.patch_embed{n + 1}": f"patches.{n}" for n in range(4)} | {"backbone.norm": "norm"}
UNIFORMER_TRACES |= {
    f"backbone.blocks{stage + 1}.{n}": f"stages.{stage}.{n}"
    for stage, depth in enumerate((3, 4, 8, 3))
    for n in range(depth)
}
TIMESFORMER_TRACES = {f"backbone.transformer_layers.layers.{n}": f"blocks.{n}" for n in range(12)}


def replace(module: object, name: str, make: Callable) -> Callable:
    """A mistake that puts `make(original)` in the place of a function."""

    def spoil(_: nn.Module, monkeypatch) -> None:
        monkeypatch.setattr(module, name, make(getattr(module, name)))

    return spoil


def backwards(shift: Callable) -> Callable:
    return lambda frames, length, fraction: (
        shift(frames.unflatten(0, (-1, length)).flip(1).flatten(0, 1), length, fraction)
        .unflatten(0, (-1, length))
        .flip(1)
        .flatten(0, 1)
    )


def circular(_: Callable) -> Callable:
    def shift(frames: Tensor, length: int, fraction: int) -> Tensor:
        clips = frames.unflatten(0, (-1, length))
        fold = frames.shape[1] // fraction
        first, second, rest = clips[:, :, :fold], clips[:, :, fold : 2 * fold], clips[:, :, 2 * fold :]
        return torch.cat((first.roll(-1, 1), second.roll(1, 1), rest), dim=2).flatten(0, 1)

    return shift


def shift_identity_too(network: nn.Module, monkeypatch) -> None:
    for block in network.modules():
        if hasattr(block, "mix"):
            plain = block.forward

            def forward(x: Tensor, block: nn.Module = block, plain: Callable = plain) -> Tensor:
                mixed = block.mix(x)
                with monkeypatch.context() as patch:
                    patch.setattr(block.mix, "forward", lambda frames: frames)
                    return plain(mixed)

            monkeypatch.setattr(block, "forward", forward)


def swap_weights(plan: Callable) -> Callable:
    def swapped(self: tin.Interlace, descriptors: Tensor) -> tuple[Tensor, Tensor]:
        offsets, weights = plan(self, descriptors)
        return offsets, weights.flip(1)

    return swapped


def without(name: str) -> Callable:
    """A mistake that leaves a module out."""
    return lambda network, monkeypatch: monkeypatch.setitem(network._modules, name, nn.Identity())


def evenly_spread(network: SlowFast, monkeypatch) -> None:
    plain = network.slow.stem.forward
    count, slow = network.spec.length, network.spec.slow_length
    places = torch.linspace(0, count - 1, slow).long()

    def stem(clips: Tensor) -> Tensor:
        return plain(network.frames.transpose(1, 2)[:, :, places])

    def pixels(clips: Tensor, plain: Callable = network.pixels.forward) -> Tensor:
        network.frames = plain(clips)
        return network.frames

    monkeypatch.setattr(network.slow.stem, "forward", stem)
    monkeypatch.setattr(network.pixels, "forward", pixels)


def slow_features_first(network: SlowFast, monkeypatch) -> None:
    plain = network.features
    monkeypatch.setattr(network, "features", lambda clips: plain(clips).roll(network.slow.outputs, 1))


def each(kind: type[nn.Module], name: str, value: object) -> Callable:
    """A mistake that gives every module of a kind another attribute."""

    def spoil(network: nn.Module, monkeypatch) -> None:
        for module in network.modules():
            if isinstance(module, kind):
                kept = module._buffers if name in module._buffers else module.__dict__
                monkeypatch.setitem(kept, name, value(module) if callable(value) else value)

    return spoil


def only_in_space(of: Callable) -> Callable:
    """Windows that are not shifted in time."""

    def windows(grid, largest, shifted: bool) -> video_swin.Windows:
        found = of(grid, largest, shifted)
        return found._replace(shift=(0, *found.shift[1:]))

    return windows


def rebuilt(attribute: str, make: Callable) -> Callable:
    """A mistake in the making of the network: it is built again, with the same weights."""

    def spoil(network: VideoSwin, monkeypatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(video_swin.Windows, attribute, make(getattr(video_swin.Windows, attribute)))
            wrong = VideoSwin(network.spec).eval()
        wrong.load_state_dict(network.state_dict())
        monkeypatch.setattr(network, "features", wrong.features)

    return spoil


def sub_block(module: video_swin.WindowAttention) -> Tensor:
    """Places of a smaller window's tokens within the corner of the largest."""
    windows = {128: (8, 4, 4), 32: (8, 2, 2), 392: (8, 7, 7)}
    grid = torch.cartesian_prod(*(torch.arange(side) for side in windows[len(module.places)]))
    return (grid * torch.tensor((169, 13, 1))).sum(dim=1)


def approximate_gelu(network: nn.Module, monkeypatch) -> None:
    monkeypatch.setattr(functional, "gelu", partial(functional.gelu, approximate="tanh"))


def without_parameter(name: str) -> Callable:
    def spoil(network: nn.Module, monkeypatch) -> None:
        monkeypatch.setattr(network.get_parameter(name), "data", torch.zeros_like(network.get_parameter(name)))

    return spoil


def transposed_places(network: TimeSformer, monkeypatch) -> None:
    places = network.places.data
    side = round((places.shape[1] - 1) ** 0.5)
    grid = places[:, 1:].unflatten(1, (side, side)).transpose(1, 2).flatten(1, 2)
    monkeypatch.setattr(network.places, "data", torch.cat((places[:, :1], grid), dim=1))


def without_time(network: TimeSformer, monkeypatch) -> None:
    for block in network.blocks:
        monkeypatch.setattr(block.time_output, "forward", torch.zeros_like)


def without_positions(network: UniFormer, monkeypatch) -> None:
    for block in network.stages[0]:
        monkeypatch.setattr(block.positions, "forward", torch.zeros_like)


TSM_MISTAKES = {
    "direction": Mistake(replace(blocks, "temporal_shift", backwards), 0.05),
    "circular": Mistake(replace(blocks, "temporal_shift", circular), 0.13),
    "quarters": Mistake(each(blocks.Shift, "fraction", 4), 0.16),
    "identity shifted": Mistake(shift_identity_too, 0.76),
}
TIN_MISTAKES = {
    "sign": Mistake(replace(tin, "interlace", lambda plain: lambda groups, offsets: plain(groups, -offsets)), 0.05),
    "rounded": Mistake(
        replace(tin, "interlace", lambda plain: lambda groups, offsets: plain(groups, offsets.round())), 0.07
    ),
    "weights swapped": Mistake(replace(tin.Interlace, "plan", swap_weights), 0.37),
}
SLOWFAST_MISTAKES = {
    "lateral first": Mistake(
        replace(slowfast, "join", lambda _: lambda slow, lateral: torch.cat((lateral, slow), dim=1)), 1.24
    ),
    "slow frames spread": Mistake(evenly_spread, 0.08),
    "slow features first": Mistake(slow_features_first, 1.83),
}
SWIN_MISTAKES = {
    "no mask": Mistake(each(video_swin.WindowAttention, "regions", None), 0.33),
    "no shift in time": Mistake(rebuilt("of", only_in_space), 0.026),
    "distances reversed": Mistake(each(video_swin.WindowAttention, "places", lambda m: -m.places), 0.038, strong=True),
    "geometric places": Mistake(each(video_swin.WindowAttention, "places", sub_block), 0.026, strong=True),
    "tanh GELU": Mistake(approximate_gelu, 5e-4),
}
TIMESFORMER_MISTAKES = {
    "no times": Mistake(without_parameter("times"), 0.12),
    "places transposed": Mistake(transposed_places, 0.055),
    "no attention over time": Mistake(without_time, 2.9),
    "epsilon": Mistake(each(nn.LayerNorm, "eps", 1e-5), 0.004),
}

CASES = [
    Case("tsn_r50", TSN, TSNSpec(size=64), TSNSpec(), 23_614_580, 32.70, BACKBONE),
    Case("tsm_r50", TSM, TSMSpec(size=64), TSMSpec(), 23_614_580, 32.70, BACKBONE, TSM_MISTAKES),
    # The oracle's 32.70, and 0.09 for interlacing, which is a matrix product here.
    Case("tin_r50", TIN, TINSpec(size=64), TINSpec(), 23_645_588, 32.79, BACKBONE, TIN_MISTAKES),
    Case("c3d", C3D, C3DSpec(), C3DSpec(), 78_208_820, 38.55, C3D_TRACES, tolerance=1e-3),
    Case(
        "i3d_r50",
        I3D,
        I3DSpec(size=64),
        I3DSpec(),
        27_330_420,
        33.13,
        BACKBONE | {"backbone.pool2": "pool2"},
        {"no second pooling": Mistake(without("pool2"), 0.33)},
    ),
    Case(
        "slowfast_r50_4x16x1",
        SlowFast,
        SlowFastSpec(size=64),
        SlowFastSpec(),
        33_677_148,
        27.64,
        SLOWFAST,
        SLOWFAST_MISTAKES,
    ),
    Case(
        "slowfast_r50_8x8x1",
        SlowFast,
        SlowFastSpec(slow_length=8, size=64),
        SlowFastSpec(slow_length=8),
        33_763_420,
        50.31,
        SLOWFAST,
    ),
    Case(
        "video_swin_tiny",
        VideoSwin,
        VideoSwinSpec(size=64),
        VideoSwinSpec(),
        27_890_458,
        87.76,
        SWIN_TRACES,
        SWIN_MISTAKES,
    ),
    Case(
        "timesformer_divst",
        TimeSformer,
        TimeSformerSpec(size=64),
        TimeSformerSpec(),
        121_298_740,
        195.83,
        TIMESFORMER_TRACES,
        TIMESFORMER_MISTAKES,
        replaced={"pos_embed": (1, 17, 768)},
    ),
    Case(
        "uniformer_small",
        UniFormer,
        UniFormerSpec(size=64),
        UniFormerSpec(),
        21_221_876,
        41.66,
        UNIFORMER_TRACES,
        {"no positions in the first stage": Mistake(without_positions, 2.0)},
    ),
]
