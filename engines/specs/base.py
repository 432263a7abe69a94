"""The contract of specs: a network's tensors, its sampling and its task, whatever it is made of."""

from __future__ import annotations

from abc import ABC, ABCMeta, abstractmethod
from typing import ClassVar, Literal

import msgspec

from engines.specs.sampling import Sampling
from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS

NUM_CLASSES = len(ACTIONS)
NUM_PARTS = len(BODY_PARTS)
NUM_EMOTIONS = len(EMOTIONS)

OFFICIAL_SPAN_S = 1.9  # mean clip of MA-52 (MANet paper, section III-B): 8 frames were spread over this much time

Task = Literal["actions", "emotion"]
View = Literal["rgb", "landmarks"]
Colours = tuple[float, float, float]
Shapes = dict[str, tuple[int, ...]]  # of tensors by name, without the leading N


def next_state(name: str) -> str:
    """Of a state, as the graph gives it back."""
    return f"{name}.next"


class Spec(ABC):
    """A network in plain data. What can be built is a `SpecStruct`, too, with a tag."""

    __slots__ = ()

    task: ClassVar[Task] = "actions"

    @property
    def input_dtype(self) -> Literal["uint8", "float32"]:
        """Of all inputs."""
        return "uint8"

    @property
    @abstractmethod
    def sampling(self) -> Sampling:
        """Frames of a recording that make one input; the live window spreads as many over its span."""

    @property
    @abstractmethod
    def inputs(self) -> Shapes:
        """Tensors that the exported graph takes, of `input_dtype`, in order."""

    @property
    @abstractmethod
    def outputs(self) -> Shapes:
        """float32 tensors that the exported graph gives; the first is checked against a bundle's reference."""

    @property
    def states(self) -> Shapes:
        """float32 tensors that the exported graph hands from frame to frame; none where it sees whole windows.

        All are zeros before the first frame. What comes out is named `next_state(name)`.
        """
        return {}

    @property
    def graph_inputs(self) -> Shapes:
        """What the exported graph takes, in order: `inputs`, or one frame and the states before it."""
        return self.inputs

    @property
    def graph_outputs(self) -> Shapes:
        """What the exported graph gives, in order: `outputs`, and the states after the frame."""
        return self.outputs | {next_state(name): shape for name, shape in self.states.items()}

    @property
    def span_s(self) -> float:
        """Time that an input covers, unless a model was trained with another."""
        return OFFICIAL_SPAN_S

    @property
    def views(self) -> tuple[View, ...]:
        """What it may be shown."""
        return "rgb", "landmarks"

    @property
    def picture_size(self) -> int:
        """S, pixels of the body's pictures; 0 where it takes none."""
        return 0

    @property
    def title(self) -> str:
        """For people: the architecture and its inputs."""
        shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in self.inputs.items())
        return f"{type(self).__name__.removesuffix('Spec')}, {shapes}"


class _SpecMeta(msgspec.StructMeta, ABCMeta):
    """Lets a struct have a contract: one that leaves a part of it out cannot be made."""


class SpecStruct(
    msgspec.Struct, metaclass=_SpecMeta, frozen=True, forbid_unknown_fields=True, tag_field="architecture"
):
    """How every spec is written in a card."""


class VideoSpec(Spec):
    """RGB clips in, 52 logits out."""

    __slots__ = ()

    MEAN: ClassVar[Colours] = (123.675, 116.28, 103.53)  # of a pixel's colours, subtracted: ImageNet's
    STD: ClassVar[Colours] = (58.395, 57.12, 57.375)  # and divided by

    length: int  # T, frames
    size: int  # S, pixels
    num_classes: int

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(T, S, S, 3), the shape of one uint8 clip."""
        return self.length, self.size, self.size, 3

    @property
    def inputs(self) -> Shapes:
        """One clip."""
        return {"clips": self.clip_shape}

    @property
    def outputs(self) -> Shapes:
        """Logits of the clip."""
        return {"logits": (self.num_classes,)}

    @property
    def picture_size(self) -> int:
        """S."""
        return self.size


class LandmarkSpec(Spec):
    """Landmarks of every step of a window in, scores of every step out."""

    __slots__ = ()

    steps: int  # T, at a fixed rate over the window's span
    points: int
    channels: int

    @property
    def input_dtype(self) -> Literal["uint8", "float32"]:
        """Coordinates are no bytes."""
        return "float32"

    @property
    def sampling(self) -> Sampling:
        """Every step."""
        return Sampling(self.steps, "dense")

    @property
    def inputs(self) -> Shapes:
        """One window of landmarks."""
        return {"landmarks": (self.steps, self.points, self.channels)}

    @property
    def outputs(self) -> Shapes:
        """Logits of every step."""
        return {"actions": (self.steps, NUM_CLASSES), "parts": (self.steps, NUM_PARTS)}

    @property
    def views(self) -> tuple[View, ...]:
        """Landmarks alone."""
        return ("landmarks",)


class EmotionSpec(Spec):
    """Body and face in, logits of the emotions out, and of micro-actions where it has `actions`."""

    __slots__ = ()

    task = "emotion"

    @property
    @abstractmethod
    def length(self) -> int:
        """T, frames of an emotion window."""

    @property
    def face_size(self) -> int:
        """F, pixels of the face's pictures; 0 where it takes none."""
        return 0

    @property
    def steps(self) -> int:
        """Landmark steps that the body is read from, `engines.landmarks.steps`; 0 where it is seen in pictures."""
        return 0

    @property
    def body_input(self) -> str:
        """Which input shows the body, where there is one."""
        return "landmarks" if self.steps else "body"

    @property
    def reads_expressions(self) -> bool:
        """Whether expression numbers of the face are an input."""
        return False

    @property
    def actions(self) -> tuple[int, ...]:
        """MA-52 indices that the output `actions` speaks of, A of them."""
        return ()

    @property
    def span_s(self) -> float:
        """Frames as far apart as those of MA-52's clips."""
        return round(OFFICIAL_SPAN_S / 8 * self.length, 6)

    @property
    def sampling(self) -> Sampling:
        """Evenly spread."""
        return Sampling(self.length)

    @property
    def inputs(self) -> Shapes:
        """Pictures and flags.

        `body_seen` and `face_seen` are 1 where the picture shows a body or a face and 0 where it does not; a picture
        with 0 has no influence.
        """
        shapes: Shapes = {}
        for name, size in (("body", self.picture_size), ("face", self.face_size)):
            if size:
                shapes |= {name: (self.length, size, size, 3), f"{name}_seen": (self.length,)}
        return shapes

    @property
    def outputs(self) -> Shapes:
        """Emotions, then micro-actions."""
        emotion: Shapes = {"emotion": (NUM_EMOTIONS,)}
        return emotion | ({"actions": (len(self.actions),)} if self.actions else {})
