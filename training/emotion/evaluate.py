"""An emotion model on stretches it was never trained on: Tables VI and VII, and how sure it is."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes import open_runtime
from engines.taxonomy import ACTIONS, EMOTIONS
from training.emotion.metrics import EmotionScores
from training.emotion.stretches import Source
from training.emotion.train import PURE, Predictions
from training.metrics import average_precision

BATCH = 8
SCORES_FILES = ("scores.csv", "actions.csv")


def judge(bundle: Bundle, source: Source, threads: int = 0) -> Predictions:
    """What an emotion model says of every stretch, with the fastest runtime that agrees.

    Raises:
        BadInput: it is no emotion model.
        RuntimeFailed: the runtime cannot run it.
    """
    spec = bundle.card.emotion
    emotion, actions = [], []
    with open_runtime(bundle, "auto", threads=threads) as runtime:
        for start in range(0, len(source), BATCH):
            examples = [source.item(index, 0) for index in range(start, min(start + BATCH, len(source)))]
            inputs = {name: np.stack([one.inputs[name] for one in examples]) for name in spec.inputs}
            outputs = runtime.run(inputs)
            emotion.append(outputs["emotion"].astype(np.float64))
            actions.append(outputs["actions"].astype(np.float64))
    felt, done = source.labels()
    return Predictions(
        np.concatenate(emotion),
        np.concatenate(actions),
        felt.astype(np.float64),
        done[:, list(spec.actions)].astype(np.float64),
    )


def certainty(bundle: Bundle, found: Predictions) -> dict[str, float]:
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


def report(name: str, found: Predictions, bundle: Bundle, console: Console, out: Path | None = None) -> EmotionScores:
    """Print the tables; `out` becomes a folder with `scores.csv` and `actions.csv`.

    Raises:
        BadInput: `out` cannot be written.
    """
    scores = found.scores()
    one = int(scores.confusion.sum())
    table = Table("score", "value", title=f"{name}: {scores.stretches} stretches, {one} of them of one emotion")
    rows = [*scores.rows(), *certainty(bundle, found).items()]
    for label, value in rows:
        table.add_row(label, "–" if np.isnan(value) else f"{value:.3f}")
    console.print(table)
    confusion = Table("true", *EMOTIONS, title="answers, rows true")
    for emotion, counts in zip(EMOTIONS, scores.confusion, strict=True):
        confusion.add_row(emotion, *map(str, counts.tolist()))
    console.print(confusion)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            _write(out / SCORES_FILES[0], [("score", "value"), *rows])
            _write(
                out / SCORES_FILES[1],
                [("index", "name", "stretches", "average_precision"), *_actions(found, bundle.card.emotion.actions)],
            )
        except OSError as error:
            raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another") from None
    return scores


def _actions(found: Predictions, indices: tuple[int, ...]) -> list[tuple[object, ...]]:
    positive = found.done > 0.5
    return [
        (
            index,
            ACTIONS[index].name,
            int(positive[:, at].sum()),
            average_precision(found.actions[:, at], positive[:, at]),
        )
        for at, index in enumerate(indices)
    ]


def _write(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
