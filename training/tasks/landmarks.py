"""Micro-actions and body parts at every step, from landmarks of simulated people and, where there are some, real ones.

The folder of real sequences holds `split.json` (names of files by "train" and "develop") and `landmarks/NAME.npz`, see
`engines.landmarks.recordings`. Files of "develop" are never trained on: they select the epoch and, with simulated
validation sessions, the limits. Without the folder, training is on simulation alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from torch import Tensor

from engines.bundle import Bundle
from engines.card import Calibration
from engines.common.errors import BadInput
from engines.landmarks.recordings import load_sequences
from engines.landmarks.steps import VALID
from engines.networks.contract import Network
from simulation.interview import IDLE
from simulation.landmark_cache import LandmarkPlan, LandmarkSessions, load_or_make
from training.landmarks.batches import SimulatedWindows
from training.landmarks.limits import fitted_calibration
from training.landmarks.loader import Batches, BatchPlan
from training.landmarks.losses import set_loss, step_loss
from training.landmarks.validation import Validation
from training.machine import Machine
from training.recipe import Count, Recipe, Share, Strict
from training.tasks.base import RecipeTask

SPLIT = "split.json"


class LandmarkData(Strict, frozen=True):
    """Simulated sessions, real sequences and the batches of an epoch."""

    folder: str | None = None  # of real sequences; none: simulated people alone
    sessions: Count = 1500
    seconds: Annotated[float, Meta(ge=5.0, le=3600.0)] = 20.0  # length of a session
    batches: Count = 100  # of an epoch
    real_share: Share = 0.25  # of a batch
    validation_sessions: Count = 100
    validation_windows: Count = 320
    seed: Annotated[int, Meta(ge=0)] = 5


class LandmarkLosses(Strict, frozen=True):
    """How much real sequences weigh."""

    real: Annotated[float, Meta(ge=0.0)] = 0.3


class LimitSettings(Strict, frozen=True):
    """What limits are fitted on."""

    seed: Annotated[int, Meta(ge=0)] = 7  # of the simulated validation sessions
    idle_minutes: Count = 60  # of sitting still
    false_per_hour: Annotated[float, Meta(ge=0.0)] = 3.0  # most false events while nothing happens, on each level


class Landmarks(RecipeTask[LandmarkData]):
    """Windows of landmarks."""

    calibration = Calibration(activation="sigmoid", basis="none: raw sigmoid")

    def __init__(self, recipe: Recipe, machine: Machine) -> None:
        super().__init__(recipe, machine, LandmarkData)
        if len(self.stages) > 1:
            raise BadInput("one stage of data", "a [[curriculum]]", f"change recipe {recipe.name}")
        self._data = self.settings(0)
        self._losses = recipe.part("losses", LandmarkLosses, recipe.losses)
        self._limits = None
        if recipe.calibration is not None:
            self._limits = recipe.part("calibration", LimitSettings, recipe.calibration)
        folder = None if self._data.folder is None else Path(self._data.folder)
        self._train, self._develop = (
            ((), ()) if folder is None else (_files(folder, "train"), _files(folder, "develop"))
        )
        self._plan = LandmarkPlan("train", self._data.sessions, self._data.seconds, self._data.seed)
        self.data = self._digest()
        self.about = f"simulated interviews: {self._plan.sessions} sessions of {self._plan.seconds:g} s"
        if self._train:
            count = sum(len(load_sequences(path)) for path in self._train)
            self.about += f"; {count} landmark sequences of real people with weak labels, {len(self._train)} files"
        else:
            self.about += "; no real people"
        self._batches: Batches | None = None
        self._validation: Validation | None = None

    def steps(self, epoch: int) -> int:  # noqa: ARG002 - all are as long
        return self._data.batches

    def batches(self, epoch: int, first: int) -> Iterator[dict[str, Tensor]]:
        if self._batches is None:
            self._sessions(self._plan)  # made here, where progress is reported
            plan = BatchPlan(
                self._plan,
                self._folder(self._plan),
                self._train,
                self.spec.sampling.frames,
                self.recipe.optimiser.batch_size,
                self._data.real_share,
                self.recipe.seed,
            )
            self._batches = Batches(plan, self.machine.workers)
        yield from self._batches.epoch(epoch, first, self.steps(epoch))

    def loss(self, network: Network, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Simulated windows come first in a batch, step by step; then whole real sequences."""
        outputs, found = network(batch["landmarks"]), batch["landmarks"][:, :, 0, VALID]
        count = len(batch["targets"])
        steps = step_loss({name: one[:count] for name, one in outputs.items()}, batch["targets"], found[:count])
        if "sets" not in batch:
            return {"loss": steps}
        real = {name: one[count:] for name, one in outputs.items()}
        sets = set_loss(real, batch["sets"], batch["weights"], found[count:])
        return {"loss": steps + self._losses.real * sets, "steps": steps, "sets": sets}

    def evaluate(self, network: Network) -> dict[str, float]:
        if self._validation is None:
            files = {path.stem: load_sequences(path) for path in self._develop}
            steps = self.spec.sampling.frames
            held = SimulatedWindows(self._sessions(self._held(self._data.seed + 2)), steps)
            self._validation = Validation(files, held, self._data.validation_windows, steps)
        return self._validation.scores(network)

    def calibrate(self, bundle: Bundle) -> tuple[Calibration, str] | None:
        if self._limits is None:
            return None
        files = [load_sequences(path) for path in self._develop]
        limits = self._limits
        idle = LandmarkPlan("validation", limits.idle_minutes, 60.0, limits.seed + 1, IDLE)
        sessions = [self._sessions(self._held(limits.seed)), self._sessions(idle)]
        return fitted_calibration(bundle, sessions, files, limits.false_per_hour, self.machine.threads)

    def _held(self, seed: int) -> LandmarkPlan:
        return LandmarkPlan("validation", self._data.validation_sessions, self._data.seconds, seed)

    def _folder(self, plan: LandmarkPlan) -> Path:
        return self.machine.cache / f"landmarks-{plan.split}-{plan.seed}"

    def _sessions(self, plan: LandmarkPlan) -> LandmarkSessions:
        report = self.machine.report
        return load_or_make(
            self._folder(plan),
            plan,
            lambda done, total: report(f"simulating {plan.split}", done, total),
            self.machine.draw_workers,
        )

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{self._plan.identity()} {msgspec.structs.replace(self._data, folder=None)}".encode())
        for path in (*self._train, *self._develop):
            digest.update(path.name.encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def _files(folder: Path, split: str) -> tuple[Path, ...]:
    """The files of a split, all of which are there. Raises BadInput otherwise."""
    listing = folder / SPLIT
    try:
        names = json.loads(listing.read_text(encoding="utf-8"))[split]
        paths = tuple(folder / "landmarks" / f"{name}.npz" for name in names)
    except OSError as error:
        raise BadInput("a folder of real sequences", f"{listing} ({error.strerror})", "check --data") from None
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"names of files by split in {listing}", f"no list of {split!r}", "check the file") from None
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise BadInput(f"the files of {listing}", f"no {missing[0]}", "check --data")
    return paths
