"""Two runtimes of one bundle, or two bundles, on the same clips: how far their scores differ, and which is faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.common.errors import BadInput, Failed
from engines.patterns import example_inputs
from engines.preprocess import center_crop, clip_frame_indices
from engines.runtimes import RUNTIMES, Runtime, available, least_ms, open_runtime
from engines.runtimes.base import Inputs

UInt8Array = npt.NDArray[np.uint8]


class CompareFailed(Failed):
    """There is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far two runtimes are apart in the first output, in logit units; times are the least of one window."""

    first: str
    second: str
    clips: int
    max_difference: float
    mean_difference: float
    largest_logit: float  # of the first: the scale of the differences
    top1_agreement: float  # share of clips, 0..1
    first_ms: float
    second_ms: float

    @property
    def speed_up(self) -> float:
        """How many times faster the second is."""
        return self.first_ms / self.second_ms

    def __str__(self) -> str:
        relative = self.max_difference / self.largest_logit if self.largest_logit else 0.0
        return (
            f"{self.second} against {self.first}, {self.clips} clips: logits differ by at most "
            f"{self.max_difference:.3g} ({relative:.1e} of the largest), {self.mean_difference:.3g} on average; "
            f"top-1 agrees on {self.top1_agreement:.1%}; {self.second_ms:.1f} ms against {self.first_ms:.1f} ms "
            f"({self.speed_up:.2f} times as fast)"
        )


def compare(first: Runtime, second: Runtime, inputs: Inputs) -> Comparison:
    """Run both active runtimes on N inputs, one by one as the live path does."""
    output = next(iter(first.bundle.card.network.outputs))
    count = len(next(iter(inputs.values())))
    singles = [{name: array[i : i + 1] for name, array in inputs.items()} for i in range(count)]
    scores = [
        np.concatenate([runtime.run(single)[output] for single in singles]) for runtime in (first, second)
    ]  # (N, 52) each
    difference = np.abs(scores[0] - scores[1])
    agree = scores[0].argmax(axis=1) == scores[1].argmax(axis=1)
    labels = [
        runtime.name if first.bundle == second.bundle else f"{runtime.bundle.card.name} in {runtime.name}"
        for runtime in (first, second)
    ]
    return Comparison(
        first=labels[0],
        second=labels[1],
        clips=count,
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        largest_logit=float(np.abs(scores[0]).max()),
        top1_agreement=float(agree.mean()),
        first_ms=least_ms(first),
        second_ms=least_ms(second),
    )


def compare_bundles(
    first: Bundle,
    second: Bundle,
    names: Sequence[str],
    *,
    videos: Sequence[Path],
    count: int,
    seed: int,
    threads: int,
    write: Callable[[str], None],
) -> list[Comparison]:
    """Open the runtimes, compare, and write one line per pair.

    Args:
        names: none: every installed runtime, each against the first (of one bundle), or "auto" (of two bundles);
            one: the same for both; two: the first's and the second's.
        videos: files to cut clips from; none: `count` patterns from `seed`.

    Raises:
        BadInput: clips of different shape, an unreadable video, a runtime that is unknown or not installed.
        CompareFailed: one bundle and one runtime.
        RuntimeFailed: a runtime failed or does not reproduce its bundle's reference.
    """
    takes = [
        ", ".join(f"{name} {shape}" for name, shape in each.card.network.inputs.items()) for each in (first, second)
    ]
    if takes[0] != takes[1] or first.card.network.outputs != second.card.network.outputs:
        raise BadInput(f"two bundles for {takes[0]}", takes[1], "compare bundles with the same length and size")
    if count < 1 or seed < 0 or len(names) > 2:
        raise BadInput(
            "a count of 1 or more, a seed of 0 or more and up to two runtimes",
            f"{count}, {seed} and {len(names)}",
            "see python -m engines compare --help",
        )
    pairs = _pairs(first, second, names)
    inputs = _inputs(first, videos, count, seed)
    results = []
    for one, other in pairs:
        with open_runtime(first, one, threads) as left, open_runtime(second, other, threads) as right:
            results.append(compare(left, right, inputs))
        write(str(results[-1]))
    return results


def _pairs(first: Bundle, second: Bundle, names: Sequence[str]) -> list[tuple[str, str]]:
    if len(names) == 2:
        return [(names[0], names[1])]
    if first.path != second.path:
        name = names[0] if names else "auto"
        return [(name, name)]
    reads = set(RUNTIMES) if first.card.precision == "fp32" else set(RUNTIMES) - {"torch"}
    usable = [name for name, found in available().items() if found and name in reads]
    base = names[0] if names else usable[0] if usable else ""
    others = [name for name in usable if name != base]
    if not others:
        raise CompareFailed("only one runtime is installed; see `python -m engines list`")
    return [(base, other) for other in others]


def _inputs(bundle: Bundle, videos: Sequence[Path], count: int, seed: int) -> Inputs:
    if not videos:
        return example_inputs(bundle.card.network, seed, count)
    length, size = bundle.card.length, bundle.card.size
    if bundle.card.view != "rgb" or list(bundle.card.network.inputs) != ["clips"]:
        raise BadInput(
            "a micro-action bundle that sees RGB, for clips from videos",
            f"{bundle.card.name}, of the view {bundle.card.view}",
            "leave out --clips",
        )
    return {"clips": np.stack([read_clip(video, length, size) for video in videos])}


def read_clip(path: Path, length: int, size: int) -> UInt8Array:
    """One clip over the whole video: official frames, official crop; uint8 (T, S, S, 3).

    The file is decoded twice, to count and to cut: containers lie about their frame count, and a long file does not
    fit into memory.

    Raises:
        BadInput: not a readable video.
    """
    import av

    try:
        with av.open(str(path)) as container:
            total = sum(1 for _ in container.decode(video=0))
        if not total:
            raise BadInput("a video", f"{path}, which has no frames", "check the file given to --clips")
        wanted = clip_frame_indices(total, length)
        crops = {}
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index in wanted:
                    crops[index] = center_crop(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), size)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise BadInput(
            "a readable video", f"{path} ({type(error).__name__})", "check the file given to --clips"
        ) from None
    return np.stack([crops[int(index)] for index in wanted])
