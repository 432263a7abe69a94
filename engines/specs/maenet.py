"""MAENet in plain data."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engines.specs.base import EmotionSpec, SpecStruct
from engines.specs.manet import MANetSpec
from engines.taxonomy import ACTIONS, EMOTIONS, LOWER_LIMB_PARTS

LENGTH: Literal[16] = 16  # T in the paper (section VI-B)


class MAENetSpec(EmotionSpec, SpecStruct, frozen=True, tag="maenet"):
    """A face branch and a micro-action branch, each of them a MANet (MANet paper, section VI, Fig. 7).

    A branch that is None is left out ("Face Branch" and "Micro-Action Branch" alone in Table VI).
    """

    body: MANetSpec | None = MANetSpec(length=LENGTH, embedding=False)  # the micro-action branch
    face: MANetSpec | None = MANetSpec(length=LENGTH, size=64, embedding=False)
    layers: Annotated[int, Meta(ge=0, le=8)] = 2  # of the transformer encoder behind the micro-action branch
    heads: Annotated[int, Meta(ge=1, le=16)] = 4
    lower_limb: bool = True  # False: without the labels D and G (Table VII)
    emotions: tuple[str, ...] = EMOTIONS

    def __post_init__(self) -> None:
        branches = self.branches
        if not branches:
            raise ValueError("expected a body branch, a face branch or both, got neither")
        lengths = {branch.length for branch in branches}
        if len(lengths) > 1:
            raise ValueError(f"expected branches of as many frames, got {sorted(lengths)}")
        if any(branch.embedding for branch in branches):
            raise ValueError("expected branches without the label-embedding head")
        if any(branch.mirrored for branch in branches):
            raise ValueError("expected branches that are not mirrored")
        if self.body is not None and self.body.features % self.heads:
            raise ValueError(f"expected heads that divide {self.body.features} features, got {self.heads}")
        if self.emotions != EMOTIONS:
            raise ValueError(f"emotions: expected {', '.join(EMOTIONS)}, got {', '.join(self.emotions)}")

    @property
    def branches(self) -> tuple[MANetSpec, ...]:
        """Those that are there, the body's first."""
        return tuple(branch for branch in (self.body, self.face) if branch is not None)

    @property
    def length(self) -> int:
        """T, frames of an emotion window."""
        return self.branches[0].length

    @property
    def picture_size(self) -> int:
        """S, pixels of the body's pictures; 0 without a body branch."""
        return 0 if self.body is None else self.body.size

    @property
    def face_size(self) -> int:
        """F, pixels of the face's pictures; 0 without a face branch."""
        return 0 if self.face is None else self.face.size

    @property
    def actions(self) -> tuple[int, ...]:
        """MA-52 indices that the output `actions` speaks of, A of them."""
        return tuple(one.index for one in ACTIONS if self.lower_limb or one.body_part not in LOWER_LIMB_PARTS)

    @property
    def title(self) -> str:
        """For people."""
        parts = [
            f"{name} {branch.size} x {branch.size}"
            for name, branch in (("body", self.body), ("face", self.face))
            if branch is not None
        ]
        return f"MAENet-{self.branches[0].depth}, {self.length} x ({', '.join(parts)})"
