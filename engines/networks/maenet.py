"""MAENet: emotion and micro-actions of a span of video from its face and its body (MANet paper, section VI, Fig. 7).

    face  ─► MANet ──────────────────────────► X_face (T, d_face) ─┐
    body  ─► MANet ─► transformer encoder ───► X_act  (T, d_act) ──┴► mean over time ─► FC ─► E, 5 emotions
                                                   └────────────────► mean over time ─► FC ─► A, micro-actions

In place of the face's MANet, a branch may read expression numbers of each frame: two convolutions over
time give X_face. In place of the body's, a landmark network may read landmark steps: the mean of its features over the
steps of a frame goes to the encoder.

The paper does not say how a missing face is met. Here every frame of either branch has a flag: an unseen frame's pixels
are replaced by zeros, the encoder does not attend to it, and the mean is over the seen frames alone. With every frame
seen this is Eq. 7; a branch without any frame gives the zero vector.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.expressions import NUMBERS, STEPS, ZERO
from engines.networks.contract import EmotionNetwork
from engines.networks.landmark_manet import LandmarkBlocks
from engines.networks.layers import Pixels, SelfAttention
from engines.networks.manet import mixer
from engines.networks.registry import register
from engines.networks.resnet2d import ResNet2d
from engines.specs.base import NUM_EMOTIONS
from engines.specs.landmark_manet import LandmarkMANetSpec
from engines.specs.maenet import FRAME_STEPS, ExpressionsSpec, MAENetSpec
from engines.specs.manet import MANetSpec

ENCODER_DROPOUT = 0.1  # Vaswani et al. 2017, section 5.4
HEAD_DROPOUT = 0.5  # as MANet
FEED_FORWARD = 4  # hidden units of the encoder per feature (Vaswani et al. 2017, Table 3)
KERNEL = 3  # frames that a convolution over expression numbers spans
SCALE = 4.0  # of these numbers, about their standard deviation
NEVER = 1e4  # subtracted from the scores of unseen frames: its exponential is 0, and fp16 holds it


class EncoderLayer(nn.Module):
    """Self-attention over time, then a feed-forward network (Vaswani et al. 2017, section 3.1).

    Layer norm comes first in each (Xiong et al. 2020): it trains without a long warm-up.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(features)
        self.attention = SelfAttention(features, heads)
        self.feed_norm = nn.LayerNorm(features)
        self.hidden = nn.Linear(features, FEED_FORWARD * features)
        self.output = nn.Linear(FEED_FORWARD * features, features)
        self.dropout = nn.Dropout(ENCODER_DROPOUT)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(N, T, d) and flags (N, T) → (N, T, d)."""
        unseen = -NEVER * (1.0 - seen)[:, None, None, :]
        x = x + self.dropout(self.attention(self.attention_norm(x), unseen))
        hidden = functional.relu(self.hidden(self.feed_norm(x)))
        fed: Tensor = x + self.dropout(self.output(hidden))
        return fed


class Encoder(nn.Module):
    """Learnt places in time, layers, a last norm."""

    def __init__(self, features: int, length: int, layers: int, heads: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(length, features) * 0.02)
        self.layers = nn.ModuleList([EncoderLayer(features, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(features)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(N, T, d) and flags (N, T) → (N, T, d)."""
        x = x + self.places
        for layer in self.layers:
            x = layer(x, seen)
        normed: Tensor = self.norm(x)
        return normed


class Branch(ResNet2d):
    """A MANet without its heads: uint8 pictures to features of every frame."""

    def __init__(self, spec: MANetSpec) -> None:
        super().__init__(spec.depth, spec.width, mixer(spec))
        self.pixels = Pixels(spec.MEAN, spec.STD)

    def frame_features(self, pictures: Tensor, seen: Tensor) -> Tensor:
        """uint8 (N, T, S, S, 3) and flags (N, T) → (N, T, d)."""
        frames = self.pixels(pictures) * seen[:, :, None, None, None]
        features: Tensor = self(frames.flatten(0, 1)).mean(dim=(2, 3))
        return features.reshape(*seen.shape, self.outputs)


class LandmarkBranch(LandmarkBlocks):
    """A landmark network without its heads: landmark steps to features of every frame."""

    def frame_features(self, landmarks: Tensor, seen: Tensor) -> Tensor:
        """(N, T · FRAME_STEPS, points, channels) and flags (N, T) → (N, T, d)."""
        shown = seen.repeat_interleave(FRAME_STEPS, dim=1)[:, :, None, None]
        steps = self.step_features(self.features(landmarks * shown))
        return steps.reshape(*seen.shape, FRAME_STEPS, -1).mean(dim=2)


class ExpressionBranch(nn.Module):
    """Expression numbers to features of every frame, from it and its neighbours in time."""

    def __init__(self, spec: ExpressionsSpec) -> None:
        super().__init__()
        self.first = nn.Conv1d(NUMBERS + 1, spec.features, KERNEL, padding=KERNEL // 2)
        self.second = nn.Conv1d(spec.features, spec.features, KERNEL, padding=KERNEL // 2)

    def forward(self, expressions: Tensor, seen: Tensor) -> Tensor:
        """Codes (N, T, NUMBERS), see `engines.expressions.encode`, and flags (N, T) → (N, T, d)."""
        numbers = (expressions.to(seen.dtype) - ZERO) / (STEPS * SCALE)
        given = torch.cat((numbers * seen[:, :, None], seen[:, :, None]), dim=2).transpose(1, 2)
        x = functional.relu(self.first(given))
        features: Tensor = functional.relu(x + self.second(x))
        return features.transpose(1, 2)


@register("maenet", MAENetSpec)
class MAENet(EmotionNetwork):
    """Inputs with flags to emotion and micro-action logits; see `MAENetSpec.inputs`."""

    spec: MAENetSpec

    def __init__(self, spec: MAENetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.body: Branch | LandmarkBranch | None = None
        if spec.body is not None:
            self.body = LandmarkBranch(spec.body) if isinstance(spec.body, LandmarkMANetSpec) else Branch(spec.body)
        self.face = Branch(spec.face) if isinstance(spec.face, MANetSpec) else None
        self.expressions = ExpressionBranch(spec.face) if isinstance(spec.face, ExpressionsSpec) else None
        self.encoder = (
            None
            if spec.body is None or not spec.layers
            else Encoder(spec.body.features, spec.length, spec.layers, spec.heads)
        )
        self.dropout = nn.Dropout(HEAD_DROPOUT)
        # Without a micro-action branch the face answers for the actions, too ("Face Branch" in Table VI has a mAP).
        self.actions = nn.Linear(spec.branches[0].features, len(spec.actions))
        self.emotion = nn.Linear(sum(branch.features for branch in spec.branches), NUM_EMOTIONS)

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Tensors of `spec.inputs` → emotion (N, 5), E in Eq. 7, and actions (N, A), A in Eq. 7."""
        given = dict(zip(self.spec.inputs, inputs, strict=True))
        body = None
        if self.body is not None:
            body = self.body_features(given[self.spec.body_input], given["body_seen"])
        return self.scores(body, given)

    def body_features(self, body: Tensor, seen: Tensor) -> Tensor:
        """What the micro-action branch's first network gives of each frame, before the encoder: (N, T, d_act)."""
        if self.body is None:
            raise ValueError("expected a network with a body branch")
        return self.body.frame_features(body, seen.to(self.emotion.weight.dtype))

    def scores(self, body_features: Tensor | None, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rest of `forward`: features of the body, and the other inputs by name."""
        seen = {name: given[name].to(self.emotion.weight.dtype) for name in given if name.endswith("_seen")}
        pooled = []
        if body_features is not None:
            acted = body_features if self.encoder is None else self.encoder(body_features, seen["body_seen"])
            pooled.append(mean_of_seen(acted, seen["body_seen"]))
        if self.face is not None:
            features = self.face.frame_features(given["face"], seen["face_seen"])
            pooled.append(mean_of_seen(features, seen["face_seen"]))
        if self.expressions is not None:
            features = self.expressions(given["expressions"], seen["face_seen"])
            pooled.append(mean_of_seen(features, seen["face_seen"]))
        return {
            "emotion": self.emotion(self.dropout(torch.cat(pooled[::-1], dim=1))),
            "actions": self.actions(self.dropout(pooled[0])),
        }

    def heads(self) -> Mapping[str, nn.Linear]:
        """Both classifiers."""
        return {"emotion": self.emotion, "actions": self.actions}

    def keep_fp32(self) -> tuple[str, ...]:
        """All behind the pictures' branches."""
        return tuple(
            name for name, _ in self.named_children() if name in ("encoder", "expressions", "actions", "emotion")
        )


def mean_of_seen(x: Tensor, seen: Tensor) -> Tensor:
    """AvgPool of Eq. 7 over the seen frames: (N, T, d) and flags (N, T) → (N, d); zeros where none is."""
    return (x * seen[:, :, None]).sum(dim=1) / seen.sum(dim=1, keepdim=True).clamp_min(1.0)
