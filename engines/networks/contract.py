"""What a network offers, so that nothing else asks which one it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engines.networks.layers import Pixels
from engines.networks.layouts import Layout
from engines.specs.base import EmotionSpec, LandmarkSpec, Spec, VideoSpec


class OptimiserSettings(Protocol):
    """What a recipe says of a network's parameters."""

    @property
    def weight_decay(self) -> float: ...

    @property
    def decay_all(self) -> bool:
        """Biases and norms decay, too."""

    @property
    def bias_rate(self) -> float:
        """Learning rate of biases relative to the recipe's."""


class Network(nn.Module):
    """From raw inputs to named outputs: scaling, normalisation, layout and pathways are inside.

    Subclasses set `spec` and have a constructor that takes it alone.
    """

    spec: Spec
    # Tensors (N, ...) of `spec.inputs`, in order → those of `spec.outputs` by name.
    forward: Callable[..., dict[str, Tensor]]
    # Of a network whose spec has `states`: the next frames (N, ...) and the states before → outputs and states after.
    predict: Callable[..., tuple[dict[str, Tensor], dict[str, Tensor]]]

    @abstractmethod
    def heads(self) -> Mapping[str, nn.Linear]:
        """The last linear layers, by the output that each gives."""

    def parameter_groups(self, recipe: OptimiserSettings) -> list[dict[str, Any]]:
        """Groups for an optimiser: weights, biases of other layers than norms, batch norms.

        `scale` is a group's learning rate relative to the recipe's.
        """
        weights: list[nn.Parameter] = []
        biases: list[nn.Parameter] = []
        norms: list[nn.Parameter] = []
        for module in self.modules():
            for name, parameter in module.named_parameters(recurse=False):
                kind = norms if isinstance(module, _BatchNorm) else biases if name == "bias" else weights
                kind.append(parameter)
        decay = recipe.weight_decay if recipe.decay_all else 0.0
        return [
            {"params": weights, "scale": 1.0, "weight_decay": recipe.weight_decay},
            {"params": biases, "scale": recipe.bias_rate, "weight_decay": decay},
            {"params": norms, "scale": 1.0, "weight_decay": decay},
        ]

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """Layouts of published checkpoints by name."""
        return {}

    def unused_tensors(self, layout: str) -> dict[str, Tensor]:  # noqa: ARG002 - of no published layout
        """Tensors of a layout that no forward pass uses, by its names: a checkpoint for others has them, too."""
        return {}

    def published_temperature(self, layout: str) -> tuple[float, str]:  # noqa: ARG002 - none is known
        """Of a checkpoint in a layout: the temperature that makes it honest, and what that rests on."""
        return 1.0, "none: raw softmax"

    def keep_fp32(self) -> tuple[str, ...]:
        """Modules, as `named_modules` has them, that fp16 and INT8 leave alone: the heads, unless there is more."""
        heads = {id(head) for head in self.heads().values()}
        return tuple(name for name, module in self.named_modules() if id(module) in heads)


class VideoNetwork(Network):
    """uint8 clips to logits.

    Args:
        spec: what to build.
        width: C, features that reach the classifier.
        dropout: of the features, in training.
        std: of the classifier's initial weights.
    """

    def __init__(self, spec: VideoSpec, width: int, dropout: float, std: float = 0.01) -> None:
        super().__init__()
        self.spec: VideoSpec = spec
        self.pixels = Pixels(spec.MEAN, spec.STD)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, spec.num_classes)
        nn.init.normal_(self.classifier.weight, std=std)
        nn.init.zeros_(self.classifier.bias)

    @abstractmethod
    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C), the input of the classifier."""

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """uint8 RGB (N, T, S, S, 3) → logits (N, 52)."""
        return {"logits": self.classifier(self.dropout(self.features(clips)))}

    def heads(self) -> Mapping[str, nn.Linear]:
        """The classifier."""
        return {"logits": self.classifier}


class LandmarkNetwork(Network):
    """float32 landmarks (N, T, points, channels) → actions (N, T, 52) and parts (N, T, 7), logits of every step."""

    spec: LandmarkSpec


class EmotionNetwork(Network):
    """uint8 pictures of body and face with flags → logits of emotion (N, 5), and of actions (N, A) if it has them."""

    spec: EmotionSpec
