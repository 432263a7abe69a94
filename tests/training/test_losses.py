from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engines.networks.manet import MANet
from engines.specs.manet import MANetSpec
from training.losses import (
    ActionLosses,
    EmotionLosses,
    Head,
    action_losses,
    class_weights,
    classification_loss,
    embedding_loss,
    emotion_losses,
    emotion_target,
    f1_loss,
    margin_loss,
    part_loss,
)

PAPER, CODE = ActionLosses(), ActionLosses(embedding="mean_square", alpha=50.0)


def one_hot(*indices: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(indices), 52).float()


def test_cross_entropy_by_hand() -> None:
    """-log softmax: one logit ln 3 among 51 zeros gives p = 3/54; a flat clip 1/52."""
    logits = torch.zeros(2, 52)
    logits[0, 7] = math.log(3)
    want = (math.log(54 / 3) + math.log(52)) / 2
    assert classification_loss(logits, one_hot(7, 0), "softmax").item() == pytest.approx(want, rel=1e-6)


def test_binary_cross_entropy_by_hand() -> None:
    """Summed over the actions: 51 flat ones cost ln 2 each; p = 3/4 against a share of 1/2 costs the mean of both."""
    logits = torch.zeros(1, 52)
    logits[0, 3] = math.log(3)
    targets = torch.zeros(1, 52)
    targets[0, 3] = 0.5
    want = 51 * math.log(2) + 0.5 * math.log(4 / 3) + 0.5 * math.log(4)
    assert classification_loss(logits, targets, "sigmoid").item() == pytest.approx(want, rel=1e-6)


def test_embedding_distance_by_hand() -> None:
    """Eq. 2: all 300 differences are 0.1, so the squared distance is 3; the released code's mean is 0.01."""
    vectors = torch.zeros(52, 300)
    vectors[7] = 0.5
    embedding = torch.full((1, 300), 0.4)
    assert embedding_loss(embedding, one_hot(7), vectors, "squared_distance").item() == pytest.approx(3.0, rel=1e-5)
    assert embedding_loss(embedding, one_hot(7), vectors, "mean_square").item() == pytest.approx(0.01, rel=1e-5)


def test_embedding_of_several_actions_is_their_weighted_mean_and_of_none_counts_nothing() -> None:
    vectors = torch.zeros(52, 300)
    vectors[1], vectors[2] = 1.0, 4.0
    targets = torch.zeros(2, 52)
    targets[0, 1], targets[0, 2] = 0.4, 0.2  # mean (0.4 + 0.8) / 0.6 = 2
    embedding = torch.full((2, 300), 3.0)
    assert embedding_loss(embedding, targets, vectors, "mean_square").item() == pytest.approx((1.0 + 0.0) / 2)


def test_paper_and_released_code_weigh_the_terms_as_they_say() -> None:
    """Eq. 3 with α = 5 and Eq. 2; the code has 50 times the mean over the dimensions."""
    vectors = torch.ones(52, 300)
    outputs = {"logits": torch.zeros(1, 52), "embedding": torch.full((1, 300), 0.9)}
    paper, code = (action_losses(outputs, one_hot(0), vectors, settings) for settings in (PAPER, CODE))
    assert paper["loss"].item() == pytest.approx(math.log(52) + 5 * 3.0, rel=1e-4)
    assert code["loss"].item() == pytest.approx(math.log(52) + 50 * 0.01, rel=1e-4)
    assert paper["classification"].item() == pytest.approx(math.log(52))


def test_without_embedding_there_is_classification_alone() -> None:
    """Table IV, α = 0; and a network without the head."""
    outputs = {"logits": torch.zeros(1, 52), "embedding": torch.ones(1, 300)}
    vectors = torch.ones(52, 300)
    for settings, given in ((ActionLosses(alpha=0.0), outputs), (PAPER, {"logits": outputs["logits"]})):
        result = action_losses(given, one_hot(0), vectors, settings)
        assert result.keys() == {"loss", "classification"}
        assert result["loss"].item() == pytest.approx(math.log(52))


def test_gradient_flows_into_the_embedding_head_and_the_backbone() -> None:
    torch.manual_seed(0)
    network = MANet(MANetSpec(depth=18, width=8, size=32, length=4)).train()
    outputs = network(torch.randint(0, 255, (2, 4, 32, 32, 3), dtype=torch.uint8))
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(52, 300)).astype(np.float32))
    action_losses(outputs, one_hot(3, 9), vectors, PAPER)["embedding"].backward()
    assert network.embedding is not None
    for parameter in (*network.embedding.parameters(), network.backbone.stem.conv.weight):
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
    assert network.classifier.weight.grad is None


def test_emotions_cost_binary_cross_entropy_plus_beta_cross_entropy() -> None:
    """L = L_act + β · L_emo (MANet paper, section VI-A)."""
    torch.manual_seed(0)
    outputs = {"emotion": torch.randn(4, 5), "actions": torch.randn(4, 52)}
    true, done = torch.tensor([0, 4, 2, 2]), (torch.rand(4, 52) < 0.1).float()
    felt = torch.nn.functional.one_hot(true, 6).float()
    losses = emotion_losses(outputs, felt, done, EmotionLosses(), None)
    p = torch.sigmoid(outputs["actions"])
    act = -(done * p.log() + (1 - done) * (1 - p).log()).mean()
    emo = -torch.log_softmax(outputs["emotion"], 1)[torch.arange(4), true].mean()
    torch.testing.assert_close(losses["actions"], act)
    torch.testing.assert_close(losses["emotion"], emo)
    torch.testing.assert_close(losses["loss"], act + 0.03 * emo)
    torch.testing.assert_close(emotion_losses(outputs, felt, None, EmotionLosses(), None)["loss"], emo)


def test_class_weights_make_a_long_tail_weigh_alike() -> None:
    counts = torch.tensor([80.0, 10.0, 5.0, 5.0, 0.0])
    weights = class_weights(counts)
    np.testing.assert_allclose((weights * counts)[:4], 25.0)
    assert weights[4] == 0


def test_where_nothing_is_felt_all_emotions_are_alike() -> None:
    felt = torch.tensor([[0, 0, 0, 0, 0, 1.0], [0.5, 0, 0, 0, 0, 0.5], [0, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(emotion_target(felt), [[0.2] * 5, [0.6, 0.1, 0.1, 0.1, 0.1], [0, 1, 0, 0, 0]], atol=1e-6)


def test_f1_loss_by_hand() -> None:
    """Class 3: 0.8 of one right, 0.3 elsewhere: 2 · 0.8 / (1.1 + 1). Class 7: 0.6 of one: 2 · 0.6 / (0.6 + 1)."""
    probs = torch.zeros(2, 52)
    probs[0, 3], probs[1, 3], probs[1, 7] = 0.8, 0.3, 0.6
    want = 1 - (1.6 / 2.1 + 1.2 / 1.6) / 2
    assert f1_loss(probs, one_hot(3, 7)).item() == pytest.approx(want, rel=1e-6)
    assert f1_loss(probs, torch.zeros(2, 52)).item() == 0.0


def test_part_loss_sums_a_parts_actions() -> None:
    """Nodding and shaking the head are both of the head: 0.5 + 0.3."""
    probs = torch.zeros(1, 52)
    probs[0, 5], probs[0, 6], probs[0, 30] = 0.5, 0.3, 0.2
    assert part_loss(probs, one_hot(6)).item() == pytest.approx(-math.log(0.8), rel=1e-6)


def test_margin_loss_by_hand() -> None:
    """A feature along the true row at an angle of 60 degrees: cos(60° + 0.5) against 51 rows at a right angle."""
    rows = torch.zeros(52, 53)
    rows[:, :52] = torch.eye(52)
    features = torch.zeros(1, 53)
    features[0, 4], features[0, 52] = 0.5, math.sqrt(0.75)
    true = 30 * math.cos(math.pi / 3 + 0.5)
    want = math.log(math.exp(true) + 51) - true
    assert margin_loss(7 * features, 3 * rows, one_hot(4)).item() == pytest.approx(want, rel=1e-4)


def test_losses_add_up_by_their_weights() -> None:
    settings = ActionLosses(alpha=0.0, f1=2.0, parts=0.5, margin=0.1, auxiliary=3.0, moments=0.7)
    torch.manual_seed(0)
    outputs, targets = {"logits": torch.randn(3, 52)}, one_hot(1, 9, 40)
    head = Head(torch.randn(3, 8), torch.randn(52, 8), torch.randn(3, 7), torch.randn(3, 4, 52))
    found = action_losses(outputs, targets, None, settings, head)
    weights = {"classification": 1.0, "f1": 2.0, "parts": 0.5, "margin": 0.1, "auxiliary": 3.0, "moments": 0.7}
    assert found.keys() == {"loss", *weights}
    assert found["loss"].item() == pytest.approx(sum(weights[name] * found[name].item() for name in weights), rel=1e-6)
    parts = torch.tensor([0, 1, 5])
    each = [torch.nn.functional.cross_entropy(one, torch.tensor([1, 9, 40])).item() for one in head.moments.unbind(1)]
    assert found["moments"].item() == pytest.approx(sum(each) / 4, rel=1e-6)
    assert found["auxiliary"].item() == pytest.approx(torch.nn.functional.cross_entropy(head.parts, parts).item())
