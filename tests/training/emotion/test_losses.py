"""L = L_act + β · L_emo (MANet paper, section VI-A)."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from engines.networks.maenet import Answer
from training.emotion.losses import BETA, class_weights, emotion_losses
from training.emotion.stretches import emotion_target


def test_binary_cross_entropy_plus_beta_cross_entropy() -> None:
    torch.manual_seed(0)
    answer = Answer(torch.randn(4, 5), torch.randn(4, 52))
    true, done = torch.tensor([0, 4, 2, 2]), (torch.rand(4, 52) < 0.1).float()
    losses = emotion_losses(answer, functional.one_hot(true, 5).float(), done)
    p = torch.sigmoid(answer.actions)
    act = -(done * p.log() + (1 - done) * (1 - p).log()).mean()
    emo = -torch.log_softmax(answer.emotion, 1)[torch.arange(4), true].mean()
    torch.testing.assert_close(losses.actions, act)
    torch.testing.assert_close(losses.emotion, emo)
    torch.testing.assert_close(losses.total, act + 0.03 * emo)
    assert BETA == 0.03
    torch.testing.assert_close(emotion_losses(answer, functional.one_hot(true, 5).float(), done, beta=0.0).total, act)


def test_class_weights_make_a_long_tail_weigh_alike() -> None:
    counts = torch.tensor([80.0, 10.0, 5.0, 5.0, 0.0])
    weights = class_weights(counts)
    np.testing.assert_allclose((weights * counts)[:4], 25.0)
    assert weights[4] == 0


def test_where_nothing_is_felt_all_emotions_are_alike() -> None:
    felt = np.array([[0, 0, 0, 0, 0, 1.0], [0.5, 0, 0, 0, 0, 0.5], [0, 1, 0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(emotion_target(felt), [[0.2] * 5, [0.6, 0.1, 0.1, 0.1, 0.1], [0, 1, 0, 0, 0]], atol=1e-6)
