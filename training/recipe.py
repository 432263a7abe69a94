"""Recipes: everything that decides a training run, as a TOML file that is checked to the last key.

name = "manet-paper"            # of the bundle
task = "clips"                  # see `training.tasks`
[network]                       # architecture = "..." and its settings, sampling among them
[start]                         # a model whose weights it starts from
[data] [losses]                 # the task's own
[optimiser]                     # epochs, batch size, rates, schedule, averaging
[[curriculum]]                  # data settings that change after so many epochs
[selection] [calibration]       # which epoch's weights; what is fitted afterwards
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from engines.card import NAME_PATTERN
from engines.common.errors import BadInput
from engines.networks.contract import Kind
from engines.networks.registry import read_spec
from engines.specs.base import Spec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).parent / "recipes"
Positive = Annotated[float, Meta(gt=0.0)]
Share = Annotated[float, Meta(ge=0.0, lt=1.0)]
Count = Annotated[int, Meta(ge=1)]
Settings = TypeVar("Settings", bound=msgspec.Struct)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of a recipe's parts: unknown keys fail."""


class Optimiser(Strict, frozen=True):
    """How the weights move."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive  # the highest, in a one-cycle schedule
    kind: Literal["sgd", "adamw"] = "adamw"
    momentum: Share = 0.9  # of SGD
    nesterov: bool = False  # of SGD
    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.0
    undecayed: tuple[Kind, ...] = ("biases", "batch_norms")  # parameters without weight decay
    bias_rate: Positive = 1.0  # learning rate of biases, relative
    head_rate: Positive = 1.0  # learning rate of the last layer, relative; of its bias, bias_rate comes on top
    layer_decay: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None  # a layer's rate relative to the next one's
    schedule: Literal["constant", "steps", "one_cycle", "cosine"] = "one_cycle"
    milestones: tuple[Count, ...] = ()  # of "steps": epochs after which the rate is divided by 10
    warm_up: Annotated[float, Meta(ge=0.0)] = 0.0  # of "steps" and "cosine": epochs in which the rate rises to its own
    clip_norm: Positive | None = None  # largest norm of the gradient
    dropout: Share | None = None  # instead of the network's own
    mixed_precision: bool = False  # bfloat16 autocast of the network, float32 losses and weights
    average: Share | None = None  # decay of an exponential moving average of the weights, which is then what is kept


class Selection(Strict, frozen=True):
    """Which epoch's weights are kept."""

    keep: Literal["last", "best"] = "last"
    score: str | None = None  # of the validation, the highest is best

    def __post_init__(self) -> None:
        if (self.keep == "best") != (self.score is not None):
            raise ValueError('a score with keep = "best", and with it alone')


class Stage(Strict, frozen=True):
    """Data settings from an epoch on."""

    from_epoch: Count  # epochs done before it
    data: dict[str, Any]


class Start(Strict, frozen=True):
    """The first weights, where they are not random: those of a model of ours, or of a published checkpoint."""

    model: str | None = None  # bundle (name or folder) or state.pt
    checkpoint: str | None = None  # file inside the data's folder, in a layout that the network knows
    part: str | None = None  # of the network that takes a model's; without: all of it
    freeze: bool = False  # they stay as they are

    def __post_init__(self) -> None:
        if (self.model is None) == (self.checkpoint is None):
            raise ValueError("a model or a checkpoint to start from")
        if self.checkpoint is not None and (self.part is not None or self.freeze):
            raise ValueError("part and freeze of a model, not of a checkpoint")

    @property
    def name(self) -> str:
        """Without folders."""
        return Path(self.model or self.checkpoint or "").name


class Recipe(Strict, frozen=True):
    """One training run; a task checks `data`, `losses` and `calibration` (see `part`)."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    task: str
    network: dict[str, Any]
    optimiser: Optimiser
    seed: Annotated[int, Meta(ge=0)] = 0
    start: Start | None = None
    data: dict[str, Any] = {}
    losses: dict[str, Any] = {}
    curriculum: tuple[Stage, ...] = ()
    selection: Selection = Selection()
    calibration: dict[str, Any] | None = None  # without: none

    @property
    def spec(self) -> Spec:
        """The network. Raises BadInput: none can be built."""
        try:
            return read_spec(self.network)
        except (msgspec.ValidationError, ValueError) as error:
            raise BadInput(
                f"a network that can be built in recipe {self.name}", str(error), "change [network]"
            ) from None

    @property
    def folder(self) -> Path:
        """Of the data."""
        return Path(self.data.get("folder", "."))

    @property
    def digest(self) -> str:
        """SHA-256 of the whole recipe in its canonical spelling."""
        return hashlib.sha256(msgspec.json.encode(self._without_folder(), order="sorted")).hexdigest()

    def part(self, key: str, kind: type[Settings], fields: Mapping[str, Any]) -> Settings:
        """A part of the recipe that its task knows. Raises BadInput: an unknown key or a value out of bounds."""
        return _convert(fields, kind, f"[{key}] of recipe {self.name}")

    def stages(self, kind: type[Settings]) -> list[tuple[int, Settings]]:
        """`data` from each epoch on at which it changes, from 0."""
        fields, found = dict(self.data), [(0, self.part("data", kind, self.data))]
        for stage in self.curriculum:
            if stage.from_epoch <= found[-1][0]:
                raise BadInput("[[curriculum]] in the order of from_epoch", str(stage.from_epoch), "change the recipe")
            fields |= stage.data
            found.append((stage.from_epoch, self.part("curriculum", kind, fields)))
        return found

    def identity(self) -> dict[str, Any]:
        """Every setting that decides the weights, flat: a run resumes only with the same."""
        return dict(_flat("", msgspec.to_builtins(msgspec.structs.replace(self._without_folder(), calibration=None))))

    def _without_folder(self) -> Recipe:
        """Where the data lies decides nothing."""
        return msgspec.structs.replace(self, data={name: one for name, one in self.data.items() if name != "folder"})


def read_recipe(recipe: str, settings: Iterable[str] = (), data: Path | None = None) -> Recipe:
    """A recipe by the name of a shipped one, or by its file.

    Args:
        recipe: name or path.
        settings: changes, `key.key=value`, values as in TOML; a bare word is a text.
        data: folder of the data, `data.folder`.

    Raises:
        BadInput: no such recipe, not TOML, an unknown key, a value out of bounds.
    """
    path = Path(recipe)
    if path.suffix != ".toml":
        path = SHIPPED / f"{recipe}.toml"
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(shipped())
        raise BadInput("a recipe", f"{recipe!r} ({error.strerror})", f"give a .toml file, or one of {known}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput("a recipe in TOML", f"{path} ({error})", "correct that line") from None
    for setting in settings:
        _set(fields, setting)
    if data is not None:
        fields.setdefault("data", {})["folder"] = str(data)
    made = _convert(fields, Recipe, f"recipe {path.name}")
    _ = made.spec
    return made


def shipped() -> list[str]:
    """Names of the recipes that come with the project: `tsn`, `small/tsn`."""
    return sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.rglob("*.toml"))


def _convert(fields: Mapping[str, Any], kind: type[Settings], what: str) -> Settings:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        keys = ", ".join(kind.__struct_fields__)
        raise BadInput(f"a valid {what}", str(error), f"its keys are {keys}") from None


def _set(fields: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    *path, last = key.strip().split(".")
    place: Any = fields
    for part in path:
        place = place.setdefault(part, {}) if isinstance(place, dict) else None
    if not equals or not last or not isinstance(place, dict):
        raise BadInput("--set KEY.KEY=VALUE", repr(setting), "give optimiser.epochs=2, for instance")
    if text.strip() == "null":  # TOML has no word for it
        place[last] = None
        return
    try:
        place[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        place[last] = text


def _flat(prefix: str, fields: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(fields, dict):
        yield prefix.removesuffix("."), fields
        return
    for name, value in fields.items():
        yield from _flat(f"{prefix}{name}.", value)
