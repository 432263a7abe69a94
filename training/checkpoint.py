"""A training run on disk: plain tensors and plain values, replaced in one step; a kill at any time costs little."""

from __future__ import annotations

import os
import pickle
import tempfile
import time
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from engines.common.errors import BadInput
from engines.networks.contract import Network
from engines.networks.registry import build, read_spec
from training.curves import CSV_FILE, PICTURE_FILE
from training.recipe import Recipe

FORMAT = 2
STATE_FILE = "state.pt"
REPORT, SCORES = "report.md", "scores"
RUN_FILES = (STATE_FILE, CSV_FILE, PICTURE_FILE, REPORT, SCORES)  # of a training run in its folder
KEYS = {"format", "run", "network", "parts", "rng", "cuda_rng", "state"}
AUXILIARY = "auxiliary"  # a module that training adds to a network, and its model does without
HINT = "give a state.pt that training wrote"
BROKEN = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)  # what bad content ends in


@dataclass(slots=True)
class State:
    """Where a run stands."""

    epoch: int = 0  # under way, from 0
    step: int = 0  # batches of it that are done
    sums: dict[str, float] = field(default_factory=dict)  # of the losses over those batches
    history: list[dict[str, float]] = field(default_factory=list)  # one row per finished epoch
    best: dict[str, Any] | None = None  # score, epoch and weights, where the recipe keeps the best epoch's

    def add(self, losses: dict[str, float]) -> None:
        """Another batch is done."""
        self.step += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Mean losses of the epoch's batches."""
        return {name: total / self.step for name, total in self.sums.items()}

    def next_epoch(self, row: dict[str, float]) -> State:
        """The state at the beginning of the next epoch."""
        return State(self.epoch + 1, history=[*self.history, row], best=self.best)


class Checkpoint:
    """The file of a run, and what goes into it: torch's random numbers go with the parts."""

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        data: str,
        network: Network,
        average: AveragedModel | None,
        optimiser: Optimizer,
        schedule: LRScheduler,
    ) -> None:
        self._path, self._recipe, self._network = path, recipe, network
        self._run = {**recipe.identity(), "data": data}
        parts = {"model": network, "average": average, "optimiser": optimiser, "schedule": schedule}
        self._parts: dict[str, Any] = {name: part for name, part in parts.items() if part is not None}
        self._saved_s = time.monotonic()

    def due(self, step: int, every: int | None, every_s: float) -> bool:
        """Whether it is time to save."""
        return step % every == 0 if every is not None else time.monotonic() - self._saved_s >= every_s

    def save(self, state: State) -> None:
        """Write the file, all or nothing. Raises BadInput: it cannot be written."""
        content = {
            "format": FORMAT,
            "run": self._run,
            "network": msgspec.to_builtins(self._network.spec),
            "parts": {name: part.state_dict() for name, part in self._parts.items()},
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "state": {name: getattr(state, name) for name in State.__dataclass_fields__},
        }
        path, part = self._path, None
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as stream:
                part = Path(stream.name)
                torch.save(content, stream)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except OSError as error:
            raise BadInput("a folder that can be written", f"{path.parent} ({error.strerror})", "check --out") from None
        finally:
            if part is not None:
                part.unlink(missing_ok=True)
        self._saved_s = time.monotonic()

    def load(self) -> State:
        """Continue: weights, optimiser, schedule and random numbers. Raises BadInput: not a checkpoint of this run."""
        content = read(self._path)
        if content["run"] != self._run:
            raise BadInput(
                "the same settings and data as before",
                _difference(content["run"], self._run),
                "repeat the first command with --resume, or choose another --out",
            )
        for name, part in self._parts.items():
            part.load_state_dict(content["parts"][name])
        torch.set_rng_state(content["rng"])
        if content["cuda_rng"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(content["cuda_rng"])
        return State(**content["state"])


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's content; nothing in the file is run. Raises BadInput: not one of ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on pickle protocols; what matters is an error
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInput("a training checkpoint", f"{path} ({error.strerror})", HINT) from None
    except (pickle.UnpicklingError, zipfile.BadZipFile, *BROKEN) as error:
        raise BadInput("a training checkpoint", f"{path} ({type(error).__name__})", HINT) from None
    if not isinstance(content, dict) or not content.keys() >= KEYS or content["format"] != FORMAT:
        raise BadInput(f"a training checkpoint of format {FORMAT}", f"{path}, which is none", HINT)
    return content


class Opened(NamedTuple):
    """A network to evaluate or to start from."""

    network: Network  # in evaluation mode
    trained_on: str


def network_of(path: Path) -> Opened:
    """The network in a checkpoint: the averaged one, where there is one. Raises BadInput: not a checkpoint."""
    content = read(path)
    try:
        with torch.random.fork_rng(devices=[]):
            network = build(read_spec(content["network"]))
        parts, state = content["parts"], content["state"]
        weights = {name.removeprefix("module."): value for name, value in parts.get("average", parts["model"]).items()}
        weights.pop("n_averaged", None)
        weights = {name: value for name, value in weights.items() if not name.startswith(f"{AUXILIARY}.")}
        network.load_state_dict(weights)
        about = f"recipe {content['run']['name']}, {state['epoch']} of {content['run']['optimiser.epochs']} epochs"
    except BROKEN as error:
        raise BadInput("a training checkpoint", f"{path} ({type(error).__name__})", HINT) from None
    return Opened(network.eval(), about)


def _difference(before: Any, now: dict[str, Any]) -> str:
    """The first setting that differs."""
    before = before if isinstance(before, dict) else {}
    name = next((name for name in now if before.get(name) != now[name]), None)
    name = name or next(iter(before.keys() - now.keys()), "another run")
    return f"{name} {_short(now.get(name))} instead of {_short(before.get(name))}"


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else text[:39] + "…"
