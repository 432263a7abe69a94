"""One command from a recipe to a bundle: data, training, export, calibration, report."""

from __future__ import annotations

import subprocess
import tempfile
import textwrap
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import torch

from engines.bundle import Bundle, check_target
from engines.card import MOST_LETTERS, ModelCard, Provenance
from engines.export.onnx_export import write_bundle
from engines.networks.contract import Network
from training.checkpoint import AUXILIARY, REPORT, SCORES, State
from training.loop import Options, train
from training.machine import Machine
from training.recipe import Recipe
from training.start import digest_of_start, open_network
from training.tasks import open_task
from training.tasks.base import RecipeTask

MODEL = "model"  # in the run's folder


def run(recipe: Recipe, machine: Machine, options: Options) -> Bundle:
    """`python -m training run`: train, write the bundle, fit its calibration, judge it, report.

    Raises:
        BadInput: the recipe or its data cannot be used, or the folder holds something else.
        Failed: training or export broke.
    """
    target = machine.out / MODEL
    check_target(target, options.resume)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    digest_of_start(recipe)  # before anything is made: what it starts from is there
    task = open_task(recipe, machine)
    network, state = train(recipe, task, machine.out, options)
    if hasattr(network, AUXILIARY):
        delattr(network, AUXILIARY)
    bundle, fitted = _bundle(recipe, task, network, target, options.resume)
    if not (machine.out / SCORES).exists():
        with tempfile.TemporaryDirectory(dir=machine.out, prefix=".scores-") as folder:
            task.judge(bundle, Path(folder) / SCORES)
            if (Path(folder) / SCORES).exists():
                (Path(folder) / SCORES).rename(machine.out / SCORES)  # whole, or not at all
    (machine.out / REPORT).write_text(_report(recipe, task, bundle, state, fitted), encoding="utf-8")
    print(f"{bundle.path}: {bundle.card.name}, trained on {bundle.card.provenance.trained_on}; {fitted}")
    return bundle


def _bundle(
    recipe: Recipe, task: RecipeTask[Any], network: Network, target: Path, overwrite: bool
) -> tuple[Bundle, str]:
    """The bundle with what is fitted, and a line about that."""
    card = msgspec.convert(
        {
            "name": recipe.name,
            "network": network.spec,
            "intended_use": task.intended_use,
            "view": task.view,
            "provenance": provenance(recipe, task),
            "calibration": task.calibration,
            "span_s": task.span_s,
        },
        ModelCard,
    )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".uncalibrated-") as folder:
        raw = write_bundle(network, card, Path(folder) / MODEL)
        fitted = task.calibrate(raw)
        calibration, line = fitted or (task.calibration, f"calibration {task.calibration.basis}")
        return raw.derive(target, calibration=calibration, overwrite=overwrite), line


def provenance(recipe: Recipe, task: RecipeTask[Any]) -> Provenance:
    """Where the weights come from: the recipe, this program's revision, the data."""
    about = task.about
    if recipe.start is not None:
        how = "kept" if recipe.start.freeze else "begun with"
        about += f"; {how} {recipe.start.name}"
        if recipe.start.model is not None:
            about += f", trained on {open_network(recipe.start.model).trained_on}"
    return Provenance(
        trained=True,
        trained_on=_line(about),
        seed=recipe.seed,
        made_with=f"python -m training run {recipe.name} (torch {torch.__version__})",
        recipe_sha256=recipe.digest,
        data_sha256=task.data,
        revision=revision(),
    )


def revision() -> str:
    """The program's git revision, marked where files were changed, or its version."""
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    if head:
        return head + (" with changes" if git("status", "--porcelain", "--", "..") else "")
    try:
        return f"version {version('manet-live')}"
    except PackageNotFoundError:
        return "unknown"


def _report(recipe: Recipe, task: RecipeTask[Any], bundle: Bundle, state: State, fitted: str) -> str:
    made: Any = bundle.card.provenance
    kept = state.best["epoch"] if state.best is not None else state.epoch
    rows = {
        "recipe": f"{recipe.name}, SHA-256 {made.recipe_sha256}",
        "program": f"{made.revision}; {made.made_with}",
        "data": f"{task.about}; SHA-256 {made.data_sha256}",
        "seed": recipe.seed,
        "network": bundle.card.network.title,
        "weights": f"of epoch {kept} of {recipe.optimiser.epochs}" + (", averaged" if recipe.optimiser.average else ""),
        "calibration": f"{fitted} ({bundle.card.calibration.basis})",
    }
    rows |= {name: f"{value:.4g}" for name, value in state.history[kept - 1].items() if name != "epoch"}
    lines = [f"# {bundle.card.name}", "", "| | |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items()), ""])


def _line(text: str) -> str:
    """What fits into a card: models begun with models are a long story."""
    return textwrap.shorten(text, MOST_LETTERS, placeholder=" …")
