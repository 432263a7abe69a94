"""MAENet in plain data."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from engines.expressions import NUMBERS
from engines.specs.base import EmotionSpec, Shapes, SpecStruct, View
from engines.specs.landmark_manet import LandmarkMANetSpec
from engines.specs.manet import MANetSpec
from engines.taxonomy import ACTIONS, EMOTIONS, LOWER_LIMB_PARTS

LENGTH: Literal[16] = 16  # T in the paper (section VI-B)
FRAME_STEPS = 4  # landmark steps of a frame


class ExpressionsSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="architecture", tag="expressions"):
    """A face branch that reads expression numbers (`engines.expressions`) in place of pictures."""

    length: Annotated[int, Meta(ge=1, le=64)] = LENGTH  # T
    features: Annotated[int, Meta(ge=8, le=256)] = 48  # d_face


class MAENetSpec(EmotionSpec, SpecStruct, frozen=True, tag="maenet"):
    """A face branch and a micro-action branch, each of them a MANet (MANet paper, section VI, Fig. 7).

    The face branch may read expression numbers instead, which two networks for faces give of each picture, and the
    micro-action branch may be a landmark network: `FRAME_STEPS` landmark steps are a frame then.

    A branch that is None is left out ("Face Branch" and "Micro-Action Branch" alone in Table VI).
    """

    body: MANetSpec | LandmarkMANetSpec | None = MANetSpec(length=LENGTH, embedding=False)  # the micro-action branch
    face: MANetSpec | ExpressionsSpec | None = MANetSpec(length=LENGTH, size=64, embedding=False)
    layers: Annotated[int, Meta(ge=0, le=8)] = 2  # of the transformer encoder behind the micro-action branch
    heads: Annotated[int, Meta(ge=1, le=16)] = 4
    lower_limb: bool = True  # False: without the labels D and G (Table VII)
    emotions: tuple[str, ...] = EMOTIONS

    def __post_init__(self) -> None:
        branches = self.branches
        if not branches:
            raise ValueError("expected a body branch, a face branch or both, got neither")
        if self.steps % FRAME_STEPS:
            raise ValueError(f"expected landmark steps that are a multiple of {FRAME_STEPS}, got {self.steps}")
        lengths = {_length(branch) for branch in branches}
        if len(lengths) > 1:
            raise ValueError(f"expected branches of as many frames, got {sorted(lengths)}")
        drawn = [branch for branch in branches if isinstance(branch, MANetSpec)]
        if any(branch.embedding for branch in drawn):
            raise ValueError("expected branches without the label-embedding head")
        if any(branch.mirrored for branch in drawn):
            raise ValueError("expected branches that are not mirrored")
        if self.body is not None and self.body.features % self.heads:
            raise ValueError(f"expected heads that divide {self.body.features} features, got {self.heads}")
        if self.emotions != EMOTIONS:
            raise ValueError(f"emotions: expected {', '.join(EMOTIONS)}, got {', '.join(self.emotions)}")

    @property
    def branches(self) -> tuple[MANetSpec | LandmarkMANetSpec | ExpressionsSpec, ...]:
        """Those that are there, the body's first."""
        return tuple(branch for branch in (self.body, self.face) if branch is not None)

    @property
    def length(self) -> int:
        """T, frames of an emotion window."""
        return _length(self.branches[0])

    @property
    def picture_size(self) -> int:
        """S, pixels of the body's pictures; 0 without a body branch that sees them."""
        return self.body.size if isinstance(self.body, MANetSpec) else 0

    @property
    def steps(self) -> int:
        """Of a micro-action branch on landmarks."""
        return self.body.steps if isinstance(self.body, LandmarkMANetSpec) else 0

    @property
    def input_dtype(self) -> Literal["uint8", "float32"]:
        """Flags and expression codes are whole numbers, landmarks are not."""
        return "float32" if self.steps else "uint8"

    @property
    def span_s(self) -> float:
        """The landmark network's own; else as `EmotionSpec` has it."""
        return self.body.span_s if isinstance(self.body, LandmarkMANetSpec) else super().span_s

    @property
    def views(self) -> tuple[View, ...]:
        """Landmarks come from one view alone."""
        return ("landmarks",) if self.steps else super().views

    @property
    def face_size(self) -> int:
        """F, pixels of the face's pictures; 0 without a face branch that sees them."""
        return self.face.size if isinstance(self.face, MANetSpec) else 0

    @property
    def reads_expressions(self) -> bool:
        """Whether expression numbers are an input."""
        return isinstance(self.face, ExpressionsSpec)

    @property
    def inputs(self) -> Shapes:
        """Those of `EmotionSpec`; landmark steps in place of a body, codes of expression numbers in place of a face.

        Codes are those of `engines.expressions.encode`.
        """
        shapes = super().inputs
        if isinstance(self.body, LandmarkMANetSpec):
            shapes = self.body.inputs | {"body_seen": (self.length,)} | shapes
        if self.reads_expressions:
            shapes |= {"expressions": (self.length, NUMBERS), "face_seen": (self.length,)}
        return shapes

    @property
    def actions(self) -> tuple[int, ...]:
        """MA-52 indices that the output `actions` speaks of, A of them."""
        return tuple(one.index for one in ACTIONS if self.lower_limb or one.body_part not in LOWER_LIMB_PARTS)

    @property
    def title(self) -> str:
        """For people."""
        sizes = {"body": self.picture_size, "face": self.face_size}
        parts = [f"body {self.steps} landmark steps"] if self.steps else []
        parts += [f"{name} {size} x {size}" for name, size in sizes.items() if size]
        parts += [f"{NUMBERS} expression numbers"] * self.reads_expressions
        depths = [f"-{branch.depth}" for branch in self.branches if isinstance(branch, MANetSpec)]
        return f"MAENet{''.join(depths[:1])}, {self.length} x ({', '.join(parts)})"


def _length(branch: MANetSpec | LandmarkMANetSpec | ExpressionsSpec) -> int:
    """T, frames that a branch gives features of."""
    return branch.steps // FRAME_STEPS if isinstance(branch, LandmarkMANetSpec) else branch.length
