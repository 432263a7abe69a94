"""Emotions of videos or simulated interviews, from face and body."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import torch
from msgspec import Meta
from torch import Tensor

from engines.bundle import Bundle
from engines.card import Calibration
from engines.common.digest import digest_file
from engines.common.errors import BadInput
from engines.networks.contract import Network
from engines.specs.base import EmotionSpec
from engines.taxonomy import EMOTIONS
from simulation.calibrate import describe_emotion, emotion_calibration
from simulation.emotion_cache import EmotionCache, EmotionPlan, plan_size
from training.data.emotion_examples import EmotionSource, SimulatedEmotion
from training.data.emotion_lists import LabelledVideo, read_emotion_list, split_subjects
from training.data.emotion_videos import Videos, prepare, prepared_path
from training.data.examples import batches
from training.evaluate_emotion import judge_branches, judge_videos, report
from training.losses import EmotionLosses, class_weights, emotion_losses
from training.machine import Machine
from training.metrics import EmotionPredictions
from training.recipe import Count, Recipe, Share, Strict
from training.tasks.base import ExampleTask, predict

HELD_OUT_SHARE = 40  # one session of another split, to validate, for this many to train on
Span = Annotated[float, Meta(ge=0.5, le=30.0)]
Seed = Annotated[int, Meta(ge=0)]


class WindowData(Strict, frozen=True):
    """What all emotion windows have."""

    span_s: Span | None = None  # of a window; none: the network's


Data = TypeVar("Data", bound=WindowData)


class EmotionTask(ExampleTask[Data]):
    """Emotion windows.

    With a body branch that keeps the weights it starts with, its features of each window are computed once: an epoch is
    several times as fast.
    """

    task = "emotion"
    intended_use = (
        "Research on expressions and micro-actions of one seated person who has agreed to it. It judges expressions, "
        "not feelings. Not for workplaces, education or job interviews: prohibited in the EU (AI Act, Art. 5)."
    )
    calibration = Calibration(basis="none: raw softmax of the emotions, raw sigmoids of the actions")
    spec: EmotionSpec

    def __init__(self, recipe: Recipe, machine: Machine, kind: type[Data]) -> None:
        super().__init__(recipe, machine, kind)
        self._losses = recipe.part("losses", EmotionLosses, recipe.losses)
        self._weights: Tensor | None = None
        self._body: Tensor | None = None  # half (N, T, d), features of a frozen body branch
        self._frozen = recipe.start is not None and recipe.start.freeze and recipe.start.part == "body"
        if self._frozen and len(self.stages) > 1:
            raise BadInput("no [[curriculum]] with a frozen body", f"one in recipe {recipe.name}", "leave it out")

    @abstractmethod
    def held(self) -> EmotionSource:
        """The windows that are scored after each epoch."""

    @property
    def span_s(self) -> float:
        return self.settings(0).span_s or self.spec.span_s

    def source(self, epoch: int) -> EmotionSource:
        """The windows of an epoch, and what the loss needs of all of them."""
        before = self._opened
        source = cast(EmotionSource, super().source(epoch))
        if self._opened is not before and self._losses.class_weights:
            felt = source.labels()[0][:, : len(EMOTIONS)].sum(axis=0)
            self._weights = class_weights(torch.from_numpy(felt))
        source.bodies = self._body is None
        return source

    def prepare(self, network: Network) -> None:
        """Compute the features of a frozen body branch, of the windows as they are."""
        if not self._frozen:
            return
        branches: Any = network  # with a body branch: `body_features`, `scores`
        if not hasattr(network, "body_features"):
            raise BadInput("a network with a body branch to freeze", "none", "leave start.freeze out")
        source, device = self.source(0), next(network.parameters()).device
        source.augment, found = False, []
        network.eval()
        half = torch.autocast(device.type, torch.bfloat16, enabled=not self.spec.steps)  # coordinates need all bits
        with torch.inference_mode(), half:
            for batch in batches(source, range(len(source)), 0, self.recipe.optimiser.batch_size, self.machine.workers):
                body, seen = batch[self.spec.body_input].to(device), batch["body_seen"].to(device)
                features = branches.body_features(body, seen)
                found.append(features.half().cpu())
        self._body = torch.cat(found).clone()  # made outside inference mode, so that it may be trained on
        source.augment, source.bodies = True, False

    def loss(self, network: Network, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        device = batch["felt"].device
        if self._body is None:
            outputs = network(*(batch[name] for name in self.spec.inputs))
        else:
            features = self._body[batch["index"].cpu()].to(device).float()
            branches: Any = network
            outputs = branches.scores(features, batch)
        done = batch["done"][:, list(self.spec.actions)] if self.spec.actions else None
        weights = None if self._weights is None else self._weights.to(device)
        return emotion_losses(outputs, batch["felt"], done, self._losses, weights)

    def evaluate(self, network: Network) -> dict[str, float]:
        found = predict(network, self.held(), self.recipe.optimiser.batch_size, self.machine.workers)
        done = found["done"][:, list(self.spec.actions)]
        scores = EmotionPredictions(found["emotion"], found.get("actions", done), found["felt"], done).scores()
        return {"uar": scores.uar, "accuracy": scores.accuracy, "map": scores.map}


class SimulatedEmotionData(WindowData, frozen=True, kw_only=True):
    """Simulated sessions and the windows of each."""

    sessions: Count = 3000
    windows: Count = 3  # of each session
    seed: Seed = 0
    held: Count | None = None  # sessions of another split to score; none: one for `HELD_OUT_SHARE` to train on


class EmotionCalibration(Strict, frozen=True):
    """What temperature and counts per second are fitted on."""

    minutes: Count = 60
    seed: Seed = 0


class SimulatedEmotions(EmotionTask[SimulatedEmotionData]):
    """Simulated interviews with feelings."""

    def __init__(self, recipe: Recipe, machine: Machine) -> None:
        super().__init__(recipe, machine, SimulatedEmotionData)
        self._fit = None
        if recipe.calibration is not None:
            self._fit = recipe.part("calibration", EmotionCalibration, recipe.calibration)
        self._held: SimulatedEmotion | None = None
        plans = [self._plan("train", data) for _, data in self.stages]
        self.data = hashlib.sha256(" ".join(f"{one.identity} {one}" for one in plans).encode()).hexdigest()
        sessions = sum(one.sessions for one in plans)
        windows = sum(one.sessions * one.windows for one in plans)
        epochs = recipe.optimiser.epochs
        self.about = f"simulated interviews: {sessions} sessions, {windows} emotion windows, {epochs} epochs"

    def count(self, settings: SimulatedEmotionData) -> int:
        return settings.sessions * settings.windows

    def open(self, settings: SimulatedEmotionData) -> EmotionSource:
        return self._source("train", settings)

    def held(self) -> EmotionSource:
        self._held = self._held or self._source("validation", self.settings(0))
        return self._held

    def calibrate(self, bundle: Bundle) -> tuple[Calibration, str] | None:
        if self._fit is None:
            return None
        calibration, agreement = emotion_calibration(bundle, self._fit.minutes, self._fit.seed, self.machine.threads)
        return calibration, describe_emotion(calibration, agreement)

    def judge(self, bundle: Bundle, folder: Path) -> None:
        found = judge_branches(bundle, self.held(), self.machine.threads)
        report(f"{bundle.card.name}, validation", found, bundle, folder)

    def _plan(self, split: str, data: SimulatedEmotionData) -> EmotionPlan:
        held = data.held or max(1, data.sessions // HELD_OUT_SHARE)
        sessions = data.sessions if split == "train" else held
        size = plan_size(self.spec)
        return EmotionPlan(split, sessions, data.seed, self.spec.length, size, self.span_s, data.windows)

    def _source(self, split: str, data: SimulatedEmotionData) -> SimulatedEmotion:
        plan, machine = self._plan(split, data), self.machine
        cache = EmotionCache(machine.cache / plan.folder, plan, machine.draw_workers, machine.report)
        return SimulatedEmotion(split == "train", self.recipe.seed, cache=cache, spec=self.spec)


class EmotionData(WindowData, frozen=True, kw_only=True):
    """Labelled videos: `video,emotion,actions,subject` a line."""

    folder: str
    labels: str = "emotions.csv"  # inside `folder`
    held_labels: str | None = None  # to score; other subjects than those of `labels`
    held_out: Share = 0.2  # else, share of the videos, of subjects of their own, to score
    name: str = "emotion videos"  # for the model card
    view: Literal["rgb", "landmarks"] = "landmarks"
    whole: bool = False  # T pictures of each whole video, as of MA-52-Pro; else a window of `span_s` anywhere in it


class EmotionVideos(EmotionTask[EmotionData]):
    """Labelled videos."""

    def __init__(self, recipe: Recipe, machine: Machine) -> None:
        self.view = "rgb" if recipe.data.get("view") == "rgb" else "landmarks"
        super().__init__(recipe, machine, EmotionData)
        if self.spec.reads_expressions or self.spec.steps:
            raise BadInput(
                "branches that see pictures, for videos", "expression numbers or landmark steps", "change [network]"
            )
        if len(self.stages) > 1:
            raise BadInput("no [[curriculum]] of videos", f"one in recipe {recipe.name}", "leave it out")
        self._data = self.settings(0)
        self._folder = Path(self._data.folder)
        self._train, self._test = self._split()
        digests = [f"{one} {digest_file(self._folder / one.video)}" for one in (*self._train, *self._test)]
        self.data = hashlib.sha256("\n".join(digests).encode()).hexdigest()
        subjects = len({one.subject for one in self._train})
        epochs = recipe.optimiser.epochs
        self.about = f"{self._data.name}: {len(self._train)} videos of {subjects} subjects, {epochs} epochs"
        prepare((*self._train, *self._test), self._folder, machine.cache, self.view, self.spec)

    def count(self, settings: EmotionData) -> int:  # noqa: ARG002 - there is one stage
        return len(self._train)

    def open(self, settings: EmotionData) -> EmotionSource:  # noqa: ARG002 - there is one stage
        return self._videos(self._train, augment=True)

    def held(self) -> EmotionSource:
        return self._videos(self._test)

    def judge(self, bundle: Bundle, folder: Path) -> None:
        judge_videos(bundle, self._videos(self._test), folder, self.machine.threads)

    def _videos(self, entries: Sequence[LabelledVideo], augment: bool = False) -> Videos:
        files = [prepared_path(self.machine.cache, one, self._folder, self.view, self.spec) for one in entries]
        drawn = self.view == "landmarks"
        source = Videos(
            augment, self.recipe.seed, drawn, entries=entries, files=files, spec=self.spec, span_s=self.span_s
        )
        return replace(source, whole=self._data.whole)

    def _split(self) -> tuple[Sequence[LabelledVideo], Sequence[LabelledVideo]]:
        entries = read_emotion_list(self._folder / self._data.labels, self._folder)
        if self._data.held_labels is None:
            return split_subjects(entries, self._data.held_out, self.recipe.seed)
        held = read_emotion_list(self._folder / self._data.held_labels, self._folder)
        both = {one.subject for one in entries} & {one.subject for one in held}
        if both:
            raise BadInput("lists without a subject in both", f"{min(both)!r} in both", "move that subject's videos")
        return entries, held
