"""Micro-actions of trimmed clips, in MA-52's list format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor, nn

from engines.bundle import Bundle
from engines.card import Calibration
from engines.common.digest import digest_file
from engines.common.errors import BadInput
from engines.networks.contract import Network, VideoNetwork
from engines.specs.sampling import FrameRule
from engines.taxonomy import ACTIONS, BODY_PARTS
from events.fit_temperature import LEAST_WINDOWS, fit_temperature
from training.checkpoint import AUXILIARY
from training.data.clip_lists import Entry, read_list, withheld
from training.data.clips import ClipSource
from training.data.crops import Crop
from training.data.examples import Source
from training.data.label_vectors import SHIPPED, read_label_vectors
from training.evaluate import Scored, evaluate
from training.losses import ActionLosses, Head, action_losses
from training.machine import Machine
from training.metrics import score_clips
from training.recipe import Recipe, Strict
from training.tasks.base import ExampleTask, inputs_of, predict


class ClipData(Strict, frozen=True):
    """Paths lie inside `folder`."""

    folder: str
    name: str = "MA-52"  # for the model card
    videos: str = "."
    train_list: str = "train_list.txt"  # `name.mp4 index` a line
    more_lists: tuple[str, ...] = ()  # that are trained on, too
    val_list: str | None = None  # scored after each epoch; the temperature is fitted on it
    label_vectors: str | None = None  # .npy (52, 300), or a GloVe text file, instead of the shipped ones
    frames: FrameRule = "even"
    crop: Crop = Crop()


class TemperatureSettings(Strict, frozen=True):
    """A temperature is fitted on the validation list."""

    temperature: bool = True


class Clips(ExampleTask[ClipData]):
    """Labelled clips."""

    view = "rgb"

    def __init__(self, recipe: Recipe, machine: Machine) -> None:
        super().__init__(recipe, machine, ClipData)
        self._losses = recipe.part("losses", ActionLosses, recipe.losses)
        self._temperature = recipe.part("calibration", TemperatureSettings, recipe.calibration or {}).temperature
        data = self.settings(0)
        if len(self.stages) > 1:
            raise BadInput("no [[curriculum]] of clips", f"one in recipe {recipe.name}", "leave it out")
        self._folder = Path(data.folder) / data.videos
        lists = (data.train_list, *data.more_lists)
        self._entries = [one for name in lists for one in _labelled(Path(data.folder) / name, self._folder)]
        self._held = None if data.val_list is None else _labelled(Path(data.folder) / data.val_list, self._folder)
        self._vectors: Tensor | None = None
        if "embedding" in self.spec.outputs and self._losses.alpha > 0.0:
            path = SHIPPED if data.label_vectors is None else Path(data.folder) / data.label_vectors
            self._vectors = torch.from_numpy(read_label_vectors(path))
        self.about = f"{data.name}: {len(self._entries)} clips of {len({one.index for one in self._entries})} actions"
        self.data = self._digest()

    def count(self, settings: ClipData) -> int:  # noqa: ARG002 - there is one stage
        return len(self._entries)

    def open(self, settings: ClipData) -> Source:  # noqa: ARG002 - there is one stage
        return self._source(self._entries, augment=True)

    def prepare(self, network: Network) -> None:
        device = next(network.parameters()).device
        if self._vectors is not None:
            self._vectors = self._vectors.to(device)
        heads = nn.ModuleDict()
        if self._losses.auxiliary > 0.0:
            heads["parts"] = nn.Linear(network.heads()["logits"].in_features, len(BODY_PARTS))
        if self._losses.moments > 0.0:
            clip = torch.zeros(1, *self.spec.inputs["clips"], dtype=torch.uint8, device=device)
            with torch.no_grad(), _Seen(network.eval(), moments=True) as seen:
                network(clip)
            heads["moments"] = nn.Linear(seen.moments.shape[2], len(ACTIONS))
        if heads:
            network.add_module(AUXILIARY, heads.to(device))

    def loss(self, network: Network, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with _Seen(network, self._losses.moments > 0.0) as seen:
            outputs = network(*inputs_of(self.spec, batch))
        own: Mapping[str, nn.Module] = getattr(network, AUXILIARY, {})
        head = Head(
            seen.features,
            network.heads()["logits"].weight,
            own["parts"](seen.features) if "parts" in own else None,
            own["moments"](seen.moments) if "moments" in own else None,
        )
        return action_losses(outputs, batch["targets"], self._vectors, self._losses, head)

    def evaluate(self, network: Network) -> dict[str, float]:
        if self._held is None:
            return {}
        found = self._predict(network)
        logs = log_softmax(found["logits"], axis=1)
        true = found["targets"].argmax(axis=1)
        scores = score_clips(np.exp(logs), true)
        names = ("f1_mean", "top1_fine", "top1_coarse")
        return {"loss": -float(logs[np.arange(len(true)), true].mean())} | {one: getattr(scores, one) for one in names}

    def calibrate(self, bundle: Bundle) -> tuple[Calibration, str] | None:
        """A temperature, where there are enough clips to fit it on."""
        if self._held is None or len(self._held) < LEAST_WINDOWS or not self._temperature:
            return None
        from engines.export.weights import read_network

        found = self._predict(read_network(bundle))
        temperature = round(fit_temperature(bundle, found["logits"], found["targets"]), 4)
        basis = f"temperature: {len(self._held)} validation clips; no thresholds"
        return Calibration(temperature=temperature, basis=basis), f"temperature {temperature:.3f}"

    def judge(self, bundle: Bundle, folder: Path) -> None:
        if self._held is not None:
            evaluate(str(bundle.path), Scored(self._held, self._folder, self.settings(0).frames), folder)

    def _predict(self, network: Network) -> dict[str, np.ndarray]:
        source = self._source(self._held or (), augment=False)
        return predict(network, source, self.recipe.optimiser.batch_size, self.machine.workers)

    def _source(self, entries: Sequence[Entry], augment: bool) -> ClipSource:
        spec, data, seed = self.spec, self.settings(0), self.recipe.seed
        return ClipSource(
            entries, self._folder, spec.sampling, spec.picture_size, seed, augment, data.frames, data.crop
        )

    def _digest(self) -> str:
        """Of the lists, every video, and the label vectors."""
        digest = hashlib.sha256(b"" if self._vectors is None else self._vectors.numpy().tobytes())
        entries = [*self._entries, *(self._held or ())]
        for number, entry in enumerate(entries, 1):
            digest.update(f"{entry.name} {entry.index} {digest_file(self._folder / entry.name)}\n".encode())
            self.machine.report("reading videos", number, len(entries))
        return digest.hexdigest()


class _Seen:
    """What the classifier of a network reads, and its moments where asked for, in a forward pass."""

    features: Tensor  # (N, C)
    moments: Tensor  # (N, M, C)

    def __init__(self, network: Network, moments: bool) -> None:
        self._network = cast(VideoNetwork, network)
        self._hooks = [self._network.classifier.register_forward_pre_hook(self._keep)]
        if moments:
            layer = network.get_submodule(self._network.moment_layer)
            self._hooks.append(layer.register_forward_hook(self._keep_moments))

    def __enter__(self) -> _Seen:
        return self

    def _keep(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.features = inputs[0]

    def _keep_moments(self, _: nn.Module, __: object, output: Any) -> None:
        self.moments = self._network.moments(output)

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def _labelled(path: Path, folder: Path) -> Sequence[Entry]:
    entries = read_list(path, folder)
    if withheld(entries):
        raise BadInput("a list with labels", f"{path}, where every index is 0", "labels of the test list are withheld")
    return entries
