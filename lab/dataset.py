"""A data set of one's own, as MA-52 is: clips of single actions on which annotators agree, lists, splits, statistics.

An event becomes a clip where at least two annotators give it the same name and overlap by half; its ends are the means
of theirs. Nobody is in two splits.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, BODY_PARTS
from lab.agreement import OVERLAPS, pairs
from lab.corrections import BY_NAME
from lab.words import Event
from realtime.capture.sources import EndOfSource, FileSpec, open_source
from realtime.clock import NS_PER_S

SPLITS: Mapping[str, float] = {"train": 0.5, "val": 0.25, "test": 0.25}  # as MA-52's 11,250, 5,586 and 5,586 clips
COLUMNS = ("recording", "subject", "annotations")
WAIT_S = 1.0  # for a picture
TIME_BASE = Fraction(1, 90_000)
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Annotated:
    """One row of the list: a recording, who is in it, and its annotators' files."""

    recording: Path
    subject: str
    annotations: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """One event that annotators agree on."""

    recording: Path
    subject: str
    name: str  # of the file
    index: int  # of the action
    onset_s: float
    offset_s: float
    votes: int


def read_rows(path: Path) -> list[Annotated]:
    """The list of recordings: CSV with `recording,subject,annotations`, paths from its own folder, 2 or 3 files by `;`.

    Raises:
        BadInput: a column or a file is missing, or there are fewer than two annotators.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError) as error:
        raise BadInput(f"a list with the columns {', '.join(COLUMNS)}", f"{path} ({error})", "check it") from None
    found = []
    for number, row in enumerate(rows, 2):
        if not all(row.get(name) for name in COLUMNS):
            raise BadInput(f"{', '.join(COLUMNS)} in each line", f"{path}, line {number}", "fill it in")
        files = tuple(path.parent / one.strip() for one in row["annotations"].split(";") if one.strip())
        if not 2 <= len(files) <= 3:
            raise BadInput("two or three annotators", f"{len(files)} at {path}, line {number}", "separate them by ;")
        recording = path.parent / row["recording"].strip()
        missing = next((one for one in (recording, *files) if not one.exists()), None)
        if missing is not None:
            raise BadInput("files that are there", f"{missing} at {path}, line {number}", "check the path")
        found.append(Annotated(recording, row["subject"].strip(), files))
    if not found:
        raise BadInput("a list of recordings", f"{path}, which is empty", "add a line")
    return found


def agreed(annotators: Sequence[Sequence[Event]]) -> list[tuple[Event, int]]:
    """Events that at least two give the same single name and overlap by half, and how many do: means of their ends."""
    single = [[one for one in events if len(one.names) == 1 and min(one.names) in BY_NAME] for events in annotators]
    links: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for first, second in itertools.combinations(range(len(single)), 2):
        for pair in pairs(single[first], single[second], "actions", OVERLAPS[-1]):
            if pair.first is not None and pair.second is not None:
                one = (first, _place(single[first], pair.first))
                other = (second, _place(single[second], pair.second))
                links.setdefault(one, set()).add(other)
                links.setdefault(other, set()).add(one)
    found, used = [], set[tuple[int, int]]()
    for start in sorted(links, key=lambda key: (-len(links[key]), key)):
        group = {start, *(key for key in links[start] if key not in used)}
        if start in used or len(group) < 2:
            continue
        used |= group
        events = [single[coder][place] for coder, place in group]
        onset_s, offset_s = (float(np.mean([one.span[end] for one in events])) for end in (0, 1))
        found.append((Event(events[0].names, onset_s, offset_s), len(group)))
    return sorted(found, key=lambda each: each[0].onset_s)


def _place(events: Sequence[Event], wanted: Event) -> int:
    return next(at for at, one in enumerate(events) if one is wanted)


def clips_of(row: Annotated, number: int, annotators: Sequence[Sequence[Event]]) -> list[Clip]:
    """The clips of one recording, named by subject-less numbers: `r003_0012.mp4`."""
    return [
        Clip(
            row.recording,
            row.subject,
            f"r{number:03d}_{at:04d}.mp4",
            BY_NAME[min(event.names)].index,
            event.onset_s,
            event.offset_s,
            votes,
        )
        for at, (event, votes) in enumerate(agreed(annotators))
    ]


def split_subjects(clips: Sequence[Clip], seed: int = 0) -> dict[str, str]:
    """Subject → split: those with most clips first, each to the split that lacks most.

    Raises:
        BadInput: fewer subjects than splits.
    """
    counts = Counter(clip.subject for clip in clips)
    if len(counts) < len(SPLITS):
        raise BadInput(f"clips of at least {len(SPLITS)} subjects", str(len(counts)), "record more people")
    order = np.random.default_rng(seed).permutation(sorted(counts)).tolist()
    order.sort(key=lambda subject: -counts[subject])
    held = dict.fromkeys(SPLITS, 0)
    found: dict[str, str] = {}
    for place, subject in enumerate(order):
        empty = [split for split, count in held.items() if not count]
        open_splits = empty if len(order) - place <= len(empty) else list(SPLITS)
        split = max(open_splits, key=lambda one: SPLITS[one] * len(clips) - held[one])
        held[split] += counts[subject]
        found[subject] = split
    return found


def cut(clips: Sequence[Clip], folder: Path) -> list[str]:
    """Write the clips of one recording, upright, without sound, with their true times; those without a picture."""
    empty: list[str] = []
    waiting = sorted(clips, key=lambda clip: clip.onset_s)
    running: list[tuple[Clip, _Writer]] = []
    for time_s, pixels in _pictures(clips[0].recording):
        while waiting and waiting[0].onset_s <= time_s:
            clip = waiting.pop(0)
            running.append((clip, _Writer(folder / clip.name)))
        for clip, writer in [each for each in running if each[0].offset_s < time_s]:
            running.remove((clip, writer))
            empty += [] if writer.close() else [clip.name]
        for _, writer in running:
            writer.add(time_s, pixels)
        if not waiting and not running:
            break
    for clip, writer in running:
        empty += [] if writer.close() else [clip.name]
    return empty + [clip.name for clip in waiting]


def _pictures(path: Path) -> Iterator[tuple[float, npt.NDArray[np.uint8]]]:
    """(seconds of the file's own clock, (H, W, 3) RGB)."""
    with open_source(FileSpec(str(path))) as source, suppress(EndOfSource):
        while True:
            image = source.read(WAIT_S)
            if image is not None:
                begins_ns = source.recording.begins_ns if source.recording else 0
                yield (image.media_ns - begins_ns) / NS_PER_S, image.pixels


class _Writer:
    """One clip as H.264; `close` says whether there is anything in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: av.container.OutputContainer | None = None
        self._begun_s = 0.0

    def add(self, time_s: float, pixels: npt.NDArray[np.uint8]) -> None:
        height, width = (side - side % 2 for side in pixels.shape[:2])  # of 4:2:0
        if self._container is None:
            self._container = av.open(str(self._path), "w")
            self._stream = self._container.add_stream("libx264", rate=30, options={"crf": "18", "preset": "veryfast"})
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
            self._begun_s = time_s
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        frame.pts, frame.time_base = round((time_s - self._begun_s) / TIME_BASE), TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def close(self) -> bool:
        if self._container is None:
            return False
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return True


def statistics(clips: Sequence[Clip], splits: Mapping[str, str]) -> list[dict[str, object]]:
    """A row an action, as in the paper's Fig. 2: clips in each split, people, durations."""
    rows: list[dict[str, object]] = []
    for action in ACTIONS:
        mine = [clip for clip in clips if clip.index == action.index]
        lengths = np.array([clip.offset_s - clip.onset_s for clip in mine])
        row: dict[str, object] = {"code": action.code, "action": action.name, "body_part": action.body_part}
        row |= {split: sum(splits[clip.subject] == split for clip in mine) for split in SPLITS}
        row |= {"clips": len(mine), "subjects": len({clip.subject for clip in mine})}
        quartiles = np.percentile(lengths, (25, 50, 75)).round(3).tolist() if len(mine) else ["", "", ""]
        rows.append(row | dict(zip(("p25_s", "median_s", "p75_s"), quartiles, strict=True)))
    return rows


def picture(clips: Sequence[Clip]) -> Figure:
    """Clips of each action, coloured by body part, and how long they are."""
    figure = Figure(figsize=(14, 8), layout="constrained")
    above, below = figure.subplots(2, 1)
    counts = np.bincount([clip.index for clip in clips], minlength=len(ACTIONS))
    for place, part in enumerate(BODY_PARTS):
        at = [action.index for action in ACTIONS if action.body_part == part]
        above.bar(at, counts[at], color=f"C{place}", label=part)
    above.set_xticks(range(len(ACTIONS)), [action.code for action in ACTIONS], rotation=90)
    above.set_ylabel("clips")
    above.legend(ncols=len(BODY_PARTS))
    below.hist([clip.offset_s - clip.onset_s for clip in clips], bins=40)
    below.set_xlabel("duration (s)")
    below.set_ylabel("clips")
    return figure
