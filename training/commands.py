"""What the training commands do with their options: data in, weights and a bundle out."""

from __future__ import annotations

import argparse
import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch

from engines.bundle import Bundle
from engines.card import MOST_LETTERS, RESEARCH_USE, Calibration, ModelCard, Provenance
from engines.common.errors import BadInput
from engines.export.onnx_export import write_bundle
from engines.networks.contract import Network
from engines.specs.base import OFFICIAL_SPAN_S
from engines.specs.manet import MANetSpec
from training.data import ClipSource
from training.label_vectors import read_label_vectors
from training.lists import Entry, read_list, withheld
from training.losses import LossSettings
from training.metrics import mean_average_precision, score_clips
from training.models import open_network
from training.recipes import Recipe
from training.simulated import Cache, Plan, SimulatedWindows, course_of, preference_of
from training.train import FloatArray, Run, shown, train

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
    run = _run(options, recipe, spec, digest, about)
    source = ClipSource(entries, options.data, spec.length, spec.size, options.seed, augment=True)
    held = ClipSource(validation, options.data, spec.length, spec.size) if validation else None
    network = train(run, source, held, vectors, clip_scores)
    write_trained(network, options, run.trained_on, Calibration(), view="rgb")


def train_simulated(options: argparse.Namespace, recipe: Recipe) -> None:
    """`python -m training simulate`.

    Raises:
        BadInput: see `training.train` and `training.simulated.Cache`.
    """
    spec = msgspec.structs.replace(network_spec(options, embedding=False), mirrored=True)
    recipe = replace(recipe, loss=LossSettings(activation="sigmoid", alpha=0.0))
    if options.threads:
        torch.set_num_threads(options.threads)
    cache = options.cache or options.out / "drawings"
    plan = Plan("train", options.sessions, options.seconds, options.seed, spec.size, spec.length, options.focus)
    held_plan = replace(plan, split="validation", sessions=max(1, options.sessions // HELD_OUT_SHARE))
    train_cache, held_cache = Cache(cache / "train", plan), Cache(cache / "validation", held_plan)
    for drawn in (train_cache, held_cache):
        with shown(f"drawing {drawn.plan.split}", drawn.plan.sessions) as tell:
            drawn.fill(options.draw_workers, tell)
    windows = recipe.epochs_until(options.stop_after) * options.windows
    about = f"simulated interviews: {plan.sessions} sessions of {plan.seconds:g} s, {windows} windows"
    data = f"{plan.identity()} {plan.sessions} {plan.focus} {options.windows}"
    preference = preference_of(train_cache)
    run = replace(_run(options, recipe, spec, data, about), offsets=preference.offsets)
    held = SimulatedWindows(held_cache, min(MOST_HELD_OUT, held_plan.sessions * held_plan.positions))
    source = SimulatedWindows(train_cache, options.windows, options.seed, course_of(train_cache, preference))
    network = train(run, source, held, None, window_scores)
    write_trained(network, options, run.trained_on, SIGMOID, view="landmarks")


def _run(options: argparse.Namespace, recipe: Recipe, spec: MANetSpec, data: str, about: str) -> Run:
    """The run that the options ask for; `about` is what it is trained on, less what its first weights were."""
    if options.init is not None:
        about += f"; begun with {Path(options.init).name}, trained on {open_network(options.init)[1]}"
    return Run(
        recipe,
        spec,
        options.seed,
        options.out,
        data,
        about,
        options.workers,
        options.save_every,
        options.resume,
        options.device,
        options.init,
        options.stop_after,
    )


def window_scores(logits: FloatArray, targets: FloatArray) -> dict[str, float]:
    """What is reported of validation windows: binary cross-entropy summed over actions, and mean average precision."""
    loss = np.logaddexp(0.0, logits) - targets * logits
    return {"loss": float(loss.sum(axis=1).mean()), "map": mean_average_precision(logits, targets)}


def clip_scores(logits: FloatArray, targets: FloatArray) -> dict[str, float]:
    """What is reported of validation clips."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    probs = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    true = targets.argmax(axis=1)
    scores = score_clips(probs, true)
    loss = -float(np.log(probs[np.arange(len(true)), true] + 1e-12).mean())
    return {"loss": loss, "f1_mean": scores.f1_mean, "top1_fine": scores.top1_fine, "top1_coarse": scores.top1_coarse}


def network_spec(options: argparse.Namespace, embedding: bool) -> MANetSpec:
    """The network that the options ask for.

    Raises:
        BadInput: none can be built.
    """
    fields = {
        "depth": options.depth,
        "width": options.width,
        "length": options.length,
        "size": options.size,
        "se_ratio": 0 if options.no_se else MANetSpec().se_ratio,
        "embedding": embedding,
    }
    try:
        return msgspec.convert(fields, MANetSpec)
    except msgspec.ValidationError as error:
        raise BadInput("a network that can be built", str(error), "see --help") from None


def write_trained(
    network: Network,
    options: argparse.Namespace,
    trained_on: str,
    calibration: Calibration,
    use: str = RESEARCH_USE,
    *,
    view: str,
    span_s: float = OFFICIAL_SPAN_S,
) -> Bundle:
    """Export a trained network into the bundle that the options name.

    Raises:
        BadInput: the folder is taken.
        ExportFailed: the exported graph does not answer as the network does.
    """
    trained_on = textwrap.shorten(trained_on, MOST_LETTERS, placeholder=" …")  # models begun with models: a long story
    made_with = f"python -m training, recipe {options.recipe}, seed {options.seed} (torch {torch.__version__})"
    card = msgspec.convert(
        {
            "name": options.bundle.resolve().name,
            "network": network.spec,
            "intended_use": use,
            "view": view,
            "provenance": Provenance(trained=True, trained_on=trained_on, seed=options.seed, made_with=made_with),
            "calibration": calibration,
            "span_s": span_s,
        },
        ModelCard,
    )
    bundle = write_bundle(network, card, options.bundle, overwrite=options.resume)
    print(f"{bundle.path}: {bundle.card.name}, trained on {trained_on}")
    return bundle


def _labelled(path: Path, folder: Path) -> Sequence[Entry]:
    entries = read_list(path, folder)
    if withheld(entries):
        raise BadInput("a list with labels", f"{path}, where every index is 0", "labels of the test list are withheld")
    return entries
