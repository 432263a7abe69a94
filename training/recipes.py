"""How weights are trained, as named sets of settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from engines.networks.contract import Network
from engines.networks.manet import DROPOUT
from training.losses import CODE_LOSS, PAPER_LOSS, LossSettings


@dataclass(frozen=True, slots=True)
class Recipe:
    """Optimiser, schedule and loss."""

    name: str
    loss: LossSettings
    epochs: int
    batch_size: int
    learning_rate: float  # the highest, in a one-cycle schedule
    weight_decay: float
    optimiser: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9  # of SGD
    schedule: Literal["steps", "one_cycle"] = "steps"
    bias_rate: float = 1.0  # learning rate of biases, relative
    decay_all: bool = True  # False: no weight decay on biases and batch norm
    clip_norm: float | None = None  # largest norm of the gradient
    dropout: float = DROPOUT
    mixed_precision: bool = False  # bfloat16 autocast of the network, float32 losses and weights

    def epochs_until(self, stop_after: int | None) -> int:
        """Epochs of the schedule that are trained; None: all."""
        return min(self.epochs, stop_after or self.epochs)

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step, relative to `learning_rate`: a function of the step alone, so nothing to resume."""
        if self.schedule == "steps":
            return 0.1 ** sum(step // steps_per_epoch >= epoch for epoch in STEP_EPOCHS)
        total = max(self.epochs * steps_per_epoch, 1)
        warm_up = max(WARM_UP_SHARE * total, 1.0)
        if step < warm_up:
            return START_RATE + (1.0 - START_RATE) * step / warm_up
        done = min((step - warm_up) / max(total - warm_up, 1.0), 1.0)
        return END_RATE + (1.0 - END_RATE) * (0.5 + 0.5 * math.cos(math.pi * done))


# MANet paper, section V-B: divided by 10 at the 30th and 60th epoch of 80.
STEP_EPOCHS = (30, 60)
# One-cycle (Smith and Topin 2018), its shape in common use: linear up, half a cosine down.
WARM_UP_SHARE, START_RATE, END_RATE = 0.15, 0.04, 0.002

# MANet paper, section V-B.
PAPER = Recipe("paper", PAPER_LOSS, epochs=80, batch_size=10, learning_rate=0.001, weight_decay=1e-4)
# The released code, where it differs.
CODE = Recipe(
    "code",
    CODE_LOSS,
    epochs=80,
    batch_size=10,
    learning_rate=0.01 / 8,
    weight_decay=1e-4,
    bias_rate=2.0,
    decay_all=False,
    clip_norm=20.0,
)
# A narrow network from random weights on a few CPU cores.
SMALL = Recipe(
    "small",
    LossSettings(embedding="mean_square", alpha=1.0),
    epochs=20,
    batch_size=32,
    learning_rate=3e-3,
    weight_decay=0.02,
    optimiser="adamw",
    schedule="one_cycle",
    decay_all=False,
    clip_norm=5.0,
    dropout=0.1,
    mixed_precision=True,
)
RECIPES = {recipe.name: recipe for recipe in (PAPER, CODE, SMALL)}


def make_optimiser(recipe: Recipe, network: Network) -> torch.optim.Optimizer:
    """The recipe's optimiser; the groups' `scale` is their learning rate relative to the recipe's."""
    groups = network.parameter_groups(recipe)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in every group by its scale."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]
