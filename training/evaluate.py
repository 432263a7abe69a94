"""Evaluation of a trained network on a list of clips: scores, the paper's pictures, a Codabench submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.special import softmax

from engines.common.errors import BadInput
from engines.common.new_files import check_empty_folder
from engines.networks.contract import Network
from training.data.clip_lists import Entry, withheld
from training.data.clips import ClipSource
from training.data.examples import batches
from training.figures import plot_clip, plot_confusion, plot_features
from training.loop import pick_device
from training.metrics import PART_OF, ClipScores, FloatArray, IntArray, body_scores, score_clips
from training.start import open_network
from training.submission import write_submission

BATCH = 8
MOST_TSNE_CLIPS = 3000  # beyond that the picture is a blot and takes minutes
LEAST_TSNE_CLIPS = 5
SUBMISSION_FILE = "submission.zip"
SCORES_FILE = "scores.csv"
LOGITS_FILE = "scores.npz"  # for `python -m calibration temperature --scores`


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Answers of a network to N clips."""

    logits: FloatArray  # (N, 52)
    features: FloatArray  # (N, C), what the classifier reads

    @property
    def probs(self) -> FloatArray:
        """Softmax of the logits, (N, 52)."""
        return np.asarray(softmax(self.logits, axis=1))


def predict(
    network: Network, entries: Sequence[Entry], folder: Path, workers: int = 0, device: torch.device | None = None
) -> Predictions:
    """Logits and features of clips, in the official view. Raises BadInput: a video cannot be read."""
    network.eval().to(device)
    source = ClipSource(entries, folder, network.spec.sampling, network.spec.picture_size)
    logits, features = [], []
    hook = network.heads()["logits"].register_forward_pre_hook(
        lambda _, inputs: features.append(inputs[0].double().cpu().numpy())
    )
    with torch.inference_mode():
        for batch in batches(source, range(len(source)), 0, BATCH, workers):
            logits.append(network(batch["clips"].to(device))["logits"].double().cpu().numpy())
    hook.remove()
    return Predictions(np.concatenate(logits), np.concatenate(features))


def evaluate(
    model: str,
    entries: Sequence[Entry],
    folder: Path,
    out: Path,
    *,
    pictures: int = 6,
    workers: int = 0,
    device: str = "auto",
) -> None:
    """Evaluate and write everything into `out`.

    Always: the submission and a probability plot of the first `pictures` clips (Fig. 4). With labels also: scores as
    a table and CSV, logits with labels, confusion matrices (Fig. 6) and t-SNE (Fig. 5), coarse and fine.

    Raises:
        BadInput: a model or video cannot be read, or `out` holds something or cannot be written.
    """
    network, trained_on = open_network(model)
    if network.spec.task != "actions" or "clips" not in network.spec.inputs:
        raise BadInput("a micro-action model that sees clips", model, "choose another")
    check_empty_folder(out, "--out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another --out") from None
    found, unlabelled = predict(network, entries, folder, workers, pick_device(device)), withheld(entries)
    write_submission(out / SUBMISSION_FILE, [entry.name for entry in entries], found.probs)
    for at, entry in enumerate(entries[:pictures]):
        file = out / f"clip_{at + 1:02d}_{Path(entry.name).stem}.png"
        plot_clip(found.probs[at], entry.name, None if unlabelled else entry.index, file)
    if unlabelled:
        Console().print(f"{len(entries)} clips, labels withheld: no scores; {SUBMISSION_FILE} written")
        return
    true = np.array([entry.index for entry in entries], np.int64)
    _plot(found, true, out)
    np.savez_compressed(out / LOGITS_FILE, logits=found.logits.astype(np.float32), labels=true)
    both = score_clips(found.probs, true), score_clips(found.probs, true, "sum")
    _report(*both, out / SCORES_FILE, f"{len(entries)} clips; trained on {trained_on}")


def _plot(found: Predictions, true: IntArray, out: Path) -> None:
    plot_confusion(true, found.probs.argmax(axis=1), out / "confusion_fine.png", coarse=False)
    parts = body_scores(found.probs, "mapping").argmax(axis=1)
    plot_confusion(PART_OF[true], parts, out / "confusion_coarse.png", coarse=True)
    if len(true) < LEAST_TSNE_CLIPS:
        return
    step = -(-len(true) // MOST_TSNE_CLIPS)
    for coarse in (False, True):
        file = out / f"tsne_{'coarse' if coarse else 'fine'}.png"
        plot_features(found.features[::step], true[::step], file, coarse=coarse)


def _report(mapped: ClipScores, summed: ClipScores, path: Path, title: str) -> None:
    """The scores of both ways to predict the body part, as a table and as CSV."""
    table = Table("score", "part of the top action", "sum of the part's actions", title=title)
    lines = ["score,body_mapping,body_sum"]
    for (name, value), (_, other) in zip(mapped.rows(), summed.rows(), strict=True):
        table.add_row(name, f"{100 * value:.2f}", f"{100 * other:.2f}")
        lines.append(f"{name},{value:.6f},{other:.6f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    Console().print(table)
