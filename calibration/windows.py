"""Windows to quantise on and to judge by: cut from videos as the live path cuts them, or of simulated sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.bundle import Float32Array, UInt8Array
from engines.card import ModelCard
from engines.common.errors import BadInput
from engines.preprocess import center_crop
from engines.taxonomy import ACTIONS
from events.offline import window_grid
from simulation.emotion import MoodSettings
from simulation.emotion_windows import cut
from simulation.interview import BALANCED, NATURAL
from simulation.session import Session, Settings, simulate
from simulation.windows import Int64Array, draw, events_of, live_ends, samples, targets

SESSION_S = 20.0
EMOTIONAL_S = 40.0  # in which feelings change once or twice
EACH = 8  # windows of a session
FOCUS = 0.5  # as in training
SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """N windows (of an emotion model: emotion windows), with their labels where known."""

    inputs: Mapping[str, UInt8Array]  # by the names in the spec's `inputs`, (N, ...) each
    labels: Float32Array | None  # (N, 52) or (N, 5): share 0..1 of each action or emotion
    simulated: bool = False  # they show nobody, and may be given away

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def part(self, start: int, stop: int) -> Windows:
        """Windows `start` .. `stop`."""
        inputs = {name: array[start:stop] for name, array in self.inputs.items()}
        return Windows(inputs, None if self.labels is None else self.labels[start:stop], self.simulated)

    def singles(self) -> Iterator[dict[str, UInt8Array]]:
        """The inputs of one window after the other, with N = 1."""
        return ({name: array[at : at + 1] for name, array in self.inputs.items()} for at in range(len(self)))


def simulated_windows(
    card: ModelCard, split: str, count: int, seed: int, report: Callable[[int], None] = lambda _: None
) -> Windows:
    """`count` windows of simulated sessions of `split`, `EACH` of a session, from seed `seed` on.

    Emotion models are shown interviews with feelings, micro-action models ones in which all actions are as frequent.

    Raises:
        BadInput: the model does not see landmarks, or sees them as numbers.
    """
    _check_view(card, "landmarks")
    if card.task != "emotion" and "clips" not in card.network.inputs:
        raise BadInput("a model that sees pictures", f"{card.name}, which sees numbers", "leave it in fp32")
    grid = window_grid(card)
    feels = card.task == "emotion"
    settings = Settings(NATURAL, split, mood=MoodSettings()) if feels else Settings(BALANCED, split)
    parts = []
    for number in range(-(-count // EACH)):
        session = simulate(seed + number, EMOTIONAL_S if feels else SESSION_S, settings=settings)
        ends = live_ends(session, grid.span_ns, grid.hop_ns)
        parts.append(_cut(session, ends[np.linspace(0, len(ends) - 1, EACH).astype(np.int64)], card))
        report(EACH)
    inputs = {name: np.concatenate([part[name] for part, _ in parts]) for name in card.network.inputs}
    return Windows(inputs, np.concatenate([labels for _, labels in parts]), simulated=True).part(0, count)


def _cut(session: Session, ends_ns: Int64Array, card: ModelCard) -> tuple[Mapping[str, UInt8Array], Float32Array]:
    """Inputs and labels of the windows of a session that end at `ends_ns` (K,)."""
    ends_s = ends_ns.astype(np.float64) * 1e-9
    if card.task == "emotion":
        part = cut(session, ends_s, card.span_s, card.emotion)
        return part.inputs, part.felt[:, :-1]  # the last column is of feeling nothing
    chosen = samples(session.times_ns, ends_ns, round(card.span_s * 1e9), card.length)
    return (
        {"clips": draw(session, chosen, card.size)},
        targets(events_of(session), ends_s, card.span_s, card.length, FOCUS),
    )


def video_windows(
    card: ModelCard,
    paths: Sequence[Path],
    most: int,
    labels: Mapping[str, int] | None,
    report: Callable[[int], None] = lambda _: None,
) -> Windows:
    """Windows of videos, one behind the other in each, official crop; up to `most`, videos in turn.

    Args:
        card: of a model that sees RGB.
        paths: files, or folders of files.
        most: how many windows at most.
        labels: action index by file name, or none known.

    Raises:
        BadInput: the model is of another view; no video, an unreadable one, or one without its label.
    """
    _check_view(card, "rgb")
    files = _files(paths)
    for file in files:
        if labels is not None and file.name not in labels:
            raise BadInput(f"a label for {file.name}", "none", "add it to the list given to --labels")
    cutting = [cut_windows(file, card) for file in files]
    clips: list[UInt8Array] = []
    found: list[int] = []
    while cutting and len(clips) < most:
        for file, windows in list(zip(files, cutting, strict=True)):
            clip = next(windows, None)
            if clip is None:
                files.remove(file)
                cutting.remove(windows)
            elif len(clips) < most:
                clips.append(clip)
                found.append(labels[file.name] if labels is not None else 0)
                report(1)
    stacked = np.stack(clips) if clips else np.zeros((0, *card.network.inputs["clips"]), np.uint8)
    one_hot = np.eye(len(ACTIONS), dtype=np.float32)[found] if labels is not None else None
    return Windows({"clips": stacked}, one_hot)


def _check_view(card: ModelCard, wanted: str) -> None:
    if card.view == "rgb" and card.task == "emotion":  # a live session alone cuts faces out of videos
        raise BadInput(
            "an emotion model of the landmark view",
            f"{card.name}, which sees rgb",
            "keep it in fp32: videos given to --clips are not cut into bodies and faces",
        )
    if card.view != wanted:
        expected, fix = (
            ("a model that sees RGB for --clips", "give --simulated")
            if wanted == "rgb"
            else ("a model of the landmark view for --simulated", "give videos with --clips")
        )
        raise BadInput(expected, f"{card.name}, which sees {card.view}", fix)


def cut_windows(path: Path, card: ModelCard) -> Iterator[UInt8Array]:
    """Windows uint8 (T, S, S, 3) of a video, one behind the other; a video shorter than a window gives one.

    Raises:
        BadInput: not a readable video.
    """
    import av

    step = card.span_s / card.length
    crops: list[UInt8Array] = []
    newest: av.VideoFrame | None = None
    wanted_s = 0.0
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                if frame.pts is None:
                    continue
                wanted_s = wanted_s or frame.time + step
                while newest is not None and frame.time > wanted_s + 1e-6:
                    crops.append(_crop(newest, card.size))
                    wanted_s += step
                    if len(crops) == card.length:
                        yield np.stack(crops)
                        crops = []
                newest = frame
        if newest is None:
            raise BadInput("a video", f"{path}, which has no frames", "check the files given to --clips")
        if 2 * len(crops) >= card.length:  # it lies in the middle of its window
            before = (card.length - len(crops)) // 2
            after = card.length - len(crops) - before
            yield np.stack([crops[0]] * before + crops + [_crop(newest, card.size)] * after)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise BadInput(
            "a readable video", f"{path} ({type(error).__name__})", "check the files given to --clips"
        ) from None


def read_labels(path: Path) -> dict[str, int]:
    """Action index by file name, from lines of `name.mp4 index`.

    Raises:
        BadInput: the file cannot be read, or a line is not of this form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("a list of `name.mp4 index`", f"{path} ({type(error).__name__})", "check --labels") from None
    found = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not words[1].isdecimal() or int(words[1]) >= len(ACTIONS):
            raise BadInput(
                "`name.mp4 index`, with an index of 0..51",
                f"{line.strip()[:60]!r} at {path}:{number}",
                "correct it",
            )
        found[words[0]] = int(words[1])
    if len(found) > 1 and not any(found.values()):
        raise BadInput("labels", f"{path}, where every index is 0: labels are withheld", "leave out --labels")
    return found


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise BadInput("videos in the folder", str(path), "check the folders given to --clips")
        found += inside
    return found


def _crop(frame: object, size: int) -> UInt8Array:
    return center_crop(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), size)  # type: ignore[attr-defined]
