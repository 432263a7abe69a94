"""Other people's checkpoints: where they keep our weights, and how these are read into a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engines.common.errors import BadInput

HEAD = r"^(classifier|emotion|actions)\."
COUNTER = ".num_batches_tracked"  # matters to training alone
WRONG_NETWORK = "give a checkpoint of this network, or another with --network"

Renames = tuple[tuple[str, str], ...]  # regular expression and replacement, applied in turn
Finish = Callable[[dict[str, Tensor]], None]  # what is to be changed in our weights at the end, in place
Adapt = Callable[[str, Tensor, torch.Size], Tensor]  # our name, their tensor, our shape → ours, or theirs unchanged


def inflate(_: str, theirs: Tensor, shape: torch.Size) -> Tensor:
    """A 2-D kernel for a 3-D one: repeated over time, divided by its length (Carreira and Zisserman 2017)."""
    if len(shape) == theirs.ndim + 1 == 5:
        return theirs[:, :, None].repeat(1, 1, shape[2], 1, 1) / shape[2]
    return theirs


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of another project for our weights."""

    renames: Renames  # our name → theirs; "{a,b}" in it: theirs with a and with b, one above the other
    fresh: str = r"(?!)"  # our weights that their network lacks: they stay as they are
    unused: str = r"^data_preprocessor\."  # tensors of theirs that no forward pass needs
    adapt: Adapt = inflate
    finish: Finish | None = None

    def theirs(self, name: str) -> list[str]:
        """Their names of our weight: one, or those whose rows it is made of."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        start, brace, rest = name.partition("{")
        parts, _, end = rest.partition("}")
        return [start + part + end for part in parts.split(",")] if brace else [name]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of reading a checkpoint."""

    count: int  # tensors read
    fresh: tuple[str, ...] = ()  # our weights that stayed as they were
    foreign_head: str = ""  # their classifier of other classes, left out: its name and shape


@dataclass(slots=True)
class _Reader:
    """One pass over our weights."""

    layout: Layout
    weights: Mapping[str, Tensor]
    taken: dict[str, Tensor] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    fresh: list[str] = field(default_factory=list)
    foreign: str = ""

    def read(self, name: str, ours: Tensor) -> None:
        """Take their tensor for our weight, or leave ours as it is."""
        theirs = self.layout.theirs(name)
        missing = [key for key in theirs if key not in self.weights]
        if missing and not (name.endswith(COUNTER) or re.search(self.layout.fresh, name)):
            raise BadInput(f"{missing[0]}, of {tuple(ours.shape)}", "a checkpoint without it", WRONG_NETWORK)
        if missing:
            self.fresh.append(name)
            return
        self.used.update(theirs)
        found = self.weights[theirs[0]] if len(theirs) == 1 else torch.cat([self.weights[key] for key in theirs])
        adapted = self.layout.adapt(name, found, ours.shape)
        if adapted.shape == ours.shape:
            self.taken[name] = adapted
        elif re.match(HEAD, name):
            self.foreign = self.foreign or f"{theirs[0]} {tuple(found.shape)}"
            self.fresh.append(name)
        else:
            raise BadInput(f"{theirs[0]} {tuple(ours.shape)}", str(tuple(found.shape)), WRONG_NETWORK)


def load_pretrained(network: nn.Module, weights: Mapping[str, Tensor], layout: Layout) -> Loaded:
    """Read a checkpoint's tensors into a network, in place; its foreign classifier is left out.

    Raises:
        BadInput: the first tensor that is missing, of another shape, or not of this network.
    """
    reader = _Reader(layout, weights)
    for name, ours in network.state_dict().items():
        reader.read(name, ours)
    for name in weights:
        if name not in reader.used and not re.search(layout.unused, name) and not name.endswith(COUNTER):
            raise BadInput("only tensors of this network", f"{name} {tuple(weights[name].shape)}", WRONG_NETWORK)
    if layout.finish:
        layout.finish(reader.taken)
    network.load_state_dict(reader.taken, strict=False)
    fresh = tuple(name for name in reader.fresh if not name.endswith(COUNTER))
    return Loaded(len(reader.taken), fresh, reader.foreign)


def best_layout(network: nn.Module, weights: Mapping[str, Tensor], layouts: Mapping[str, Layout]) -> str:
    """The name of the layout that most of a checkpoint's tensors fit."""
    names = list(network.state_dict())
    return max(layouts, key=lambda one: sum(weights.keys() >= set(layouts[one].theirs(name)) for name in names))


def mmaction2(*renames: tuple[str, str], fresh: str = r"(?!)", unused: str = r"^data_preprocessor\.") -> Layout:
    """A layout of mmaction2, 0.x and 1.x alike; `renames` come first."""
    return Layout((*renames, (r"^classifier\.", "cls_head.fc_cls.")), fresh, unused)


RESNET: Renames = ((r"^backbone\.stem\.", "backbone.conv1."),)  # of mmaction2, behind its first convolution


def torchvision(fresh: str = "") -> Layout:
    """torchvision's ResNet with ImageNet's classes; a 3-D network's kernels are inflated."""
    return Layout(
        (
            (r"^backbone\.stem\.(conv|bn)\.", r"\g<1>1."),
            (r"^backbone\.", ""),
            (r"\.(conv)(\d)\.conv\.", r".\1\2."),
            (r"\.conv(\d)\.bn\.", r".bn\1."),
            (r"\.downsample\.conv\.", ".downsample.0."),
            (r"\.downsample\.bn\.", ".downsample.1."),
            (r"^classifier\.", "fc."),
        ),
        fresh or r"(?!)",
    )
