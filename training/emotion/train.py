"""The training loop of the emotion network: seeded, resumable after each epoch.

Both branches learn together, or the micro-action branch's MANet is frozen: then what it says of each stretch is
computed once, which makes an epoch several times as fast, and only the encoder and the classifiers behind it learn.
"""

from __future__ import annotations

import pickle
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from engines.common.errors import BadInput
from engines.common.new_files import check_names_free
from engines.networks.contract import Network
from engines.networks.maenet import MAENet
from engines.specs.maenet import MAENetSpec
from engines.taxonomy import EMOTIONS
from training.curves import write_curves
from training.data import epoch_order
from training.emotion.losses import BETA, class_weights, emotion_losses
from training.emotion.metrics import EmotionScores, score_emotions
from training.emotion.stretches import Batch, Source, batches
from training.metrics import FloatArray
from training.recipes import Recipe, make_optimiser, set_rate
from training.state import RUN_FILES, STATE_FILE
from training.train import TrainingFailed, progress_bar

PURE = 0.9  # share of a stretch that one emotion, or none, must fill for the stretch to be scored


@dataclass(frozen=True, slots=True)
class EmotionRun:
    """One training run, but for its data."""

    recipe: Recipe
    spec: MAENetSpec
    seed: int
    out: Path
    data: str  # what it is trained on, exactly: a run resumes only with the same
    beta: float = BETA
    weighted: bool = True  # class weights against a long tail
    frozen: bool = False  # the body's MANet stays as it was
    resume: bool = False

    def identity(self) -> str:
        """All that decides the final weights, as JSON."""
        about = {
            "seed": self.seed,
            "data": self.data,
            "beta": self.beta,
            "weighted": self.weighted,
            "frozen": self.frozen,
            "recipe": asdict(self.recipe),
            "network": msgspec.to_builtins(self.spec),
        }
        return msgspec.json.encode(about).decode()


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a network says of N stretches, and what was true."""

    emotion: FloatArray  # (N, 5) logits
    actions: FloatArray  # (N, A) logits
    felt: FloatArray  # (N, 6)
    done: FloatArray  # (N, A)

    def per_video(self, stretches: int) -> Predictions:
        """Logits averaged over each video's stretches, which follow each other."""
        return Predictions(
            *(
                array.reshape(-1, stretches, array.shape[1]).mean(axis=1)
                for array in (self.emotion, self.actions, self.felt, self.done)
            )
        )

    def scores(self) -> EmotionScores:
        """Stretches of one emotion count for the emotions, all of them for the actions."""
        likeliest = self.felt.argmax(axis=1)
        pure = (self.felt.max(axis=1) >= PURE) & (likeliest < len(EMOTIONS))
        return score_emotions(self.emotion, np.where(pure, likeliest, -1), self.actions, self.done)


def train_emotion(
    run: EmotionRun, source: Source, held: Source | None, body: Network | None, say: Callable[[str], None]
) -> MAENet:
    """Train a network; curves (CSV and picture) and the state after each epoch lie in `run.out`.

    Args:
        run: what to do.
        source: training stretches.
        held: stretches that are scored after each epoch.
        body: a micro-action network whose trunk the micro-action branch starts from.
        say: receives a line per epoch.

    Returns:
        The network after the last epoch, in evaluation mode.

    Raises:
        BadInput: a stretch cannot be read; `out` cannot be written, holds a run already, or holds another to resume;
            `body` does not fit.
        TrainingFailed: the loss is no longer a number.
    """
    torch.manual_seed(run.seed)
    network = MAENet(run.spec)
    if body is not None:
        start_body(network, body)
    trainer = _Trainer(run, network, source)
    epoch, history = _begin(run, network, trainer.optimiser)
    total = run.recipe.epochs * trainer.steps
    with progress_bar() as progress:
        task = progress.add_task("training", total=total, loss="")
        while epoch < run.recipe.epochs:
            started = time.perf_counter()
            row: dict[str, float] = {"epoch": epoch + 1}
            row |= trainer.epoch(epoch, lambda done, loss: progress.update(task, completed=done, loss=f"{loss:.3f}"))
            if held is not None:
                scores = predict(network, held, run.recipe.batch_size).scores()
                row |= {"val_uar": scores.uar, "val_accuracy": scores.accuracy, "val_map": scores.map}
            row["seconds"] = time.perf_counter() - started
            epoch += 1
            history = [*history, row]
            _save(run, network, trainer.optimiser, epoch, history)
            write_curves(run.out, history)
            say("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
    return network.eval()


def start_body(network: MAENet, body: Network) -> None:
    """Take over a micro-action network's trunk: its convolutions are the same for any number of frames.

    Raises:
        BadInput: no branch to start, or one of another shape.
    """
    if network.body is None:
        raise BadInput("a network with a micro-action branch", "the face alone", "leave --init-body out")
    mine = network.body.state_dict()
    theirs = {name.removeprefix("backbone."): value for name, value in body.state_dict().items()}
    for name, value in mine.items():
        got = tuple(theirs[name].shape) if name in theirs else "nothing"
        if got != tuple(value.shape):
            raise BadInput(
                f"a model to start from with {name} {tuple(value.shape)}",
                str(got),
                "give --depth and --width as it has them",
            )
    network.body.load_state_dict({name: theirs[name] for name in mine})


def predict(network: MAENet, source: Source, batch_size: int) -> Predictions:
    """What the network says of all stretches of a source."""
    training = network.training
    network.eval()
    emotion, actions = [], []
    spec = network.spec
    with torch.inference_mode():
        for batch in batches(source, range(len(source)), 0, batch_size, spec):
            answer = network(*batch.inputs.values())
            emotion.append(answer["emotion"].double().numpy())
            actions.append(answer["actions"].double().numpy())
    network.train(training)
    felt, done = source.labels()
    return Predictions(
        np.concatenate(emotion),
        np.concatenate(actions),
        felt.astype(np.float64),
        done[:, list(spec.actions)].astype(np.float64),
    )


class _Trainer:
    """One run's moving parts."""

    def __init__(self, run: EmotionRun, network: MAENet, source: Source) -> None:
        self._run, self._source, self._network = run, source, network
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # bfloat16 needs it
        self._body: Tensor | None = None
        if run.frozen:
            if network.body is None:
                raise BadInput("a network with a micro-action branch to freeze", "the face alone", "leave it trainable")
            self._body = _features(network, source, run.recipe.batch_size)
            network.body.requires_grad_(False)
            self._source = source.without_body
        self.optimiser = make_optimiser(run.recipe, network)
        self.steps = -(-len(source) // run.recipe.batch_size)
        self._weights = _weights(source) if run.weighted else None

    def epoch(self, epoch: int, report: Callable[[int, float], None]) -> dict[str, float]:
        """Train one; the mean losses."""
        recipe, spec = self._run.recipe, self._run.spec
        order = epoch_order(len(self._source), self._run.seed, epoch)
        sums = np.zeros(3)
        self._network.train()
        if self._body is not None and self._network.body is not None:
            self._network.body.eval()  # its batch norm, too, stays as it was
        for step, batch in enumerate(batches(self._source, order, epoch, recipe.batch_size, spec)):
            done = epoch * self.steps + step
            set_rate(self.optimiser, recipe.learning_rate * recipe.rate_at(done, self.steps))
            values = self._step(batch)
            sums += np.array(values) * len(batch.indices)
            report(done + 1, values[0])
        loss, actions, emotion = (sums / len(order)).tolist()
        rate = max(group["lr"] / group["scale"] for group in self.optimiser.param_groups)
        return {"learning_rate": rate, "loss": loss, "actions": actions, "emotion": emotion}

    def _step(self, batch: Batch) -> tuple[float, float, float]:
        recipe = self._run.recipe
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.mixed_precision):
            if self._body is None:
                answer = self._network(*batch.inputs.values())
            else:
                answer = self._network.scores(self._body[batch.indices].float(), batch.inputs)
        losses = emotion_losses(answer, batch.emotion, batch.actions, self._run.beta, self._weights)
        values = losses.total.item(), losses.actions.item(), losses.emotion.item()
        if not np.isfinite(values[0]):
            raise TrainingFailed("the loss is no longer a number; a lower learning rate may help")
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._network.parameters(), recipe.clip_norm)
        self.optimiser.step()
        return values


def _features(network: MAENet, source: Source, batch_size: int) -> Tensor:
    """What the body's MANet says of every stretch, unvaried: half (N, T, d)."""
    kept = []
    plain = source.plain
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for batch in batches(plain, range(len(plain)), 0, batch_size, network.spec):
            kept.append(network.body_features(batch.inputs["body"], batch.inputs["body_seen"]).half())
    return torch.cat(kept).clone()  # made outside inference mode, so that it may be trained on


def _weights(source: Source) -> Tensor:
    return class_weights(torch.from_numpy(source.labels()[0][:, : len(EMOTIONS)].sum(axis=0)))


def _begin(run: EmotionRun, network: MAENet, optimiser: torch.optim.Optimizer) -> tuple[int, list[dict[str, float]]]:
    """A free folder, or the run in it to go on with."""
    try:
        run.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{run.out} ({error.strerror})", "choose another") from None
    file = run.out / STATE_FILE
    if not (run.resume and file.exists()):
        check_names_free(run.out, RUN_FILES, "--out", "name another, or continue a training run with --resume")
        return 0, []
    try:
        state: dict[str, Any] = torch.load(file, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput("a training state", f"{file} ({type(error).__name__})", "choose another --out") from None
    if state.get("run") != run.identity():
        raise BadInput(
            "the same settings and data as before",
            "others",
            "repeat the first command with --resume, or choose another --out",
        )
    network.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["rng"])
    return int(state["epoch"]), list(state["history"])


def _save(
    run: EmotionRun, network: MAENet, optimiser: torch.optim.Optimizer, epoch: int, history: list[dict[str, float]]
) -> None:
    part = run.out / f".{STATE_FILE}.part"
    torch.save(
        {
            "run": run.identity(),
            "model": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": epoch,
            "history": history,
        },
        part,
    )
    part.replace(run.out / STATE_FILE)
