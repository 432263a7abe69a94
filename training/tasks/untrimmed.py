"""Micro-actions of untrimmed videos: several at once, or none, each by itself."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import torch
from msgspec import Meta
from torch import Tensor, nn

from engines.bundle import Bundle
from engines.card import Calibration
from engines.common.digest import digest_file
from engines.common.errors import BadInput
from engines.networks.contract import Network
from events.fit_temperature import LEAST_WINDOWS, fit_temperature, with_temperature
from events.fit_thresholds import fit_thresholds
from training.data.crops import Crop
from training.data.examples import Source
from training.data.interval_lists import read_interval_list
from training.data.untrimmed import LiveWindows, RandomWindows, Recordings, judge_recordings
from training.evaluate_untrimmed import write_event_scores
from training.losses import ActionLosses, action_losses, classification_loss
from training.machine import Machine
from training.metrics import mean_average_precision
from training.recipe import Recipe, Strict
from training.tasks.base import ExampleTask, inputs_of, predict

PRIOR = 0.02  # one of 52 actions at a time


class UntrimmedData(Strict, frozen=True):
    """Paths lie inside `folder`."""

    folder: str
    name: str = "MMA-52"  # for the model card
    videos: str = "."
    train_list: str = "train.csv"  # see `training.data.interval_lists`
    val_list: str | None = None  # scored after each epoch; temperature and thresholds are fitted on it
    span_s: Annotated[float, Meta(ge=0.1, le=30.0)] | None = None  # of a window; none: the network's
    crop: Crop = Crop()


class UntrimmedCalibration(Strict, frozen=True):
    """Temperature, and thresholds to a budget of false events in videos without actions, or to a precision."""

    false_per_hour: Annotated[float, Meta(ge=0.0)] = 3.0
    precision: Annotated[float, Meta(gt=0.0, lt=1.0)] | None = None


class Untrimmed(ExampleTask[UntrimmedData]):
    """Windows as the live path cuts them, with background; a sigmoid for each action."""

    view = "rgb"
    calibration = Calibration(activation="sigmoid", basis="none: raw sigmoid")

    def __init__(self, recipe: Recipe, machine: Machine) -> None:
        super().__init__(recipe, machine, UntrimmedData)
        self._losses = recipe.part("losses", ActionLosses, {"activation": "sigmoid", "alpha": 0.0} | recipe.losses)
        self._fit = None
        if recipe.calibration is not None:
            self._fit = recipe.part("calibration", UntrimmedCalibration, recipe.calibration)
        if len(self.stages) > 1 or self._losses.activation != "sigmoid":
            raise BadInput("no [[curriculum]], and sigmoids", f"recipe {recipe.name}", "leave them out")
        data = self.settings(0)
        self._train = self._read(data.train_list)
        self._held = None if data.val_list is None else self._read(data.val_list)
        if self._fit is not None and self._held is not None:
            self._check_held(self._held, self._fit)
        lists = [one for one in (self._train, self._held) if one is not None]
        digest = hashlib.sha256()
        for entry in (entry for one in lists for entry in one.entries):
            digest.update(f"{entry} {digest_file(self._train.folder / entry.video)}\n".encode())
        self.data = digest.hexdigest()
        events = sum(len(entry.events) for entry in self._train.entries)
        self.about = f"{data.name}: {len(self._train.entries)} untrimmed videos with {events} actions"
        self._windows = RandomWindows(self._train, recipe.seed, data.crop)

    @property
    def span_s(self) -> float:
        return self.settings(0).span_s or self.spec.span_s

    def count(self, settings: UntrimmedData) -> int:  # noqa: ARG002 - there is one stage
        return len(self._windows)

    def open(self, settings: UntrimmedData) -> Source:  # noqa: ARG002 - there is one stage
        return self._windows

    def prepare(self, network: Network) -> None:
        """Sigmoids begin with the actions' prior probability (Lin et al. 2017, section 4.1)."""
        if self.recipe.start is None or self.recipe.start.checkpoint is not None:
            for head in network.heads().values():
                nn.init.constant_(head.bias, math.log(PRIOR / (1.0 - PRIOR)))

    def loss(self, network: Network, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return action_losses(network(*inputs_of(self.spec, batch)), batch["targets"], None, self._losses)

    def evaluate(self, network: Network) -> dict[str, float]:
        """Cross-entropy and mean average precision of the windows of the validation list."""
        if self._held is None:
            return {}
        found = predict(network, LiveWindows(self._held), self.recipe.optimiser.batch_size, self.machine.workers)
        logits, true = (torch.from_numpy(found[name]) for name in ("logits", "targets"))
        loss = classification_loss(logits, true, "sigmoid").item()
        return {"loss": loss, "map": mean_average_precision(found["logits"], found["targets"] >= 0.5)}

    def calibrate(self, bundle: Bundle) -> tuple[Calibration, str] | None:
        """Fitted on labelled video: the temperature, then enter and exit of each action."""
        if self._held is None or self._fit is None:
            return None
        sessions = judge_recordings(bundle, self._held, "auto", self.machine.threads)
        true = np.concatenate([self._held.targets(number, one.ends_ns) for number, one in enumerate(sessions)])
        logits = np.concatenate([one.logits for one in sessions]).astype(np.float64)
        temperature = round(fit_temperature(bundle, logits, true.astype(np.float64)), 4)
        idle = [one for one in sessions if not one.events]
        fit = fit_thresholds(
            with_temperature(bundle, temperature),
            [one for one in sessions if one.events],
            idle,
            self._fit.false_per_hour,
            lambda _: None,
            precision=self._fit.precision,
        )
        minutes = sum(one.seconds for one in sessions) / 60
        basis = f"temperature and thresholds: {minutes:.1f} min of labelled video, {len(sessions)} recordings"
        calibration = msgspec.structs.replace(
            self.calibration, temperature=temperature, enter=fit.enter, exit=fit.exit, basis=basis
        )
        return calibration, f"temperature {temperature:.3f}, event F1 {fit.busy.f1_macro:.3f} where they are fitted"

    def judge(self, bundle: Bundle, folder: Path) -> None:
        if self._held is not None:
            write_event_scores(bundle, self._held, "auto", folder, self.machine.threads)

    @staticmethod
    def _check_held(held: Recordings, fit: UntrimmedCalibration) -> None:
        """Raises BadInput, before anything is trained: nothing could be fitted on these videos."""
        windows = len(LiveWindows(held))
        if windows < LEAST_WINDOWS:
            raise BadInput(f"{LEAST_WINDOWS} windows or more in data.val_list", str(windows), "list more video")
        if fit.precision is None and all(entry.events for entry in held.entries):
            raise BadInput(
                "videos without any action in data.val_list", "none", "list some, or give calibration.precision"
            )

    def _read(self, name: str) -> Recordings:
        data = self.settings(0)
        folder = Path(data.folder) / data.videos
        found = Recordings(read_interval_list(Path(data.folder) / name, folder), folder, self.spec, self.span_s)
        _ = found.times_ns  # every video is long enough
        return found
