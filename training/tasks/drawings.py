"""Micro-actions of landmark drawings of simulated interviews."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch import Tensor, nn

from engines.bundle import Bundle
from engines.card import Calibration
from engines.networks.contract import Network
from simulation.calibrate import ThresholdSettings, describe_thresholds, thresholds_for
from simulation.drawing_cache import Cache, Plan
from simulation.interview import MODES
from training.data.drawings import SimulatedWindows, chances_of, preference_of
from training.data.examples import Source
from training.evaluate_simulated import SimulatedTest, evaluate_simulated
from training.losses import ActionLosses, action_losses, classification_loss
from training.machine import Machine
from training.metrics import mean_average_precision
from training.recipe import Count, Recipe, Strict
from training.tasks.base import ExampleTask, inputs_of, predict

HELD_OUT_SHARE = 20  # one session of another split, to validate, for this many to train on
MOST_HELD_OUT = 2000  # windows
SIGMOID_PRIOR = 0.02  # one of 52 actions at a time
JUDGED_SHARE = 6  # minutes that are fitted on, for each test session in the report


class DrawingData(Strict, frozen=True):
    """Simulated sessions and the windows of an epoch."""

    sessions: Count = 2000
    seconds: Annotated[float, Meta(ge=5.0, le=3600.0)] = 30.0  # length of a session
    windows: Count = 20000  # of an epoch
    focus: Annotated[float, Meta(ge=0.05, le=1.0)] = 0.5  # middle share of a window that its target speaks of
    seed: Annotated[int, Meta(ge=0)] = 0


class Drawings(ExampleTask[DrawingData]):
    """Windows of drawings, each action by itself."""

    calibration = Calibration(activation="sigmoid", basis="none: raw sigmoid")

    def __init__(self, recipe: Recipe, machine: Machine) -> None:
        super().__init__(recipe, machine, DrawingData)
        self._losses = recipe.part("losses", ActionLosses, {"activation": "sigmoid", "alpha": 0.0} | recipe.losses)
        self._thresholds = None
        if recipe.calibration is not None:
            self._thresholds = recipe.part("calibration", ThresholdSettings, recipe.calibration)
        self.calibration = msgspec.structs.replace(
            self.calibration, activation=self._losses.activation, basis=f"none: raw {self._losses.activation}"
        )
        self._offsets = torch.zeros(())
        plans = [self._plan("train", data) for _, data in self.stages]
        self.data = hashlib.sha256(" ".join(f"{one.identity} {one}" for one in plans).encode()).hexdigest()
        sessions = sum(one.sessions for one in plans)
        windows = sum(self.count(self.settings(epoch)) for epoch in range(recipe.optimiser.epochs))
        self.about = f"simulated interviews: {sessions} sessions of {plans[0].seconds:g} s, {windows} windows"

    def count(self, settings: DrawingData) -> int:
        return settings.windows

    def open(self, settings: DrawingData) -> Source:
        cache = self._drawn(self._plan("train", settings))
        preference = preference_of(cache)
        self._offsets = torch.from_numpy(preference.offsets)
        return SimulatedWindows(cache, settings.windows, self.recipe.seed, chances_of(cache, preference))

    def prepare(self, network: Network) -> None:
        """Sigmoids begin with the actions' prior probability (Lin et al. 2017, section 4.1)."""
        if self._losses.activation == "sigmoid" and self.recipe.start is None:
            for head in network.heads().values():
                nn.init.constant_(head.bias, math.log(SIGMOID_PRIOR / (1.0 - SIGMOID_PRIOR)))

    def loss(self, network: Network, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs = network(*inputs_of(self.spec, batch))
        targets = batch["targets"]
        logits = outputs["logits"].float() + self._offsets.to(targets.device)  # see `training.data.rare_actions`
        return action_losses({"logits": logits}, targets, None, self._losses)

    def evaluate(self, network: Network) -> dict[str, float]:
        """Cross-entropy and mean average precision of evenly spread windows of the validation split."""
        plan = self._plan("validation", self.settings(0))
        held = SimulatedWindows(self._drawn(plan), min(MOST_HELD_OUT, plan.sessions * plan.positions))
        found = predict(network, held, self.recipe.optimiser.batch_size, self.machine.workers)
        logits, targets = (torch.from_numpy(found[name]) for name in ("logits", "targets"))
        loss = classification_loss(logits, targets, self._losses.activation)
        return {"loss": loss.item(), "map": mean_average_precision(found["logits"], found["targets"] >= 0.5)}

    def calibrate(self, bundle: Bundle) -> tuple[Calibration, str] | None:
        if self._thresholds is None:
            return None
        machine = self.machine
        calibration, fit = thresholds_for(
            bundle, self._thresholds, machine.threads, machine.draw_workers, machine.report
        )
        return calibration, describe_thresholds(fit)

    def judge(self, bundle: Bundle, folder: Path) -> None:
        if self._thresholds is None:
            return
        test = SimulatedTest(
            max(1, self._thresholds.minutes // JUDGED_SHARE),
            focus=self.stages[-1][1].focus,
            threads=self.machine.threads,
            workers=self.machine.draw_workers,
        )
        folder.mkdir(parents=True, exist_ok=True)
        evaluate_simulated(bundle, MODES, test, folder / "scores.csv")

    def _plan(self, split: str, data: DrawingData) -> Plan:
        sessions = data.sessions if split == "train" else max(1, data.sessions // HELD_OUT_SHARE)
        frames, size = self.spec.sampling.frames, self.spec.picture_size
        return Plan(split, sessions, data.seconds, data.seed, size, frames, data.focus, self.span_s)

    def _drawn(self, plan: Plan) -> Cache:
        """The drawings of a plan, made where they are missing."""
        cache = Cache(self.machine.cache / f"{plan.split}-{plan.seed}", plan)
        cache.fill(self.machine.draw_workers, self.machine.report)
        return cache
