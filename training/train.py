"""The training loop: seeded, deterministic, resumable in the middle of an epoch."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from engines.bundle import Float32Array
from engines.common.errors import BadInput, Failed
from engines.common.new_files import check_names_free
from engines.networks.contract import Network, VideoNetwork
from engines.networks.registry import build
from engines.specs.base import Spec
from training import state as states
from training.curves import write_curves
from training.data import Source, batches, epoch_order, items_per_batch
from training.losses import losses
from training.models import open_network, pick_device, start_from
from training.recipes import Recipe, make_optimiser, set_rate
from training.state import RUN_FILES, STATE_FILE, State

FloatArray = npt.NDArray[np.float64]

Scorer = Callable[[FloatArray, FloatArray], dict[str, float]]  # logits (N, 52), targets (N, 52) → named scores
SAVE_EVERY_S = 60.0
SIGMOID_PRIOR = 0.02  # one of 52 actions at a time


class TrainingFailed(Failed):
    """The loss is no longer a number."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training run, but for its data."""

    recipe: Recipe
    network: Spec
    seed: int
    out: Path  # folder for checkpoint and curves
    data: str  # what it is trained on, exactly: a run resumes only with the same
    trained_on: str  # the same for people, for the model card
    workers: int = 0
    save_every: int | None = None  # batches between checkpoints; by default one a minute
    resume: bool = False
    device: str = "auto"  # see `training.models.pick_device`
    init: str | None = None  # bundle or checkpoint whose weights to start from
    stop_after: int | None = None  # epochs of the recipe's schedule; None: all
    offsets: Float32Array | None = None  # (52,) added to logits in the loss alone, see `training.sampling`

    @property
    def epochs(self) -> int:
        """To train."""
        return self.recipe.epochs_until(self.stop_after)

    def identity(self) -> str:
        """All that decides the final weights, as JSON."""
        recipe = {f"recipe.{name}": value for name, value in asdict(self.recipe).items()}
        network = {f"network.{name}": value for name, value in msgspec.to_builtins(self.network).items()}
        about = {"seed": self.seed, "data": self.data, "init": self.init}
        return msgspec.json.encode({**about, **recipe, **network}).decode()


def train(
    run: Run, source: Source, validation: Source | None, label_vectors: Float32Array | None, score: Scorer
) -> Network:
    """Train a network; checkpoint, curves (CSV and picture) lie in `run.out`.

    Args:
        run: what to do.
        source: training examples.
        validation: examples scored after each epoch.
        label_vectors: (52, 300), needed where the embedding loss is on.
        score: what to report of the validation.

    Returns:
        The network after the last epoch (or `stop_after`), in evaluation mode.

    Raises:
        BadInput: an example cannot be read; `out` cannot be written, holds a run already, or holds another to resume.
        TrainingFailed: the loss is no longer a number.
    """
    file = _prepare(run)
    device = pick_device(run.device)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or CUDA's sums depend on the order of its threads
    torch.manual_seed(run.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    prior = SIGMOID_PRIOR if run.recipe.loss.activation == "sigmoid" else None
    network = new_network(run.network, run.recipe.dropout, prior)
    if run.init is not None:
        start_from(network, open_network(run.init)[0])
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # bfloat16 needs it to be fast
    optimiser = make_optimiser(run.recipe, network)
    state = states.resume(file, run.identity(), network, optimiser) if run.resume and file.exists() else State()
    vectors = None if label_vectors is None else torch.from_numpy(label_vectors).to(device)
    loop = _Loop(run, network, optimiser, vectors, file)
    with progress_bar() as progress:
        task = progress.add_task("training", total=run.recipe.epochs * loop.steps_per_epoch(source), loss="")
        while state.epoch < run.epochs:
            started = time.perf_counter()
            loop.epoch(source, state, lambda done, loss: progress.update(task, completed=done, loss=f"{loss:.3f}"))
            row = loop.row(state, len(source) * source.per_item, time.perf_counter() - started)
            if validation is not None:
                logits, targets = predict(network, validation, run.recipe.batch_size, run.workers)
                row |= {f"val_{name}": value for name, value in score(logits, targets).items()}
            state = State(state.epoch + 1, 0, history=[*state.history, row])
            loop.save(state)
            write_curves(run.out, state.history)
            progress.print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
    return network.cpu().eval()


def new_network(spec: Spec, dropout: float, prior: float | None = None) -> VideoNetwork:
    """A network with its initial weights.

    `prior`: the probability of each action that it begins with, for sigmoids (Lin et al. 2017, section 4.1).
    """
    network = build(spec)
    if not isinstance(network, VideoNetwork):
        raise BadInput("a video network", spec.title, "train it with a recipe of its own")
    nn.init.normal_(network.classifier.weight, std=0.001)  # as TSN: no action is preferred at first
    nn.init.constant_(network.classifier.bias, 0.0 if prior is None else math.log(prior / (1.0 - prior)))
    network.dropout.p = dropout
    return network


def predict(network: Network, source: Source, batch_size: int, workers: int = 0) -> tuple[FloatArray, FloatArray]:
    """Logits (N, 52) and targets (N, 52) of all examples of a source, float64."""
    training, device = network.training, next(network.parameters()).device
    network.eval()
    logits, targets = [], []
    with torch.inference_mode():
        for batch in batches(source, range(len(source)), 0, batch_size, workers):
            logits.append(network(batch.clips.to(device))["logits"].double().cpu().numpy())
            targets.append(batch.targets.double().numpy())
    network.train(training)
    return np.concatenate(logits), np.concatenate(targets)


def _prepare(run: Run) -> Path:
    """The checkpoint's path, in a folder that is there and free."""
    try:
        run.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{run.out} ({error.strerror})", "choose another") from None
    file = run.out / STATE_FILE
    if not (run.resume and file.exists()):
        check_names_free(run.out, RUN_FILES, "--out", "name another, or continue a training run with --resume")
    return file


def progress_bar() -> Progress:
    """Steps done, time left and the last loss, on standard error; silent where that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]}"),
        console=console,
        disable=not console.is_terminal,
    )


@contextmanager
def shown(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar for what has no loss, as what is told how much of it is done."""
    with progress_bar() as progress:
        task = progress.add_task(what, total=total, loss="")
        yield lambda done: progress.update(task, completed=done)


class _Loop:
    """One run's moving parts."""

    def __init__(
        self, run: Run, network: Network, optimiser: torch.optim.Optimizer, vectors: Tensor | None, file: Path
    ) -> None:
        self._run, self._recipe = run, run.recipe
        self._network, self._optimiser, self._vectors, self._file = network, optimiser, vectors, file
        self._device = next(network.parameters()).device
        self._offsets = None if run.offsets is None else torch.from_numpy(run.offsets).to(self._device)
        self._saved_s = time.monotonic()

    def steps_per_epoch(self, source: Source) -> int:
        return -(-len(source) // items_per_batch(source, self._recipe.batch_size))

    def epoch(self, source: Source, state: State, report: Callable[[int, float], None]) -> None:
        """Train the rest of an epoch; `state` is kept up to date."""
        recipe, steps = self._recipe, self.steps_per_epoch(source)
        done = state.position * items_per_batch(source, recipe.batch_size)
        order = epoch_order(len(source), self._run.seed, state.epoch)[done:]
        self._network.train()
        for batch in batches(source, order, state.epoch, recipe.batch_size, self._run.workers):
            step = state.epoch * steps + state.position
            set_rate(self._optimiser, recipe.learning_rate * recipe.rate_at(step, steps))
            values = self._step(batch.clips, batch.targets)
            state.sums = [total + value * len(batch.clips) for total, value in zip(state.sums, values, strict=True)]
            state.position += 1
            report(step + 1, values[0])
            if self._due(state.position):
                self.save(state)

    def _step(self, clips: Tensor, targets: Tensor) -> tuple[float, float, float]:
        network, device = self._network, self._device
        clips, targets = clips.to(device), targets.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._recipe.mixed_precision):
            heads = network(clips)
        if self._offsets is not None:
            heads = heads | {"logits": heads["logits"].float() + self._offsets}
        loss = losses(heads, targets, self._vectors, self._recipe.loss)
        values = loss.total.item(), loss.classification.item(), loss.embedding.item()
        if not np.isfinite(values[0]):
            raise TrainingFailed("the loss is no longer a number; a lower learning rate may help")
        self._optimiser.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), self._recipe.clip_norm)
        self._optimiser.step()
        return values

    def _due(self, position: int) -> bool:
        if self._run.save_every is not None:
            return position % self._run.save_every == 0
        return time.monotonic() - self._saved_s >= SAVE_EVERY_S

    def save(self, state: State) -> None:
        run, trained_on = self._run, self._run.trained_on
        if state.epoch < run.epochs:  # for whoever begins with this checkpoint
            trained_on = f"broken off in epoch {state.epoch + 1} of {run.epochs}: {trained_on}"
        states.save(self._file, run.identity(), trained_on, self._network, self._optimiser, state)
        self._saved_s = time.monotonic()

    def row(self, state: State, examples: int, seconds: float) -> dict[str, float]:
        """An epoch's line in the curves."""
        rate = max(group["lr"] / group["scale"] for group in self._optimiser.param_groups)
        total, classification, embedding = (value / examples for value in state.sums)
        return {
            "epoch": state.epoch + 1,
            "learning_rate": rate,
            "loss": total,
            "classification": classification,
            "embedding": embedding,
            "seconds": seconds,
        }
