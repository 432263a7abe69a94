"""python -m lab dataset: a data set of one's own, ready for `python -m training run`."""

from __future__ import annotations

import argparse
import csv
import itertools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from engines.common.errors import BadInput
from engines.common.log import log
from engines.common.new_files import check_empty_folder
from lab.annotations import read_annotations
from lab.dataset import SPLITS, Clip, clips_of, cut, picture, read_rows, split_subjects, statistics
from lab.words import read_map, translate


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("list", type=Path, metavar="LIST.csv", help="recording,subject,annotations (files, by ;)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    command.add_argument("--map", type=Path, metavar="WORDS.toml", help="what words mean in MA-52: `lab words FILE`")
    command.add_argument("--seed", type=int, default=0, help="of the splits (0)")


def run(options: argparse.Namespace) -> None:
    """Cut the clips, write lists and statistics; all of it, or nothing."""
    check_empty_folder(options.out, "--out")
    words = read_map(options.map) if options.map else {}
    clips: list[Clip] = []
    seen = 0
    for number, row in enumerate(read_rows(options.list), 1):
        annotators = [translate(read_annotations(path), words) for path in row.annotations]
        clips += clips_of(row, number, annotators)
        seen += max(map(len, annotators))
    if not clips:
        raise BadInput("events that two annotators agree on", "none", "check --map and the annotations")
    splits = split_subjects(clips, options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{options.out.name}-", dir=options.out.parent) as made:
        folder = Path(made) / "made"
        folder.mkdir()
        empty: set[str] = set()
        for _, group in itertools.groupby(clips, key=lambda clip: clip.recording):
            empty.update(cut(list(group), folder))
        if empty:
            log.warning("%d events lie where the recording has no picture: no clips", len(empty))
            clips = [clip for clip in clips if clip.name not in empty]
        if not clips:
            raise BadInput("annotations of these recordings", "times where they have no picture", "check the list")
        _write(folder, clips, splits)
        if options.out.exists():
            options.out.rmdir()  # empty
        shutil.move(folder, options.out)
    counts = ", ".join(f"{sum(splits[clip.subject] == split for clip in clips)} {split}" for split in SPLITS)
    print(
        f"{options.out}: {len(clips)} clips ({counts}) of {len(splits)} subjects; at most {seen} events were annotated"
    )


def _write(folder: Path, clips: Sequence[Clip], splits: Mapping[str, str]) -> None:
    for split in SPLITS:
        lines = [f"{clip.name} {clip.index}\n" for clip in clips if splits[clip.subject] == split]
        (folder / f"{split}_list.txt").write_text("".join(lines), encoding="utf-8")
    rows = statistics(clips, splits)
    _table(folder / "statistics.csv", rows)
    names = ("name", "subject", "index", "onset_s", "offset_s", "votes")
    known = [{name: getattr(clip, name) for name in names} for clip in clips]
    origin = [{"recording": clip.recording.name, "split": splits[clip.subject]} for clip in clips]
    _table(folder / "clips.csv", [one | other for one, other in zip(known, origin, strict=True)])
    picture(clips).savefig(folder / "statistics.png", dpi=100)


def _table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
