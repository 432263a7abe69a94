"""MAENet: emotion and micro-actions of a stretch of video from its face and its body (MANet paper, section VI, Fig. 7).

    face  ─► MANet ──────────────────────────► X_face (T, d_face) ─┐
    body  ─► MANet ─► transformer encoder ───► X_act  (T, d_act) ──┴► mean over time ─► FC ─► E, 5 emotions
                                                   └────────────────► mean over time ─► FC ─► A, micro-actions

The paper does not say how a missing face is met. Here every frame of either branch has a flag: an unseen frame's pixels
are replaced by zeros, the encoder does not attend to it, and the mean is over the seen frames alone. With every frame
seen this is Eq. 7; a branch without any frame gives the zero vector.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.manet import PixelGraph, Trunk
from engines.spec import NUM_EMOTIONS, EmotionSpec

ENCODER_DROPOUT = 0.1  # Vaswani et al. 2017, section 5.4
HEAD_DROPOUT = 0.5  # as MANet
FEED_FORWARD = 4  # hidden units of the encoder per feature (Vaswani et al. 2017, Table 3)
NEVER = 1e4  # subtracted from the scores of unseen frames: exp of it is 0, and fp16 holds it


class Answer(NamedTuple):
    """What the network says of N stretches."""

    emotion: Tensor  # (N, 5) logits, E in Eq. 7
    actions: Tensor  # (N, A) logits of `spec.actions`, A in Eq. 7


class EncoderLayer(nn.Module):
    """Self-attention over time, then a feed-forward network (Vaswani et al. 2017, section 3.1).

    Layer norm comes first in each (Xiong et al. 2020): it trains without a long warm-up.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(features)
        self.query_key_value = nn.Linear(features, 3 * features)
        self.mixed = nn.Linear(features, features)
        self.feed_norm = nn.LayerNorm(features)
        self.hidden = nn.Linear(features, FEED_FORWARD * features)
        self.output = nn.Linear(FEED_FORWARD * features, features)
        self.dropout = nn.Dropout(ENCODER_DROPOUT)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(N·T, d) and flags (N, T) → (N·T, d)."""
        # Rows, not (N, T, d): the exporter folds the weights of a linear layer into new ones anywhere else.
        length, features = seen.shape[1], x.shape[1]
        width = features // self.heads
        parts = self.query_key_value(self.attention_norm(x)).reshape(-1, length, 3, self.heads, width)
        query, key, value = (part.squeeze(2).transpose(1, 2) for part in torch.split(parts, 1, dim=2))  # (N, h, T, w)
        scores = query @ key.transpose(2, 3) / math.sqrt(width) - NEVER * (1.0 - seen)[:, None, None, :]
        mixed = (torch.softmax(scores, dim=-1) @ value).transpose(1, 2).reshape(-1, features)
        x = x + self.dropout(self.mixed(mixed))
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
        rows = (x + self.places).flatten(0, 1)
        for layer in self.layers:
            rows = layer(rows, seen)
        normed: Tensor = self.norm(rows).reshape(x.shape)
        return normed


class MAENet(nn.Module):
    """Stretches to emotion and micro-action logits."""

    def __init__(self, spec: EmotionSpec) -> None:
        super().__init__()
        self.spec = spec
        self.body = None if spec.body is None else Trunk(spec.body)
        self.face = None if spec.face is None else Trunk(spec.face)
        self.encoder = (
            None
            if spec.body is None or not spec.layers
            else Encoder(spec.body.features, spec.length, spec.layers, spec.heads)
        )
        self.dropout = nn.Dropout(HEAD_DROPOUT)
        # Without a micro-action branch the face answers for the actions, too ("Face Branch" in Table VI has a mAP).
        self.actions = nn.Linear(spec.branches[0].features, len(spec.actions))
        self.emotion = nn.Linear(sum(branch.features for branch in spec.branches), NUM_EMOTIONS)

    def body_features(self, frames: Tensor, seen: Tensor) -> Tensor:
        """What the MANet of the micro-action branch says of each frame, before the encoder: (N, T, d_act)."""
        if self.body is None:
            raise ValueError("expected a network with a body branch")
        return _features(self.body, frames, seen)

    def forward(
        self, body: Tensor | None, body_seen: Tensor | None, face: Tensor | None, face_seen: Tensor | None
    ) -> Answer:
        """Normalised float (N, T, 3, S, S) and (N, T, 3, F, F), flags (N, T); None where the branch is left out."""
        features = None if body is None or body_seen is None else self.body_features(body, body_seen)
        return self.answer(features, body_seen, face, face_seen)

    def answer(
        self, body_features: Tensor | None, body_seen: Tensor | None, face: Tensor | None, face_seen: Tensor | None
    ) -> Answer:
        """The rest of `forward`, from `body_features`."""
        pooled = []
        if body_features is not None and body_seen is not None:
            acted = body_features if self.encoder is None else self.encoder(body_features, body_seen)
            pooled.append(mean_of_seen(acted, body_seen))
        if self.face is not None and face is not None and face_seen is not None:
            pooled.append(mean_of_seen(_features(self.face, face, face_seen), face_seen))
        if len(pooled) != len(self.spec.branches):
            raise ValueError(f"expected {len(self.spec.branches)} branches, got {len(pooled)}")
        return Answer(self.emotion(self.dropout(torch.cat(pooled[::-1], dim=1))), self.actions(self.dropout(pooled[0])))


def _features(trunk: Trunk, frames: Tensor, seen: Tensor) -> Tensor:
    """(N, T, 3, S, S) and flags (N, T) → (N, T, d)."""
    features = trunk.features(frames * seen[:, :, None, None, None])
    return features.reshape(-1, trunk.spec.length, trunk.spec.features)


def mean_of_seen(x: Tensor, seen: Tensor) -> Tensor:
    """AvgPool of Eq. 7 over the seen frames: (N, T, d) and flags (N, T) → (N, d); zeros where none is."""
    return (x * seen[:, :, None]).sum(dim=1) / seen.sum(dim=1, keepdim=True).clamp_min(1.0)


class EmotionGraph(PixelGraph):
    """An emotion model as it is exported; inputs in the order of `spec.inputs`."""

    def __init__(self, network: MAENet) -> None:
        super().__init__()
        self.network = network

    def prepared(self, *inputs: Tensor) -> list[Tensor | None]:
        """uint8 inputs of `spec.inputs` → what the network takes: body, body_seen, face, face_seen."""
        given = dict(zip(self.network.spec.inputs, inputs, strict=True))
        ready: list[Tensor | None] = []
        for name in ("body", "face"):
            if name in given:
                ready += [self.normalise(given[name]), given[f"{name}_seen"].to(self.mean.dtype)]
            else:
                ready += [None, None]
        return ready

    def forward(self, *inputs: Tensor) -> Answer:
        """uint8 (N, ...) each → (emotion (N, 5), actions (N, A))."""
        answer: Answer = self.network(*self.prepared(*inputs))
        return answer
