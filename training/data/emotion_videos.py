"""Emotion windows of real videos.

`python -m lab.prepare` turns each video into what an engine would see of it in a live session, a few times a
second, as one .npz; packages exchange files, never imports. Windows are cut from those.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.card import DRAWING
from engines.common.errors import BadInput, Failed
from engines.specs.base import EmotionSpec
from engines.taxonomy import ACTIONS, EMOTIONS
from training.data.emotion_examples import EmotionSource, EmotionWindow
from training.data.emotion_lists import LabelledVideo
from training.data.examples import Float32Array, UInt8Array

SHORTEST_S = 1.0
RATE_HZ = 12.0  # pictures kept of each second, at most


class PrepareFailed(Failed):
    """A video could not be turned into what an engine sees."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What an engine would see of a video, n pictures of it."""

    times_ns: npt.NDArray[np.int64]  # (n,) media times
    inputs: dict[str, UInt8Array]  # by the names of the spec's `inputs`, (n, ...) each

    @property
    def seconds(self) -> float:
        """From the first picture to the last."""
        return float(self.times_ns[-1] - self.times_ns[0]) * 1e-9


def prepare(entries: Sequence[LabelledVideo], data: Path, folder: Path, view: str, spec: EmotionSpec) -> None:
    """Prepare what is not there yet, and check all of it.

    Raises:
        BadInput: a video cannot be read, is shorter than `SHORTEST_S` or than T pictures, or never shows a face (or a
            body) to a network with that branch.
        PrepareFailed: preparing broke.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        target = prepared_path(folder, entry, data, view, spec)
        if not target.exists():
            _prepare(entry.video, data / entry.video, target, view, spec)
        check(read_prepared(target, spec), entry.video, spec)


def _prepare(name: str, video: Path, target: Path, view: str, spec: EmotionSpec) -> None:
    sizes = ("--size", str(spec.picture_size or 112), "--face-size", str(spec.face_size or 64))
    words = (str(video), "--out", str(target), "--view", view, *sizes, "--rate", f"{RATE_HZ:g}")
    command = [sys.executable, "-m", "lab.prepare", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        line = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("manet-live: ")
        if done.returncode == 2:
            raise BadInput("videos that can be prepared", f"{name}: {line}", "take it out of the list")
        raise PrepareFailed(f"preparing {name} failed: {line}")


def prepared_path(folder: Path, entry: LabelledVideo, data: Path, view: str, spec: EmotionSpec) -> Path:
    """Where a video's .npz is: its name changes with its bytes, the pictures' sizes and how they are drawn."""
    sees = f"{view} {DRAWING}" if view == "landmarks" else view
    digest = hashlib.sha256(f"{sees} {spec.picture_size} {spec.face_size} {RATE_HZ}".encode())
    with (data / entry.video).open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return folder / f"{Path(entry.video).stem}-{digest.hexdigest()[:16]}.npz"


def read_prepared(path: Path, spec: EmotionSpec) -> Prepared:
    """Read a prepared video.

    Raises:
        BadInput: not one, or of other sizes.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            times = arrays["times_ns"]
            inputs = {name: arrays[name] for name in spec.inputs}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput("a prepared video", f"{path} ({type(error).__name__})", "delete it, to make it again") from None
    for name, shape in spec.inputs.items():
        if inputs[name].dtype != np.uint8 or inputs[name].shape != (len(times), *shape[1:]):
            raise BadInput(f"{name} of {shape[1:]} in {path.name}", str(inputs[name].shape[1:]), "delete that file")
    return Prepared(times.astype(np.int64), inputs)


def check(prepared: Prepared, name: str, spec: EmotionSpec) -> None:
    """Refuse what no window can be cut from. Raises BadInput."""
    count, hint = len(prepared.times_ns), "take it out of the list"
    if count < spec.length:
        raise BadInput(f"videos of at least T = {spec.length} pictures", f"{name}, of which {count} can be used", hint)
    if prepared.seconds < SHORTEST_S:
        raise BadInput(f"videos of {SHORTEST_S:g} s or more", f"{name} of {prepared.seconds:.2f} s", hint)
    for branch, what in (("body", "a person"), ("face", "a face")):
        if branch in spec.inputs and not prepared.inputs[f"{branch}_seen"].any():
            raise BadInput(f"videos that show {what}", f"{name}, in which none was found", hint)


@dataclass
class Videos(EmotionSource):
    """Emotion windows of prepared videos: window k of video v has the number v · per_video + k."""

    entries: Sequence[LabelledVideo] = field(kw_only=True)
    files: Sequence[Path] = field(kw_only=True)  # see `prepared_path`
    spec: EmotionSpec = field(kw_only=True)
    span_s: float = field(kw_only=True)
    per_video: int = 1
    whole: bool = False  # a window is all of its video: MA-52-Pro's protocol (MANet paper, section VI-B)

    def __len__(self) -> int:
        return len(self.entries) * self.per_video

    def window(self, index: int, rng: np.random.Generator | None) -> EmotionWindow:
        """See `EmotionSource.window`: training takes a random picture of each T-th of a random window (or of all)."""
        video, place = divmod(index, self.per_video)
        prepared = read_prepared(self.files[video], self.spec)
        chosen = self._choose(prepared.times_ns, place, rng)
        felt, actions = (labels[0] for labels in _labels([self.entries[video]]))
        inputs = {name: array[chosen] for name, array in prepared.inputs.items() if self.bodies or name != "body"}
        return EmotionWindow(inputs, felt, actions)

    def _choose(
        self, times_ns: npt.NDArray[np.int64], place: int, rng: np.random.Generator | None
    ) -> npt.NDArray[np.int64]:
        """(T,) pictures of a window; of a shorter video, all of it."""
        first, last = int(times_ns[0]), int(times_ns[-1])
        span = last - first if self.whole else min(round(self.span_s * 1e9), last - first)
        share = (place + 0.5) / self.per_video if rng is None else float(rng.random())
        start = first + share * (last - first - span)
        within = np.full(self.spec.length, 1.0) if rng is None else rng.random(self.spec.length)
        moments = start + (np.arange(self.spec.length) + within) * span / self.spec.length
        return np.clip(np.searchsorted(times_ns, moments, side="right") - 1, 0, len(times_ns) - 1)

    def labels(self) -> tuple[Float32Array, Float32Array]:
        """See `EmotionSource.labels`."""
        felt, actions = (np.repeat(labels, self.per_video, axis=0) for labels in _labels(self.entries))
        return felt, actions


def _labels(entries: Sequence[LabelledVideo]) -> tuple[Float32Array, Float32Array]:
    """(V, 6) and (V, 52) of videos."""
    felt = np.zeros((len(entries), len(EMOTIONS) + 1), np.float32)
    actions = np.zeros((len(entries), len(ACTIONS)), np.float32)
    for row, entry in enumerate(entries):
        felt[row, entry.emotion] = 1.0
        actions[row, list(entry.actions)] = 1.0
    return felt, actions
