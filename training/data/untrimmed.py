"""Windows of untrimmed videos, cut by time as the live path cuts them, with targets of all actions at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.preprocess import center_crop
from engines.runtimes import open_runtime
from engines.specs.base import Spec
from events.offline import HOP_S, JudgedSession
from simulation.windows import FOCUS, Int64Array, samples, targets
from training.data.crops import TSN_CROP, Crop, cut
from training.data.examples import Example, Float32Array, UInt8Array
from training.data.interval_lists import LabelledRecording
from training.data.video import frame_times_ns, read_frames


@dataclass(frozen=True)
class Recordings:
    """Videos of a list for a network, and the span of its windows."""

    entries: Sequence[LabelledRecording]
    folder: Path
    spec: Spec
    span_s: float

    @cached_property
    def times_ns(self) -> list[Int64Array]:
        """Times of each video's pictures, from its first one. Raises BadInput: one is shorter than a window."""
        found = []
        for entry in self.entries:
            times = frame_times_ns(self.folder / entry.video)
            if times[-1] < self.span_ns:
                got = f"{entry.video} of {times[-1] * 1e-9:.2f} s"
                raise BadInput(f"videos of {self.span_s:g} s or more, a window's length", got, "leave it out")
            found.append(times)
        return found

    @property
    def span_ns(self) -> int:
        """Of a window."""
        return round(self.span_s * 1e9)

    def pictures(self, number: int, end_ns: int) -> list[UInt8Array]:
        """The T pictures of a window of a video that ends at `end_ns`."""
        frames = self.spec.sampling.frames
        chosen = samples(self.times_ns[number], np.array([end_ns]), self.span_ns, frames)[0]
        return read_frames(self.folder / self.entries[number].video, lambda _: np.maximum(chosen, 0))

    def targets(self, number: int, ends_ns: Int64Array) -> Float32Array:
        """Targets (K, 52) of windows of a video."""
        events = self.entries[number].events
        return targets(events, ends_ns.astype(np.float64) * 1e-9, self.span_s, self.spec.sampling.frames, FOCUS)

    def ends_ns(self, number: int, hop_s: float = HOP_S) -> Int64Array:
        """Ends of the windows that fall due within a video as it is played."""
        return np.arange(self.span_ns, int(self.times_ns[number][-1]) + 1, round(hop_s * 1e9), dtype=np.int64)


@dataclass(frozen=True)
class RandomWindows:
    """Training windows that end at any moment of their video: as much background as there is."""

    recordings: Recordings
    seed: int
    crop: Crop = TSN_CROP

    @cached_property
    def owners(self) -> list[int]:
        """The video of each window of an epoch: as many of a video as lie in it side by side."""
        span = self.recordings.span_ns
        return [number for number, times in enumerate(self.recordings.times_ns) for _ in range(int(times[-1]) // span)]

    def __len__(self) -> int:
        return len(self.owners)

    def item(self, index: int, epoch: int) -> Example:
        """See `Source.item`."""
        recordings, number = self.recordings, self.owners[index]
        rng = np.random.default_rng([self.seed, epoch, index])
        end = int(rng.integers(recordings.span_ns, int(recordings.times_ns[number][-1]) + 1))
        clip = cut(recordings.pictures(number, end), recordings.spec.picture_size, self.crop, rng)
        return {"clips": clip, "targets": recordings.targets(number, np.array([end]))[0]}


@dataclass(frozen=True)
class LiveWindows:
    """The windows of all videos as the live path cuts them, a hop apart, in its view."""

    recordings: Recordings

    @cached_property
    def ends(self) -> list[tuple[int, int]]:
        """(video, end in ns) of every window."""
        count = len(self.recordings.entries)
        return [(number, int(end)) for number in range(count) for end in self.recordings.ends_ns(number)]

    def __len__(self) -> int:
        return len(self.ends)

    def item(self, index: int, epoch: int) -> Example:  # noqa: ARG002 - nothing varies
        """See `Source.item`."""
        number, end = self.ends[index]
        size = self.recordings.spec.picture_size
        clip = np.stack([center_crop(picture, size) for picture in self.recordings.pictures(number, end)])
        return {"clips": clip, "targets": self.recordings.targets(number, np.array([end]))[0]}


def judge_recordings(bundle: Bundle, recordings: Recordings, engine: str, threads: int = 0) -> list[JudgedSession]:
    """Scores of a deployed model for every window of each video.

    Raises:
        BadInput: a video cannot be read.
        RuntimeFailed: the engine cannot run it.
    """
    windows = LiveWindows(recordings)
    with open_runtime(bundle, engine, threads) as runtime:
        logits = [runtime.run({"clips": windows.item(at, 0)["clips"][None]})["logits"] for at in range(len(windows))]
    owners, scores = np.array([number for number, _ in windows.ends]), np.concatenate(logits)
    return [
        JudgedSession(recordings.ends_ns(number), scores[owners == number], list(entry.events), float(times[-1]) * 1e-9)
        for number, (entry, times) in enumerate(zip(recordings.entries, recordings.times_ns, strict=True))
    ]
