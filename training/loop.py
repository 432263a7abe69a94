"""The training loop, for every network and task: seeded, deterministic, resumable at any batch."""

from __future__ import annotations

import bisect
import itertools
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from engines.common.errors import BadInput, Failed
from engines.common.new_files import check_names_free
from engines.networks.contract import Network
from engines.networks.registry import build
from training.checkpoint import RUN_FILES, STATE_FILE, Checkpoint, State
from training.curves import write_curves
from training.recipe import Optimiser, Recipe
from training.start import begin, digest_of_start

Batch = dict[str, Tensor]
SAVE_EVERY_S = 60.0
# One cycle (Smith and Topin 2018), its shape in common use: up to the highest rate, then down to almost nothing.
WARM_UP_SHARE, START_RATE, END_RATE = 0.15, 0.04, 0.002
FIRST_RATE = 0.1  # of "steps" and "cosine" where a warm-up begins, as mmaction2 has it


class TrainingFailed(Failed):
    """The loss is no longer a number."""


class Task(Protocol):
    """What is learnt: examples, loss and scores. Everything random in a batch is a function of seed and epoch."""

    data: str  # all that decides the examples, as a digest: a run resumes only with the same

    def prepare(self, network: Network) -> None:
        """Initial weights, frozen parts: once, on the network's device."""

    def steps(self, epoch: int) -> int:
        """Batches of an epoch."""

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        """The batches of an epoch from number `first` on. Raises BadInput: an example cannot be read."""

    def loss(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """Means over a batch by name, the first of which is minimised."""

    def evaluate(self, network: Network) -> dict[str, float]:
        """Scores of the validation by name; none without one."""


class Options(NamedTuple):
    """What does not decide the weights."""

    resume: bool = False
    device: str = "auto"  # see `pick_device`
    save_every: int | None = None  # batches between checkpoints; by default one a minute
    progress: Progress | None = None  # where the bar goes; one of its own by default


def train(recipe: Recipe, task: Task, out: Path, options: Options | None = None) -> tuple[Network, State]:
    """Train a network; checkpoint and curves (CSV and picture) lie in `out`.

    Long: one function, to be read top to bottom.

    Returns:
        The selected network in evaluation mode on the CPU, and the finished run's state.

    Raises:
        BadInput: an example cannot be read; `out` cannot be written, holds a run already, or holds another to resume.
        TrainingFailed: the loss is no longer a number.
    """
    options, settings = options or Options(), recipe.optimiser
    file = _state_file(out, options.resume)
    device = pick_device(options.device)
    _seed(recipe.seed)
    network = build(recipe.spec).to(device)
    _set_up(network, settings)
    frozen = begin(network, recipe)
    task.prepare(network)
    average = _average(network, settings)
    kept = network if average is None else cast(Network, average.module)  # what is evaluated and kept in the end
    optimiser = make_optimiser(settings, network)
    steps = [task.steps(epoch) for epoch in range(settings.epochs)]
    schedule = make_schedule(settings, optimiser, steps)
    data = f"{task.data} {digest_of_start(recipe)}"
    checkpoint = Checkpoint(file, recipe, data, network, average, optimiser, schedule)
    state = checkpoint.load() if options.resume and file.exists() else State()

    with progress_bar() if options.progress is None else nullcontext(options.progress) as progress:
        bar = progress.add_task("training", total=sum(steps), loss="")
        while state.epoch < settings.epochs:
            started, rate = time.perf_counter(), optimiser.param_groups[0]["lr"]
            network.train()
            for part in frozen:
                part.eval()  # batch norms, too, stay as they are
            for batch in task.batches(state.epoch, state.step):
                inputs = {name: tensor.to(device) for name, tensor in batch.items()}
                with torch.autocast(device.type, torch.bfloat16, enabled=settings.mixed_precision):
                    losses = task.loss(network, inputs)
                loss = next(iter(losses.values()))
                if not math.isfinite(loss.item()):
                    raise TrainingFailed("the loss is no longer a number; a lower optimiser.learning_rate may help")
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                if settings.clip_norm is not None:
                    nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
                optimiser.step()
                rate = optimiser.param_groups[0]["lr"]
                schedule.step()
                if average is not None:
                    average.update_parameters(network)
                state.add({name: value.item() for name, value in losses.items()})
                done = sum(steps[: state.epoch]) + state.step
                progress.update(bar, completed=done, loss=f"{loss.item():.3f}")
                if checkpoint.due(state.step, options.save_every, SAVE_EVERY_S):
                    checkpoint.save(state)
            scores = task.evaluate(kept.eval())
            row = {"epoch": state.epoch + 1, "learning_rate": rate, **state.means()}
            row |= {f"val_{name}": value for name, value in scores.items()} | {"seconds": time.perf_counter() - started}
            _select(recipe, state, kept, row)
            state = state.next_epoch(row)
            checkpoint.save(state)
            write_curves(out, state.history)
            progress.print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
    if state.best is not None:
        kept.load_state_dict(state.best["model"])
    return kept.cpu().eval(), state


def make_optimiser(settings: Optimiser, network: Network) -> torch.optim.Optimizer:
    """The recipe's optimiser over the network's groups of parameters."""
    groups = network.parameter_groups(settings)
    for group in groups:
        group["lr"] = settings.learning_rate * group.pop("scale")
    if settings.kind == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum, nesterov=settings.nesterov)
    return torch.optim.AdamW(groups)


def make_schedule(
    settings: Optimiser, optimiser: torch.optim.Optimizer, steps: Sequence[int]
) -> lr_scheduler.LRScheduler:
    """The learning rate of every step; `steps` are the batches of each epoch."""
    if settings.schedule == "one_cycle":
        return lr_scheduler.OneCycleLR(
            optimiser,
            [group["lr"] for group in optimiser.param_groups],
            total_steps=sum(steps),
            pct_start=WARM_UP_SHARE,
            cycle_momentum=False,
            div_factor=1.0 / START_RATE,
            final_div_factor=START_RATE / END_RATE,
        )
    ends = [0, *itertools.accumulate(steps)]
    milestones = settings.milestones if settings.schedule == "steps" else ()
    falls = [ends[epoch] for epoch in milestones if epoch < len(ends)]
    warm_up = settings.warm_up * ends[-1] / len(steps)

    def share(step: int) -> float:
        """Of the full rate, before a step."""
        rising = FIRST_RATE + (1.0 - FIRST_RATE) * step / warm_up if step < warm_up else 1.0
        if settings.schedule == "cosine":
            return rising * (1.0 + math.cos(math.pi * step / ends[-1])) / 2.0
        return rising * 0.1 ** bisect.bisect_right(falls, step)

    return lr_scheduler.LambdaLR(optimiser, share)


def pick_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one.

    Raises:
        BadInput: CUDA was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise BadInput("a CUDA device for --device cuda", "none that torch can use", "leave --device out")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def progress_bar() -> Progress:
    """Steps done, time left and the last loss, on standard error; silent where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(
        *columns,
        TextColumn("{task.fields[loss]}"),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )


def _seed(seed: int) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or CUDA's sums depend on the order of its threads
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _set_up(network: Network, settings: Optimiser) -> None:
    """The recipe's dropout; weights of 2-D convolutions in the layout in which bfloat16 is fast."""
    for module in network.modules():
        if isinstance(module, nn.Dropout) and settings.dropout is not None:
            module.p = settings.dropout
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _average(network: Network, settings: Optimiser) -> AveragedModel | None:
    if settings.average is None:
        return None
    update = get_ema_multi_avg_fn(settings.average)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


def _select(recipe: Recipe, state: State, network: Network, row: dict[str, float]) -> None:
    """Keep the weights of the best epoch, where the recipe says so."""
    if recipe.selection.keep == "last":
        return
    name = f"val_{recipe.selection.score}"
    if name not in row:
        known = ", ".join(one.removeprefix("val_") for one in row if one.startswith("val_")) or "none"
        raise BadInput("a selection.score of the validation", repr(recipe.selection.score), f"it has {known}")
    if state.best is None or row[name] > state.best["score"]:
        weights = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
        state.best = {"score": row[name], "epoch": state.epoch + 1, "model": weights}


def _state_file(out: Path, resume: bool) -> Path:
    """The checkpoint's path, in a folder that exists and is free."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another") from None
    file = out / STATE_FILE
    if not (resume and file.exists()):
        check_names_free(out, RUN_FILES, "--out", "name another, or continue a training run with --resume")
    return file
