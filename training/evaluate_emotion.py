"""An emotion model on windows it was never trained on: Tables VI and VII, and how sure it is."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes import open_runtime
from engines.taxonomy import ACTIONS, EMOTIONS
from simulation.emotion_cache import EmotionCache, EmotionPlan, plan_size
from training.data.emotion_examples import EmotionSource, SimulatedEmotion
from training.data.emotion_lists import read_emotion_list
from training.data.emotion_videos import Videos, prepare, prepared_path
from training.emotion_figures import FILES as FIGURES
from training.emotion_figures import draw_figures
from training.machine import Machine
from training.metrics import PURE, EmotionPredictions, average_precision

BATCH = 8
PER_VIDEO = 5  # windows of a video, evenly spread, whose answers are averaged
SCORES_FILES = ("scores.csv", "actions.csv", *FIGURES)


def judge(bundle: Bundle, source: EmotionSource, threads: int = 0, hidden: str = "") -> EmotionPredictions:
    """Answers of an emotion model to every window, with the fastest runtime that agrees.

    Args:
        hidden: the branch, "body" or "face", that is shown nothing.

    Raises:
        BadInput: it is no emotion model.
        RuntimeFailed: the runtime cannot run it.
    """
    spec = bundle.card.emotion
    felt, done = (labels.astype(np.float64) for labels in source.labels())
    done = done[:, list(spec.actions)]
    emotion, actions = [], []
    hiding = [f"{hidden}_seen"] if hidden else []
    with open_runtime(bundle, "auto", threads=threads) as runtime:
        for start in range(0, len(source), BATCH):
            examples = [source.item(index, 0) for index in range(start, min(start + BATCH, len(source)))]
            inputs = {name: np.stack([one[name] for one in examples]) for name in spec.inputs}
            outputs = runtime.run(inputs | {name: np.zeros_like(inputs[name]) for name in hiding})
            emotion.append(outputs["emotion"].astype(np.float64))
            actions.append(outputs.get("actions", np.zeros((len(examples), 0))).astype(np.float64))
    return EmotionPredictions(np.concatenate(emotion), np.concatenate(actions), felt, done)


def judge_videos(bundle: Bundle, source: Videos, folder: Path, threads: int = 0) -> None:
    """Scores of videos: of each, `PER_VIDEO` evenly spread windows are averaged, or one that is all of it.

    Raises BadInput as `judge` does.
    """
    source = replace(source, per_video=1 if source.whole else PER_VIDEO)
    branches = judge_branches(bundle, source, threads)
    found = {name: one.per_video(source.per_video) for name, one in branches.items()}
    report(f"{bundle.card.name}, videos", found, bundle, folder)


def judge_branches(bundle: Bundle, source: EmotionSource, threads: int = 0) -> dict[str, EmotionPredictions]:
    """`judge` with all that the network has, and with each of its branches alone where it has two."""
    found = {"all": judge(bundle, source, threads)}
    if {"body_seen", "face_seen"} <= bundle.card.emotion.inputs.keys():
        found |= {"face alone": judge(bundle, source, threads, "body")}
        found |= {"micro-actions alone": judge(bundle, source, threads, "face")}
    return found


def evaluate_videos(bundle: Bundle, path: Path, data: Path, machine: Machine, whole: bool = False) -> None:
    """`python -m training evaluate-emotion` on a list of videos. Raises BadInput: they cannot be used."""
    entries, spec, view = read_emotion_list(path, data), bundle.card.emotion, bundle.card.view
    prepare(entries, data, machine.cache, view, spec)
    files = [prepared_path(machine.cache, one, data, view, spec) for one in entries]
    source = Videos(False, 0, view == "landmarks", entries=entries, files=files, spec=spec, span_s=bundle.card.span_s)
    judge_videos(bundle, replace(source, whole=whole), machine.out, machine.threads)


def evaluate_interviews(bundle: Bundle, sessions: int, windows: int, seed: int, machine: Machine) -> None:
    """`python -m training evaluate-emotion` on simulated interviews of the test split.

    Raises:
        BadInput: not a model of the landmark view.
    """
    card = bundle.card
    if card.view != "landmarks":
        raise BadInput(
            "a model of the landmark view, for simulated interviews",
            f"{card.name}, of the {card.view} view",
            "give --data and --list",
        )
    spec = card.emotion
    plan = EmotionPlan("test", sessions, seed, spec.length, plan_size(spec), card.span_s, windows)
    cache = EmotionCache(machine.cache / plan.folder, plan, machine.draw_workers, machine.report)
    found = judge_branches(bundle, SimulatedEmotion(False, cache=cache, spec=spec), machine.threads)
    report(card.name, found, bundle, machine.out)


def certainty(bundle: Bundle, found: EmotionPredictions) -> dict[str, float]:
    """How sure the model is: mean of the highest probability where an emotion is felt, and where none is."""
    highest = bundle.probabilities(found.emotion.astype(np.float32)).max(axis=1)
    felt, calm = found.felt[:, : len(EMOTIONS)].max(axis=1) >= PURE, found.felt[:, len(EMOTIONS)] >= PURE
    right = found.emotion.argmax(axis=1) == found.felt.argmax(axis=1)
    return {
        name: float(highest[rows].mean()) if rows.any() else float("nan")
        for name, rows in (
            ("confidence_right", felt & right),
            ("confidence_wrong", felt & ~right),
            ("confidence_calm", calm),
        )
    } | {"calm_above_0.5": float((highest[calm] > 0.5).mean()) if calm.any() else float("nan")}


def report(name: str, branches: dict[str, EmotionPredictions], bundle: Bundle, out: Path) -> None:
    """Print the tables; `out` becomes a folder with `scores.csv`, `actions.csv` and the paper's Figs. 8 to 11.

    Args:
        branches: as from `judge_branches`; the first is scored.

    Raises:
        BadInput: `out` cannot be written.
    """
    found = next(iter(branches.values()))
    scores, console = found.scores(), Console()
    one = int(scores.confusion.sum())
    table = Table("score", "value", title=f"{name}: {scores.windows} emotion windows, {one} of them of one emotion")
    rows = [*scores.rows(), *certainty(bundle, found).items()]
    for label, value in rows:
        table.add_row(label, "–" if np.isnan(value) else f"{value:.3f}")
    console.print(table)
    confusion = Table("true", *EMOTIONS, title="answers, rows true")
    for emotion, counts in zip(EMOTIONS, scores.confusion, strict=True):
        confusion.add_row(emotion, *map(str, counts.tolist()))
    console.print(confusion)
    actions: list[tuple[object, ...]] = [("index", "name", "windows", "average_precision")]
    for index, logits, done in zip(bundle.card.emotion.actions, found.actions.T, found.done.T > 0.5, strict=True):
        actions.append((index, ACTIONS[index].name, int(done.sum()), average_precision(logits, done)))
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(out / SCORES_FILES[0], [("score", "value"), *rows])
        _write(out / SCORES_FILES[1], actions)
        draw_figures(branches, bundle.card.emotion.actions, out)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another") from None


def _write(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
