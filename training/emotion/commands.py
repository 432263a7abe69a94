"""What the emotion commands do with their options: stretches in, weights and a bundle out."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import torch
from rich.console import Console

from engines.bundle import Bundle, find
from engines.card import Calibration
from engines.common.errors import BadInput
from engines.common.new_files import check_names_free
from engines.networks.contract import Network
from engines.specs.base import EmotionSpec
from engines.specs.maenet import LENGTH as STRETCH_LENGTH
from engines.specs.maenet import MAENetSpec
from engines.specs.manet import MANetSpec
from training.commands import write_trained
from training.emotion.evaluate import SCORES_FILES, judge, report
from training.emotion.lists import LabelledVideo, read_emotion_list, split_subjects
from training.emotion.simulated import Plan, Stretches
from training.emotion.train import EmotionRun, train_emotion
from training.emotion.videos import Videos, prepare, prepared_path
from training.models import open_network
from training.recipes import Recipe
from training.train import shown

PER_VIDEO = 5  # stretches, evenly spread, whose answers are averaged
HELD_OUT_SHARE = 40  # one session of another split, to validate, for this many to train on
SCORES_FOLDER = "scores"  # beside what was prepared of videos
USE = (
    "Research on expressions and micro-actions of one seated person who has agreed to it. It judges expressions, "
    "not feelings. Not for workplaces, education or job interviews: prohibited in the EU (AI Act, Art. 5)."
)
CALIBRATION = Calibration(activation="softmax", basis="none: raw softmax of the emotions, raw sigmoids of the actions")


def simulate_emotion(options: argparse.Namespace, recipe: Recipe) -> None:
    """`python -m training simulate-emotion`. Raises BadInput: see `train_emotion` and `Stretches`."""
    spec = emotion_network(options)
    body, about = _start(options)
    if options.threads:
        torch.set_num_threads(options.threads)
    cache = options.cache or options.out / "stretches"
    drawn = emotion_network(options, branches="full")  # one set of drawings serves every ablation
    plan = Plan("train", options.sessions, options.seed, drawn, options.span, options.stretches)
    held_plan = replace(plan, split="validation", sessions=max(1, options.sessions // HELD_OUT_SHARE))
    source = Stretches(plan, cache / "train", vary=True, seed=options.seed)
    held = Stretches(held_plan, cache / "validation", vary=False)
    _fill([source, held], options.draw_workers)
    told = f"simulated interviews: {plan.sessions} sessions, {len(source)} stretches, {recipe.epochs} epochs{about}"
    run = EmotionRun(
        recipe,
        spec,
        options.seed,
        options.out,
        f"{plan.identity()} {plan.sessions} {about}",
        options.beta,
        not options.no_class_weights,
        options.freeze_body,
        options.resume,
    )
    network = train_emotion(run, source, held, body, print)
    write_trained(network, options, told, CALIBRATION, USE, view="landmarks", span_s=options.span)


def train_on_videos(options: argparse.Namespace, recipe: Recipe) -> None:
    """`python -m training emotion`. Raises BadInput: see `train_emotion`, `read_emotion_list` and `prepare`."""
    spec = emotion_network(options)
    entries = read_emotion_list(options.list, options.data)
    if options.held_list is not None:
        train, held = entries, read_emotion_list(options.held_list, options.data)
        both = {one.subject for one in train} & {one.subject for one in held}
        if both:
            raise BadInput("lists without a subject in both", f"{min(both)!r} in both", "move that subject's videos")
    else:
        train, held = split_subjects(entries, options.held_out, options.seed)
    body, about = _start(options)
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = options.prepared or options.out / "prepared"
    prepare((*train, *held), options.data, folder, options.view, spec)
    sources = [
        Videos(
            part,
            _files(part, options, folder, spec),
            spec,
            options.span,
            view=options.view,
            vary=varied,
            seed=options.seed,
        )
        for part, varied in ((train, True), (held, False))
    ]
    told = (
        f"{options.data_name}: {len(train)} videos of {len({one.subject for one in train})} subjects, "
        f"{recipe.epochs} epochs{about}"
    )
    run = EmotionRun(
        recipe,
        spec,
        options.seed,
        options.out,
        f"{listed_digest(options.list)} {about} {options.span}",
        options.beta,
        not options.no_class_weights,
        options.freeze_body,
        options.resume,
    )
    network = train_emotion(run, sources[0], sources[1], body, print)
    bundle = write_trained(network, options, told, CALIBRATION, USE, view=options.view, span_s=options.span)
    _judge_videos(bundle, held, options, folder)


def _judge_videos(bundle: Bundle, entries: Sequence[LabelledVideo], options: argparse.Namespace, folder: Path) -> None:
    spec = bundle.card.emotion
    source = Videos(
        entries,
        _files(entries, options, folder, spec, bundle.card.view),
        spec,
        bundle.card.span_s,
        view=bundle.card.view,
        per_video=PER_VIDEO,
    )
    found = judge(bundle, source, options.threads or 0).per_video(PER_VIDEO)
    report(f"{bundle.card.name}, videos", found, bundle, Console(), options.out / SCORES_FOLDER)


def _files(
    entries: Sequence[LabelledVideo],
    options: argparse.Namespace,
    folder: Path,
    spec: EmotionSpec,
    view: str | None = None,
) -> list[Path]:
    return [prepared_path(folder, one, options.data, view or options.view, spec) for one in entries]


def evaluate_emotion(options: argparse.Namespace) -> None:
    """`python -m training evaluate-emotion`, on videos where `--list` is given, else on simulated interviews.

    Raises:
        BadInput: not an emotion model, of the wrong view, or videos that cannot be used.
    """
    bundle = Bundle.load(find(options.model))
    spec = bundle.card.emotion
    scores = options.out if options.list is None else options.out / SCORES_FOLDER
    check_names_free(scores, SCORES_FILES, "--out")
    if options.list is not None:
        if options.data is None:
            raise BadInput("--data with --list", "none", "give the folder of the videos")
        entries = read_emotion_list(options.list, options.data)
        folder = options.prepared or options.out / "prepared"
        prepare(entries, options.data, folder, bundle.card.view, spec)
        _judge_videos(bundle, entries, options, folder)
        return
    if bundle.card.view != "landmarks":
        raise BadInput(
            "a model of the landmark view, for simulated interviews",
            f"{bundle.card.name}, of the {bundle.card.view} view",
            "give --data and --list",
        )
    plan = Plan("test", options.sessions, options.seed, spec, bundle.card.span_s, options.stretches)
    source = Stretches(plan, options.cache or options.out / "stretches", vary=False)
    _fill([source], options.draw_workers)
    report(bundle.card.name, judge(bundle, source, options.threads or 0), bundle, Console(), options.out)


def emotion_network(options: argparse.Namespace, branches: str | None = None) -> MAENetSpec:
    """The network that the options ask for.

    Raises:
        BadInput: none can be built.
    """
    body = {
        "architecture": "manet",
        "depth": options.depth,
        "width": options.width,
        "length": STRETCH_LENGTH,
        "size": options.size,
        "embedding": False,
        "se_ratio": 0 if options.no_se else MANetSpec().se_ratio,
    }
    face = body | {"width": options.face_width, "size": options.face_size}
    branches = branches or options.branches
    fields = {
        "body": None if branches == "face" else body,
        "face": None if branches == "action" else face,
        "lower_limb": not options.no_lower_limb,
    }
    try:
        return msgspec.convert(fields, MAENetSpec)
    except msgspec.ValidationError as error:
        raise BadInput("a network that can be built", str(error), "see --help") from None


def listed_digest(path: Path) -> str:
    """What decides a list's videos, for a run's identity."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _start(options: argparse.Namespace) -> tuple[Network | None, str]:
    """The micro-action network to start from, and words about it."""
    if options.init_body is None:
        return None, ""
    network, trained_on = open_network(options.init_body)
    how = "kept" if options.freeze_body else "begun with"
    return network, f"; micro-action branch {how} {Path(options.init_body).name}, trained on {trained_on}"


def _fill(sources: list[Stretches], workers: int) -> None:
    for source in sources:
        with shown(f"drawing {source.plan.split}", source.plan.sessions) as tell:
            source.fill(workers, tell)
