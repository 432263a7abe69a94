"""Evaluation of a trained network on a list of clips: scores, the paper's pictures, a Codabench submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.special import softmax

from engines.bundle import Bundle, find
from engines.common.errors import BadInput
from engines.common.new_files import check_empty_folder
from engines.networks.contract import Network
from engines.runtimes import open_runtime
from engines.specs.base import Spec
from engines.specs.sampling import FrameRule
from training.data.clip_lists import Entry, withheld
from training.data.clips import ClipSource
from training.data.examples import batches
from training.figures import plot_clip, plot_confusion, plot_features
from training.loop import pick_device
from training.metrics import PART_OF, BodyRule, ClipScores, FloatArray, IntArray, body_scores, score_clips
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
    features: FloatArray | None  # (N, C), what the classifier reads; of a deployed model none

    @property
    def probs(self) -> FloatArray:
        """Softmax of the logits, (N, 52)."""
        return np.asarray(softmax(self.logits, axis=1))


@dataclass(frozen=True, slots=True)
class Scored:
    """How clips are shown to a model, and by what it is run."""

    entries: Sequence[Entry]
    folder: Path
    frames: FrameRule = "even"
    engine: str | None = None  # of `engines.runtimes`: what is deployed, at its precision; none: torch, fp32
    workers: int = 0
    device: str = "auto"

    def predict(self, model: str) -> tuple[Predictions, str]:
        """Answers of a bundle or state.pt, and what it is trained on.

        Raises:
            BadInput: a model or video cannot be read.
            RuntimeFailed: the engine cannot run it.
        """
        if self.engine is not None:
            bundle = Bundle.load(find(model))
            check(bundle.card.network, model)
            with open_runtime(bundle, self.engine) as runtime:
                source = self._source(bundle.card.network)
                clips = (source.item(index, 0)["clips"][None] for index in range(len(source)))
                logits = np.concatenate([runtime.run({"clips": clip})["logits"] for clip in clips])
                about = f"{bundle.card.provenance.trained_on}; {bundle.card.precision} in {runtime.name}"
            return Predictions(logits.astype(np.float64), None), about
        network, about = open_network(model)
        check(network.spec, model)
        return self.ask(network), about

    def ask(self, network: Network) -> Predictions:
        """Logits and features of the clips, in the official view. Raises BadInput: a video cannot be read."""
        device = pick_device(self.device)
        network.eval().to(device)
        source = self._source(network.spec)
        logits, features = [], []
        hook = network.heads()["logits"].register_forward_pre_hook(
            lambda _, inputs: features.append(inputs[0].double().cpu().numpy())
        )
        with torch.inference_mode():
            for batch in batches(source, range(len(source)), 0, BATCH, self.workers):
                logits.append(network(batch["clips"].to(device))["logits"].double().cpu().numpy())
        hook.remove()
        return Predictions(np.concatenate(logits), np.concatenate(features))

    def _source(self, spec: Spec) -> ClipSource:
        return ClipSource(self.entries, self.folder, spec.sampling, spec.picture_size, frames=self.frames)


def check(spec: Spec, model: str) -> None:
    """Raises BadInput unless a model sees clips."""
    if spec.task != "actions" or "clips" not in spec.inputs:
        raise BadInput("a micro-action model that sees clips", model, "choose another")


def evaluate(model: str, scored: Scored, out: Path, *, pictures: int = 6, against: str | None = None) -> None:
    """Evaluate and write everything into `out`.

    Always: the submission and a probability plot of the first `pictures` clips (Fig. 4). With labels also: scores as
    a table and CSV, logits with labels, confusion matrices (Fig. 6) and t-SNE (Fig. 5), coarse and fine. Pictures and
    the table have another model, `against`, beside it.

    Raises:
        BadInput: a model or video cannot be read, or `out` holds something or cannot be written.
        RuntimeFailed: the engine cannot run it.
    """
    check_empty_folder(out, "--out")
    names = [Path(one).name for one in (model, against) if one is not None]
    if len(set(names)) < len(names):
        names = [f"{name} ({place})" for name, place in zip(names, "AB", strict=True)]
    entries = scored.entries
    found, abouts = {}, []
    for name, one in zip(names, (model, against), strict=False):
        found[name], about = scored.predict(str(one))
        abouts.append(f"{name}: trained on {about}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another --out") from None
    unlabelled, first = withheld(entries), found[names[0]]
    write_submission(out / SUBMISSION_FILE, [entry.name for entry in entries], first.probs)
    for at, entry in enumerate(entries[:pictures]):
        file = out / f"clip_{at + 1:02d}_{Path(entry.name).stem}.png"
        shown = {name: one.probs[at] for name, one in found.items()}
        plot_clip(shown, entry.name, None if unlabelled else entry.index, file)
    if unlabelled:
        Console().print(f"{len(entries)} clips, labels withheld: no scores; {SUBMISSION_FILE} written")
        return
    true = np.array([entry.index for entry in entries], np.int64)
    _plot(found, true, out)
    np.savez_compressed(out / LOGITS_FILE, logits=first.logits.astype(np.float32), labels=true)
    scores = [score_clips(one.probs, true, rule) for one in found.values() for rule in get_args(BodyRule)]
    _report(names, scores, out / SCORES_FILE, f"{len(entries)} clips; {'; '.join(abouts)}")


def _plot(found: dict[str, Predictions], true: IntArray, out: Path) -> None:
    actions = {name: one.probs.argmax(axis=1) for name, one in found.items()}
    parts = {name: body_scores(one.probs, "mapping").argmax(axis=1) for name, one in found.items()}
    plot_confusion(true, actions, out / "confusion_fine.png", coarse=False)
    plot_confusion(PART_OF[true], parts, out / "confusion_coarse.png", coarse=True)
    step = -(-len(true) // MOST_TSNE_CLIPS)
    features = {name: one.features[::step] for name, one in found.items() if one.features is not None}
    if len(true) < LEAST_TSNE_CLIPS or not features:
        return
    for coarse in (False, True):
        file = out / f"tsne_{'coarse' if coarse else 'fine'}.png"
        plot_features(features, true[::step], file, coarse=coarse)


def _report(names: Sequence[str], scores: Sequence[ClipScores], path: Path, title: str) -> None:
    """The scores of both ways to predict the body part, of each model, as a table and as CSV."""
    headings = [f"{name}{which}" for name in names for which in (", part of the top action", ", sum of the part's")]
    table = Table("score", *(one.removeprefix(f"{names[0]}, ") if len(names) == 1 else one for one in headings))
    table.title = title
    columns = ["body_mapping", "body_sum", "against_body_mapping", "against_body_sum"][: len(scores)]
    lines = [",".join(["score", *columns])]
    for row in zip(*(one.rows() for one in scores), strict=True):
        name, values = row[0][0], [value for _, value in row]
        table.add_row(name, *(f"{100 * value:.2f}" for value in values))
        lines.append(",".join([name, *(f"{value:.6f}" for value in values)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    Console().print(table)
