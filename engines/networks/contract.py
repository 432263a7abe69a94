"""What a network offers, so that nothing else asks which one it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engines.common.errors import BadInput
from engines.networks.layers import Pixels
from engines.networks.layouts import Layout
from engines.specs.base import EmotionSpec, LandmarkSpec, Spec, VideoSpec

# Of parameters; tables are learnt places and tokens.
Kind = Literal["weights", "biases", "batch_norms", "layer_norms", "tables"]


class OptimiserSettings(Protocol):
    """What a recipe says of a network's parameters. Rates are relative to the recipe's."""

    @property
    def weight_decay(self) -> float: ...

    @property
    def undecayed(self) -> Iterable[Kind]:
        """What does not decay."""

    @property
    def bias_rate(self) -> float:
        """Learning rate of biases."""

    @property
    def head_rate(self) -> float:
        """Learning rate of the last layer; of its bias, `bias_rate` comes on top."""

    @property
    def layer_decay(self) -> float | None:
        """Learning rate of a layer relative to that of the next one."""


class Network(nn.Module):
    """From raw inputs to named outputs: scaling, normalisation, layout and pathways are inside.

    Subclasses set `spec` and have a constructor that takes it alone.
    """

    spec: Spec
    layer_names: tuple[str, ...] = ()  # modules and parameters from the input on, each a layer; the rest is the last
    # Tensors (N, ...) of `spec.inputs`, in order → those of `spec.outputs` by name.
    forward: Callable[..., dict[str, Tensor]]
    # Of a network whose spec has `states`: the next frames (N, ...) and the states before → outputs and states after.
    predict: Callable[..., tuple[dict[str, Tensor], dict[str, Tensor]]]

    @abstractmethod
    def heads(self) -> Mapping[str, nn.Linear]:
        """The last linear layers, by the output that each gives."""

    def last_layer(self) -> nn.Linear:
        """The layer that `head_rate` is for: the last head."""
        return list(self.heads().values())[-1]

    def parameter_groups(self, recipe: OptimiserSettings) -> list[dict[str, Any]]:
        """Groups for an optimiser: parameters of one rate and one decay.

        `scale` is a group's learning rate relative to the recipe's. Raises BadInput: `layer_decay`, and no layers.
        """
        if recipe.layer_decay is not None and not self.layer_names:
            raise BadInput("optimiser.layer_decay of a plain transformer", self.spec.title, "leave it out")
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        last = self.last_layer()
        for name, parameter, module, kind in self._kinds():
            scale = recipe.bias_rate if kind == "biases" else 1.0
            scale *= recipe.head_rate if module is last else 1.0
            scale *= (recipe.layer_decay or 1.0) ** (len(self.layer_names) - self._layer_of(name))
            decay = 0.0 if kind in recipe.undecayed else recipe.weight_decay
            groups.setdefault((scale, decay), []).append(parameter)
        return [
            {"params": parameters, "scale": scale, "weight_decay": decay}
            for (scale, decay), parameters in groups.items()
        ]

    def _kinds(self) -> Iterator[tuple[str, nn.Parameter, nn.Module, Kind]]:
        """Every parameter with its name, its module and its kind."""
        norms: dict[type[nn.Module], Kind] = {_BatchNorm: "batch_norms", nn.LayerNorm: "layer_norms"}
        for prefix, module in self.named_modules():
            kind = next((kind for norm, kind in norms.items() if isinstance(module, norm)), None)
            for name, parameter in module.named_parameters(prefix, recurse=False):
                leaf = name.rpartition(".")[2]
                other: Kind = "biases" if leaf.endswith("bias") else "weights" if "weight" in leaf else "tables"
                yield name, parameter, module, kind or other

    def _layer_of(self, name: str) -> int:
        """Number of the layer of a parameter; behind all layers that of the head."""
        found = (at for at, layer in enumerate(self.layer_names) if name == layer or name.startswith(f"{layer}."))
        return next(found, len(self.layer_names))

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

    moment_layer: str  # the module whose output shows the moments of a clip, see `moments`

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

    def moments(self, output: Any) -> Tensor:
        """What `moment_layer` gives → (N, M, C), features of M moments. Here of maps (N, C, M, H, W)."""
        found: Tensor = output.mean(dim=(3, 4)).transpose(1, 2)
        return found

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
    """Inputs of body and face with flags → logits of emotion (N, 5), and of actions (N, A) if it has them."""

    spec: EmotionSpec
