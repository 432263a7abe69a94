"""The shape of a network, in plain data: a model card states it, `engines.networks` builds it. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engines.preprocess import OFFICIAL_SIZE
from engines.taxonomy import ACTIONS, EMOTIONS, LOWER_LIMB_PARTS

NUM_CLASSES = len(ACTIONS)
NUM_EMOTIONS = len(EMOTIONS)
# T of a MAENet (MANet paper, section VI-B). OpenVINO 2026.4 crashes while it compiles the encoder for 4 or 8 frames.
STRETCH_LENGTH = 16
EMBEDDING_SIZE = 300  # GloVe vectors of the labels (MANet paper, section IV-C)

# ResNet (He et al. 2016, Table 1): residual blocks per stage.
STAGE_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


Shapes = dict[str, tuple[int, ...]]  # of tensors by name, without the leading N


class NetworkSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="architecture", tag="manet"):
    """A MANet: ResNet with squeeze-and-excitation and temporal shift in every residual block.

    The defaults are the official checkpoint (MANet paper, section V-B: T = 8, 224×224, SE ratio 4, shift 1/8).
    """

    depth: Literal[18, 34, 50] = 50
    width: Annotated[int, Meta(ge=8, le=128, multiple_of=8)] = 64  # channels of the stem; 64 in ResNet
    length: Literal[4, 8, 16] = 8  # T, frames per clip (MANet paper, Table III)
    size: Annotated[int, Meta(ge=32, le=512)] = OFFICIAL_SIZE  # S, pixels
    # Channels per squeezed channel; 0: without squeeze-and-excitation (MANet paper, Table V, "w/o SE").
    se_ratio: Annotated[int, Meta(ge=0, le=16)] = 4
    shift_fraction: Annotated[int, Meta(ge=2, le=64)] = 8  # one in this many channels is shifted, each way
    embedding: bool = True  # has the label-embedding head
    num_classes: Annotated[int, Meta(ge=NUM_CLASSES, le=NUM_CLASSES)] = NUM_CLASSES
    # The exported graph's scores are the mean of those of a landmark drawing and of its mirror image; same weights.
    # A card leaves it out where it is not so, and older cards stay as they were sealed.
    mirrored: Literal[True] | UnsetType = UNSET

    @property
    def bottleneck(self) -> bool:
        """Bottleneck blocks (depth 50) or basic blocks (18, 34)."""
        return self.depth >= 50

    @property
    def expansion(self) -> int:
        """Output channels of a block per base channel (He et al. 2016)."""
        return 4 if self.bottleneck else 1

    @property
    def features(self) -> int:
        """Channels that reach the head: 2048 for the official network."""
        return self.width * 8 * self.expansion

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(T, S, S, 3), the shape of one uint8 input clip."""
        return self.length, self.size, self.size, 3

    @property
    def inputs(self) -> Shapes:
        """uint8 tensors that the exported graph takes."""
        return {"clips": self.clip_shape}

    @property
    def outputs(self) -> Shapes:
        """float32 tensors that the exported graph gives; the first is checked against a bundle's reference."""
        heads: Shapes = {"logits": (self.num_classes,)}
        return heads | ({"embedding": (EMBEDDING_SIZE,)} if self.embedding else {})


class EmotionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="architecture", tag="maenet"):
    """A MAENet (MANet paper, section VI, Fig. 7): a face branch and a micro-action branch, each of them a MANet.

    A branch that is None is left out ("Face Branch" and "Micro-Action Branch" alone in Table VI).
    """

    body: NetworkSpec | None  # the micro-action branch
    face: NetworkSpec | None
    layers: Annotated[int, Meta(ge=0, le=8)] = 2  # of the transformer encoder behind the micro-action branch
    heads: Annotated[int, Meta(ge=1, le=16)] = 4
    lower_limb: bool = True  # False: without the labels D and G (Table VII)
    emotions: tuple[str, ...] = EMOTIONS

    def __post_init__(self) -> None:
        branches = self.branches
        if not branches:
            raise ValueError("expected a body branch, a face branch or both, got neither")
        lengths = {branch.length for branch in branches}
        if lengths != {STRETCH_LENGTH}:
            raise ValueError(f"expected branches of {STRETCH_LENGTH} frames, got {sorted(lengths)}")
        if any(branch.embedding for branch in branches):
            raise ValueError("expected branches without the label-embedding head")
        if any(branch.mirrored for branch in branches):
            raise ValueError("expected branches that are not mirrored")
        if self.body is not None and self.body.features % self.heads:
            raise ValueError(f"expected heads that divide {self.body.features} features, got {self.heads}")
        if self.emotions != EMOTIONS:
            raise ValueError(f"emotions: expected {', '.join(EMOTIONS)}, got {', '.join(self.emotions)}")

    @property
    def branches(self) -> tuple[NetworkSpec, ...]:
        """Those that are there, the body's first."""
        return tuple(branch for branch in (self.body, self.face) if branch is not None)

    @property
    def length(self) -> int:
        """T, frames per stretch."""
        return self.branches[0].length

    @property
    def size(self) -> int:
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
    def inputs(self) -> Shapes:
        """uint8 tensors that the exported graph takes.

        `body_seen` and `face_seen` are 1 where the picture shows a body or a face and 0 where it does not; a picture
        with 0 has no influence.
        """
        shapes: Shapes = {}
        for name, branch in (("body", self.body), ("face", self.face)):
            if branch is not None:
                shapes |= {name: branch.clip_shape, f"{name}_seen": (branch.length,)}
        return shapes

    @property
    def outputs(self) -> Shapes:
        """float32 tensors that the exported graph gives; the first is checked against a bundle's reference."""
        return {"emotion": (NUM_EMOTIONS,), "actions": (len(self.actions),)}


AnySpec = NetworkSpec | EmotionSpec
