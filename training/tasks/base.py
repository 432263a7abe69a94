"""What all tasks share: stages of a curriculum, batches of numbered examples, and what follows training."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Generic

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.bundle import Bundle
from engines.card import RESEARCH_USE, Calibration
from engines.common.errors import BadInput
from engines.networks.contract import Network
from engines.specs.base import Spec, View
from engines.specs.base import Task as ModelTask
from training.data.examples import Source, batches, epoch_order
from training.machine import Machine
from training.recipe import Recipe, Settings

FloatArray = npt.NDArray[np.float64]


class RecipeTask(ABC, Generic[Settings]):
    """A `training.loop.Task` made from a recipe, and what follows training.

    Args:
        recipe: what to train.
        machine: where.
        kind: of the recipe's `data`.

    Raises:
        BadInput: an unknown key, a network for something else, or data that cannot be used.
    """

    task: ModelTask = "actions"
    view: View = "landmarks"
    intended_use = RESEARCH_USE
    calibration = Calibration()  # before anything is fitted
    data: str  # see `training.loop.Task`
    about: str  # what it is trained on, for the model card

    def __init__(self, recipe: Recipe, machine: Machine, kind: type[Settings]) -> None:
        self.recipe, self.machine, self.spec = recipe, machine, recipe.spec
        if self.spec.task != self.task or self.view not in self.spec.views:
            wanted = f"a network for {self.task}, of the {self.view} view, in recipe {recipe.name}"
            raise BadInput(wanted, str(recipe.network.get("architecture")), "change [network]")
        self.stages = recipe.stages(kind)

    @property
    def span_s(self) -> float:
        """Time that an input covers."""
        return self.spec.span_s

    def settings(self, epoch: int) -> Settings:
        """The data settings of an epoch."""
        return self.stages[bisect.bisect_right([first for first, _ in self.stages], epoch) - 1][1]

    def prepare(self, network: Network) -> None:
        """See `training.loop.Task`."""

    @abstractmethod
    def steps(self, epoch: int) -> int:
        """See `training.loop.Task`."""

    @abstractmethod
    def batches(self, epoch: int, first: int) -> Iterator[dict[str, Tensor]]:
        """See `training.loop.Task`."""

    @abstractmethod
    def loss(self, network: Network, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `training.loop.Task`."""

    @abstractmethod
    def evaluate(self, network: Network) -> dict[str, float]:
        """See `training.loop.Task`."""

    def calibrate(self, bundle: Bundle) -> tuple[Calibration, str] | None:  # noqa: ARG002 - nothing is fitted
        """A fitted calibration, and a line about it; none where the recipe asks for none."""
        return None

    def judge(self, bundle: Bundle, folder: Path) -> None:
        """Write scores of the finished bundle into a folder."""


class ExampleTask(RecipeTask[Settings]):
    """A task over numbered examples."""

    _opened: tuple[Settings, Source] | None = None

    @abstractmethod
    def count(self, settings: Settings) -> int:
        """Examples of an epoch."""

    @abstractmethod
    def open(self, settings: Settings) -> Source:
        """The examples of a stage of the curriculum, made where they are missing."""

    def source(self, epoch: int) -> Source:
        """The examples of an epoch."""
        settings = self.settings(epoch)
        if self._opened is None or self._opened[0] is not settings:
            self._opened = settings, self.open(settings)
        return self._opened[1]

    def steps(self, epoch: int) -> int:
        """See `training.loop.Task`."""
        return -(-self.count(self.settings(epoch)) // self.recipe.optimiser.batch_size)

    def batches(self, epoch: int, first: int) -> Iterator[dict[str, Tensor]]:
        """See `training.loop.Task`."""
        source, size = self.source(epoch), self.recipe.optimiser.batch_size
        order = epoch_order(len(source), self.recipe.seed, epoch)[first * size :]
        yield from batches(source, order, epoch, size, self.machine.workers)


def predict(network: Network, source: Source, batch_size: int, workers: int = 0) -> dict[str, FloatArray]:
    """Outputs and labels of all examples by their names, (N, ...) each. Raises BadInput: one cannot be read."""
    device = next(network.parameters()).device
    found: dict[str, list[FloatArray]] = {}
    network.eval()
    with torch.inference_mode():
        for batch in batches(source, range(len(source)), 0, batch_size, workers):
            outputs = network(*inputs_of(network.spec, batch, device))
            labels = {name: tensor for name, tensor in batch.items() if name not in network.spec.inputs}
            for name, tensor in (labels | outputs).items():
                found.setdefault(name, []).append(tensor.double().cpu().numpy())
    return {name: np.concatenate(arrays) for name, arrays in found.items()}


def inputs_of(spec: Spec, batch: dict[str, Tensor], device: torch.device | None = None) -> list[Tensor]:
    """A network's inputs in a batch, in its order."""
    return [batch[name].to(device) for name in spec.inputs]
