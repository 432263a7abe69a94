"""Losses of landmark networks against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from training.landmarks.losses import POOLED_STEPS, of_parts, set_loss, step_loss


def logits(value: float, count: int = 1, steps: int = 16) -> dict[str, torch.Tensor]:
    return {"actions": torch.full((count, steps, 52), value), "parts": torch.full((count, steps, 7), value)}


def test_a_part_is_on_while_one_of_its_actions_is() -> None:
    actions = torch.zeros(1, 52)
    actions[0, [9, 46]] = 1.0  # nodding, covering the mouth
    assert of_parts(actions)[0].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def test_steps_without_anybody_and_what_cannot_be_told_do_not_count() -> None:
    outputs = logits(0.0)
    targets, found = torch.zeros(1, 16, 52), torch.ones(1, 16)
    assert step_loss(outputs, targets, found).item() == pytest.approx(59 * math.log(2), rel=1e-5)
    targets[0, :, 30] = -1.0  # neither can its part
    assert step_loss(outputs, targets, found).item() == pytest.approx(57 * math.log(2), rel=1e-5)
    targets[0, :, 31] = 1.0  # another action of the part is seen
    assert step_loss(outputs, targets, found).item() == pytest.approx(58 * math.log(2), rel=1e-5)
    outputs["actions"][0, 8:] = 20.0  # wrong where nobody is
    found[0, 8:] = 0.0
    assert step_loss(outputs, targets, found).item() == pytest.approx(58 * math.log(2), rel=1e-5)


def test_any_action_of_the_set_will_do() -> None:
    outputs = logits(-20.0)
    outputs["actions"][0, 4 : 4 + POOLED_STEPS, 41] = 20.0
    outputs["parts"][0, 4 : 4 + POOLED_STEPS, 5] = 20.0
    sets, sure = torch.zeros(1, 52), torch.ones(1)
    sets[0, [41, 46]] = 1.0
    assert set_loss(outputs, sets, sure, torch.ones(1, 16)).item() < 1e-3
    sets[0, 41] = 0.0
    assert set_loss(outputs, sets, sure, torch.ones(1, 16)).item() > 10.0  # one absent, one present that is not right


def test_set_loss_is_the_formula() -> None:
    outputs, sets = logits(0.0, 2), torch.zeros(2, 52)
    sets[0, [41, 46]] = 1.0
    half = math.log(2)
    labelled = -math.log(1 - 0.25) + 50 * half + -math.log(0.5) + 6 * half
    idle = 59 * half
    sure = torch.tensor([1.0, 0.5])
    expected = (labelled + 0.5 * idle) / 1.5
    assert set_loss(outputs, sets, sure, torch.ones(2, 16)).item() == pytest.approx(expected, rel=1e-4)


def test_absent_steps_never_score() -> None:
    outputs = logits(20.0)
    found = torch.zeros(1, 16)
    assert set_loss(outputs, torch.zeros(1, 52), torch.ones(1), found).item() < 1e-3


def test_losses_have_gradients() -> None:
    values = torch.zeros(1, 16, 52, requires_grad=True)
    outputs = {"actions": values, "parts": torch.zeros(1, 16, 7)}
    sets = functional.one_hot(torch.tensor([33]), 52).float()
    set_loss(outputs, sets, torch.ones(1), torch.ones(1, 16)).backward()
    assert values.grad is not None
    assert values.grad[0, :, 33].sum() < 0.0 < values.grad[0, :, 0].sum()
