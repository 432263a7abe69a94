"""Evaluation of a trained network on a list of clips: scores, the paper's pictures, a Codabench submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from engines.common.errors import BadInput
from engines.common.new_files import check_empty_folder
from engines.networks.contract import VideoNetwork
from training.data import ClipSource, batches
from training.figures import plot_clip, plot_confusion, plot_features
from training.lists import Entry, withheld
from training.metrics import PART_OF, ClipScores, body_scores, score_clips
from training.models import open_network, pick_device
from training.submission import write_submission

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BATCH = 8
MOST_TSNE_CLIPS = 3000  # beyond that the picture is a blot and takes minutes
LEAST_TSNE_CLIPS = 5
SUBMISSION_FILE = "submission.zip"
SCORES_FILE = "scores.csv"
LOGITS_FILE = "scores.npz"  # for `python -m calibration temperature --scores`


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a network says of N clips."""

    logits: FloatArray  # (N, 52)
    features: FloatArray  # (N, C), mean over the frames, before the classifier

    @property
    def probs(self) -> FloatArray:
        """Softmax of the logits, (N, 52)."""
        exp = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        each: FloatArray = exp / exp.sum(axis=1, keepdims=True)
        return each


def predict(
    network: VideoNetwork, entries: Sequence[Entry], folder: Path, workers: int = 0, device: torch.device | None = None
) -> Predictions:
    """Logits and features of clips, in the official view.

    Raises:
        BadInput: a video cannot be read.
    """
    network.eval().to(device)
    source = ClipSource(entries, folder, network.spec.length, network.spec.size)
    scores, features = [], []
    with torch.inference_mode():
        for batch in batches(source, range(len(source)), 0, BATCH, workers):
            pooled = network.features(batch.clips.to(device))  # (B, C)
            scores.append(network.classifier(pooled).double().cpu().numpy())
            features.append(pooled.double().cpu().numpy())
    return Predictions(np.concatenate(scores), np.concatenate(features))


def evaluate(
    model: str,
    entries: Sequence[Entry],
    folder: Path,
    out: Path,
    console: Console,
    *,
    pictures: int = 6,
    workers: int = 0,
    device: str = "auto",
) -> ClipScores | None:
    """Evaluate and write everything into `out`.

    Always: the submission and a probability plot of the first `pictures` clips (Fig. 4). With labels also: scores as
    a table and CSV, logits with labels, confusion matrices (Fig. 6) and t-SNE (Fig. 5), coarse and fine.

    Returns:
        The scores, the body part being that of the top action; None where labels are withheld.

    Raises:
        BadInput: a model or video cannot be read, or `out` holds something or cannot be written.
    """
    network, trained_on = open_network(model)
    if not isinstance(network, VideoNetwork):
        raise BadInput("a model of video clips", network.spec.title, "choose another")
    check_empty_folder(out, "--out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another --out") from None
    found = predict(network, entries, folder, workers, pick_device(device))
    unlabelled = withheld(entries)
    true = np.array([entry.index for entry in entries], np.int64)
    write_submission(out / SUBMISSION_FILE, [entry.name for entry in entries], found.probs)
    for at, entry in enumerate(entries[:pictures]):
        plot_clip(
            found.probs[at],
            entry.name,
            None if unlabelled else entry.index,
            out / f"clip_{at + 1:02d}_{Path(entry.name).stem}.png",
        )
    if unlabelled:
        console.print(f"{len(entries)} clips, labels withheld: no scores; {SUBMISSION_FILE} written")
        return None
    _write_pictures(found, true, out)
    scores = score_clips(found.probs, true)
    summed = score_clips(found.probs, true, "sum")
    _write_scores(scores, summed, out / SCORES_FILE)
    np.savez_compressed(out / LOGITS_FILE, logits=found.logits.astype(np.float32), labels=true)
    console.print(_table(scores, summed, f"{len(entries)} clips; trained on {trained_on}"))
    return scores


def _write_pictures(found: Predictions, true: IntArray, out: Path) -> None:
    plot_confusion(true, found.probs.argmax(axis=1), out / "confusion_fine.png", coarse=False)
    parts = body_scores(found.probs, "mapping").argmax(axis=1)
    plot_confusion(PART_OF[true], parts, out / "confusion_coarse.png", coarse=True)
    if len(true) < LEAST_TSNE_CLIPS:
        return
    step = -(-len(true) // MOST_TSNE_CLIPS)
    for coarse in (False, True):
        plot_features(
            found.features[::step], true[::step], out / f"tsne_{'coarse' if coarse else 'fine'}.png", coarse=coarse
        )


def _write_scores(scores: ClipScores, summed: ClipScores, path: Path) -> None:
    lines = ["score,body_mapping,body_sum"]
    lines += [
        f"{name},{value:.6f},{other:.6f}"
        for (name, value), (_, other) in zip(scores.rows(), summed.rows(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(scores: ClipScores, summed: ClipScores, title: str) -> Table:
    table = Table("score", "part of the top action", "sum of the part's actions", title=title)
    for (name, value), (_, other) in zip(scores.rows(), summed.rows(), strict=True):
        table.add_row(name, f"{100 * value:.2f}", f"{100 * other:.2f}")
    return table
