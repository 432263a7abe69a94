"""What the training commands do with their options: data in, weights and a bundle out."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import torch
from rich.progress import Progress, TaskID

from engines.bundle import Bundle, find
from engines.card import Calibration, ModelCard, Provenance
from engines.errors import BadInput
from engines.export import write_bundle
from engines.networks.manet import MANet
from engines.spec import NetworkSpec
from engines.taxonomy import ACTIONS
from simulation.session import Settings, simulate
from simulation.windows import events_of, window_logits
from simulation.windows import targets as targets_of
from training.data import ClipSource
from training.label_vectors import read_label_vectors
from training.lists import Entry, read_list, withheld
from training.losses import LossSettings
from training.metrics import average_precision, mean_average_precision, score_clips
from training.models import open_network
from training.recipes import Recipe
from training.simulated import Cache, Plan, SimulatedWindows
from training.train import FloatArray, Run, progress_bar, train

RESEARCH_USE = ("Research on micro-actions of one seated person. Not for judging people at work, in education or in "
                "job interviews.")

HELD_OUT_SHARE = 20  # one session of another split, to validate, for this many to train on
MOST_HELD_OUT = 2000  # windows
SIGMOID = Calibration(activation="sigmoid", basis="none: raw sigmoid")


def train_clips(options: argparse.Namespace, recipe: Recipe) -> None:
    """`python -m training train`.

    Raises:
        BadInput: see `training.train`, and a list or label vectors that cannot be used.
    """
    spec = network_spec(options, embedding=recipe.loss.alpha > 0.0)
    entries = _labelled(options.train_list, options.data)
    validation = _labelled(options.val_list, options.data) if options.val_list else None
    vectors = None
    if spec.embedding:
        if options.label_vectors is None:
            raise BadInput("--label-vectors for the embedding loss", "none", "give them, or --no-embedding")
        vectors = read_label_vectors(options.label_vectors)
    if options.threads:
        torch.set_num_threads(options.threads)
    listed = "".join(f"{entry.name} {entry.index}\n" for entry in entries).encode()
    about = f"{options.data_name}: {len(entries)} clips of {len({entry.index for entry in entries})} actions"
    digest = hashlib.sha256(listed + (b"" if vectors is None else vectors.tobytes())).hexdigest()
    if options.init is not None:
        about += f"; begun with {Path(options.init).name}, trained on {open_network(options.init)[1]}"
    run = Run(recipe, spec, options.seed, options.out, digest, about, options.workers, options.save_every,
              options.resume, options.device, options.init)  # fmt: skip
    source = ClipSource(entries, options.data, spec.length, spec.size, options.seed, augment=True)
    held = ClipSource(validation, options.data, spec.length, spec.size) if validation else None
    network = train(run, source, held, vectors, clip_scores)
    write_trained(network, options, about, Calibration(), view="rgb")


def train_simulated(options: argparse.Namespace, recipe: Recipe) -> None:
    """`python -m training simulate`.

    Raises:
        BadInput: see `training.train` and `training.simulated.Cache`.
    """
    spec = network_spec(options, embedding=False)
    recipe = replace(recipe, loss=LossSettings(activation="sigmoid", alpha=0.0))
    if options.threads:
        torch.set_num_threads(options.threads)
    cache = options.cache or options.out / "drawings"
    plan = Plan("train", options.sessions, options.seconds, options.seed, spec.size, spec.length, options.focus)
    held_plan = replace(plan, split="validation", sessions=max(1, options.sessions // HELD_OUT_SHARE))
    train_cache, held_cache = Cache(cache / "train", plan), Cache(cache / "validation", held_plan)
    for drawn in (train_cache, held_cache):
        with progress_bar() as progress:
            task = progress.add_task(f"drawing {drawn.plan.split}", total=drawn.plan.sessions, loss="")
            drawn.fill(options.draw_workers, partial(_show, progress, task))
    about = (f"simulated interviews: {plan.sessions} sessions of {plan.seconds:g} s, "
             f"{recipe.epochs * options.windows} windows")  # fmt: skip
    data = f"{plan.identity()} {plan.sessions} {plan.focus} {options.windows}"
    run = Run(recipe, spec, options.seed, options.out, data, about, options.workers, options.save_every,
              options.resume, options.device)  # fmt: skip
    held = SimulatedWindows(held_cache, min(MOST_HELD_OUT, held_plan.sessions * held_plan.positions), vary=False)
    network = train(run, SimulatedWindows(train_cache, options.windows, options.seed), held, None, window_scores)
    write_trained(network, options, about, SIGMOID, view="landmarks")


def _show(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)


def window_scores(logits: FloatArray, targets: FloatArray) -> dict[str, float]:
    """What is reported of validation windows: binary cross-entropy summed over actions, and mean average precision."""
    loss = np.logaddexp(0.0, logits) - targets * logits
    return {"loss": float(loss.sum(axis=1).mean()), "map": mean_average_precision(logits, targets)}


def evaluate_simulated(options: argparse.Namespace) -> None:
    """`python -m training evaluate-simulated`: windows of sessions never trained on, on the live grid.

    Raises:
        BadInput: not a bundle of the landmark view.
    """
    bundle = Bundle.load(find(options.model))
    card = bundle.card
    if card.view != "landmarks":
        raise BadInput("a model of the landmark view", f"{card.name}, of the {card.view} view", "choose another")
    logits, wanted = [], []
    for number in range(options.sessions):
        settings = Settings(split="test", mode=options.mode)
        session = simulate(options.seed + number, options.seconds, settings=settings)
        ends_ns, found = window_logits(bundle, session, threads=options.threads or 0)
        logits.append(found.astype(np.float64))
        ends_s = ends_ns.astype(np.float64) * 1e-9
        wanted.append(targets_of(events_of(session), ends_s, card.span_s, card.length, options.focus))
    all_logits, all_targets = np.concatenate(logits), np.concatenate(wanted).astype(np.float64)
    scores = window_scores(all_logits, all_targets)
    print(f"{card.name} on {options.sessions} {options.mode} sessions of {options.seconds:g} s, {len(all_logits)} "
          f"windows: mAP {100 * scores['map']:.2f}, loss {scores['loss']:.4f}")  # fmt: skip
    if options.out is not None:
        _write_precisions(options.out, all_logits, all_targets)


def _write_precisions(path: Path, logits: FloatArray, targets: FloatArray) -> None:
    """Average precision of each action as CSV; empty for one that fills no window by half."""
    positive = targets >= 0.5
    lines = ["index,action,body_part,windows,average_precision"]
    for action in ACTIONS:
        count = int(positive[:, action.index].sum())
        precision = f"{average_precision(logits[:, action.index], positive[:, action.index]):.4f}" if count else ""
        lines.append(f"{action.index},{action.name},{action.body_part},{count},{precision}")
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput("a file that can be written", f"{path} ({error.strerror})", "check --out") from None


def clip_scores(logits: FloatArray, targets: FloatArray) -> dict[str, float]:
    """What is reported of validation clips."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    probs = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    true = targets.argmax(axis=1)
    scores = score_clips(probs, true)
    loss = -float(np.log(probs[np.arange(len(true)), true] + 1e-12).mean())
    return {"loss": loss, "f1_mean": scores.f1_mean, "top1_fine": scores.top1_fine, "top1_coarse": scores.top1_coarse}


def network_spec(options: argparse.Namespace, embedding: bool) -> NetworkSpec:
    """The network that the options ask for.

    Raises:
        BadInput: none can be built.
    """
    fields = {"depth": options.depth, "width": options.width, "length": options.length, "size": options.size,
              "se_ratio": 0 if options.no_se else NetworkSpec().se_ratio, "embedding": embedding}
    try:
        return msgspec.convert(fields, NetworkSpec)
    except msgspec.ValidationError as error:
        raise BadInput("a network that can be built", str(error), "see --help") from None


def write_trained(network: MANet, options: argparse.Namespace, trained_on: str, calibration: Calibration, *,
                  view: str) -> None:
    """Export a trained network into the bundle that the options name.

    Raises:
        BadInput: the folder is taken.
        ExportFailed: the exported graph does not answer as the network does.
    """
    made_with = f"python -m training, recipe {options.recipe}, seed {options.seed} (torch {torch.__version__})"
    card = msgspec.convert({
        "name": options.bundle.resolve().name, "network": network.spec, "intended_use": RESEARCH_USE, "view": view,
        "provenance": Provenance(trained=True, trained_on=trained_on, seed=options.seed, made_with=made_with),
        "calibration": calibration,
    }, ModelCard)  # fmt: skip
    bundle = write_bundle(network, card, options.bundle, overwrite=options.resume)
    print(f"{bundle.path}: {bundle.card.name}, trained on {trained_on}")


def _labelled(path: Path, folder: Path) -> Sequence[Entry]:
    entries = read_list(path, folder)
    if withheld(entries):
        raise BadInput("a list with labels", f"{path}, where every index is 0", "labels of the test list are withheld")
    return entries
