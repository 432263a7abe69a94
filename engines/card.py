"""The model card: what a bundle is, where its weights come from and what it is for. Plain data, strictly checked."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from engines.common.errors import BadInput
from engines.networks.registry import read_spec
from engines.specs.base import NUM_CLASSES, OFFICIAL_SPAN_S, EmotionSpec, Spec, Task, View
from engines.taxonomy import ACTIONS, BODY_PARTS

LABELS = tuple(action.name for action in ACTIONS)
DRAWING = 2  # of `engines.landmarks.drawing`: weights know the drawings that they have learnt from, and no others
RESEARCH_USE = (
    "Research on micro-actions of one seated person. Not for judging people at work, in education or in job interviews."
)

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Thresholds = Probability | tuple[Probability, ...] | None  # one for all, one per action, or the program's default
Duration = Annotated[float, Meta(ge=0.0, le=30.0)]
Durations = Duration | tuple[Duration, ...] | None  # s; one for all, one per class, or the program's default
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
MOST_LETTERS = 500
Line = Annotated[str, Meta(max_length=MOST_LETTERS, pattern=r"^[^\n\r\x00-\x1f]*\Z")]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"


_MODELS: dict[Task, str] = {"actions": "a micro-action model", "emotion": "an emotion model"}


class Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the card's parts."""


class PartCalibration(Plain, frozen=True):
    """The same for the 7 body parts: a model with these gives events of two levels, a part and its action."""

    # probabilities = sigmoid(logits / temperature), where the network scores parts
    temperature: Annotated[float, Meta(ge=0.01, le=100.0)] = 1.0
    enter: Thresholds = None
    exit: Thresholds = None
    min_duration_s: Durations = None

    def __post_init__(self) -> None:
        _check_levels(self, BODY_PARTS)


class Calibration(Plain, frozen=True):
    """How logits become probabilities, and probabilities become events. Of a MAENet: of its emotions."""

    # softmax: one action at a time (MA-52 clips). sigmoid: each action by itself, so that several may run, or none.
    activation: Literal["softmax", "sigmoid"] = "softmax"
    temperature: Annotated[float, Meta(ge=0.01, le=100.0)] = 1.0  # probabilities = activation(logits / temperature)
    enter: Thresholds = None  # posterior that starts an event
    exit: Thresholds = None  # posterior below which it ends
    basis: Line = "none: raw softmax"  # what the numbers rest on
    # of emotion models: evidence of a second of video for the rolling estimate (events/emotion.py)
    counts_per_s: Annotated[float, Meta(ge=0.01, le=100.0)] | msgspec.UnsetType = msgspec.UNSET

    min_duration_s: Durations | msgspec.UnsetType = msgspec.UNSET  # events that are shorter are retracted
    parts: PartCalibration | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        _check_levels(self, LABELS)


def _check_levels(levels: Calibration | PartCalibration, names: tuple[str, ...]) -> None:
    """Raises ValueError unless there is one value for all classes or one for each, and no exit above its enter."""
    for name in ("enter", "exit", "min_duration_s"):
        value = getattr(levels, name)
        if isinstance(value, tuple) and len(value) != len(names):
            raise ValueError(f"{name} needs one value or {len(names)}, got {len(value)}")
    if levels.enter is None or levels.exit is None:
        return
    pairs = zip(_per_class(levels.enter, len(names)), _per_class(levels.exit, len(names)), strict=True)
    for index, (enter, leave) in enumerate(pairs):
        if leave > enter:
            raise ValueError(f"exit ({leave:g}) is above enter ({enter:g}) for {names[index]}")


def _per_class(value: float | tuple[float, ...], count: int) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * count


class Parity(Plain, frozen=True):
    """How near a runtime must come to the reference logits: max|difference| <= relative_tolerance · max|reference|."""

    relative_tolerance: Annotated[float, Meta(gt=0.0, le=0.5)] = 1e-3


class Provenance(Plain, frozen=True):
    """Where the weights come from. `trained` stays False in everything derived from an untrained bundle."""

    trained: bool
    trained_on: Line
    seed: int | None = None  # of an untrained initialisation
    source: Line = ""  # file name alone
    source_sha256: Digest | None = None
    made_with: Line = ""  # command and versions, without paths
    # Of a training run: what its weights follow from.
    recipe_sha256: Digest | msgspec.UnsetType = msgspec.UNSET
    data_sha256: Digest | msgspec.UnsetType = msgspec.UNSET
    revision: Line | msgspec.UnsetType = msgspec.UNSET  # of the program

    def __post_init__(self) -> None:
        if re.search(r"[/\\]", self.source):
            raise ValueError(f"source must be a file name without folders, got {self.source}")


class ModelCard(Plain, frozen=True):
    """The content of `card.json`. `drawing`, `files` and `seal` are filled in when the bundle is written."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    network: Spec
    provenance: Provenance
    intended_use: Line
    view: View = "rgb"
    drawing: Annotated[int, Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET  # of the landmarks view; earlier cards: 1
    precision: Literal["fp32", "fp16", "int8"] = "fp32"  # of model.onnx
    span_s: Annotated[float, Meta(ge=0.1, le=30.0)] = OFFICIAL_SPAN_S  # time covered by the T frames
    labels: tuple[str, ...] = LABELS
    calibration: Calibration = Calibration()
    parity: Parity = Parity()
    format: Literal[1] = 1
    files: dict[str, Digest] = {}  # file name -> SHA-256
    seal: str = ""  # SHA-256 of this card without the seal

    def __post_init__(self) -> None:
        if self.view not in self.network.views:
            raise ValueError(f"view: expected one that the network sees ({', '.join(self.network.views)})")
        if self.labels == LABELS:
            return
        if len(self.labels) != NUM_CLASSES:
            raise ValueError(f"labels: expected the {NUM_CLASSES} MA-52 names, got {len(self.labels)}")
        index = next(i for i, (mine, theirs) in enumerate(zip(LABELS, self.labels, strict=True)) if mine != theirs)
        raise ValueError(f"labels: expected {LABELS[index]!r} at index {index}, got {self.labels[index]!r}")

    @property
    def task(self) -> Task:
        """What its scores are of."""
        return self.network.task

    @property
    def length(self) -> int:
        """T, frames per window."""
        return self.network.sampling.frames

    @property
    def size(self) -> int:
        """S, pixels of the body's pictures; 0 where it takes none."""
        return self.network.picture_size

    @property
    def emotion(self) -> EmotionSpec:
        """The network of an emotion model. Raises BadInput: it is none."""
        self.need("emotion")
        return cast(EmotionSpec, self.network)

    @property
    def pixel_faces(self) -> int:
        """F, pixels of the faces that an emotion model reads itself; 0: they are read as expression numbers."""
        return self.emotion.face_size if self.view == "rgb" else 0

    def sees_body_of(self, actions: ModelCard) -> bool:
        """Whether this emotion model takes the body's pictures or landmarks that a micro-action model's view makes."""
        size = self.emotion.picture_size
        fits = bool(self.emotion.steps) or (bool(size) and actions.size in (0, size))
        return self.view == actions.view and fits

    def need(self, task: Task) -> None:
        """Raises BadInput unless the model is for this task."""
        if self.task != task:
            wanted, got = (_MODELS[task], _MODELS[self.task])
            raise BadInput(wanted, f"{self.name}, {got}", "choose another")

    @property
    def trained(self) -> bool:
        """False: the scores exercise the program and mean nothing."""
        return self.provenance.trained

    def sealed(self, files: dict[str, str]) -> ModelCard:
        """The card with its files' digests, the drawing that its model is shown, and its own seal."""
        drawing = DRAWING if self.view == "landmarks" else msgspec.UNSET
        unsealed = msgspec.structs.replace(self, drawing=drawing, files=files, seal="")
        return msgspec.structs.replace(unsealed, seal=unsealed.digest())

    def digest(self) -> str:
        """SHA-256 of the canonical card without its seal."""
        return hashlib.sha256(to_json(msgspec.structs.replace(self, seal=""))).hexdigest()


def to_json(card: ModelCard) -> bytes:
    """The one canonical spelling of a card; a file spelt otherwise has been changed."""
    return msgspec.json.format(msgspec.json.encode(card, order="deterministic"), indent=2) + b"\n"


def from_json(data: bytes) -> ModelCard:
    """Read a card.

    Raises:
        ValueError: not JSON, an unknown or missing field, a value out of bounds, labels that are not MA-52's
            (`msgspec.ValidationError` and `msgspec.DecodeError` are ValueErrors).
    """
    return msgspec.json.decode(data, type=ModelCard, dec_hook=_network)


def _network(_: type, fields: object) -> Spec:  # the only type of the card that msgspec does not know
    try:
        return read_spec(fields)
    except msgspec.ValidationError as error:
        raise ValueError(f"network: {error}") from None
