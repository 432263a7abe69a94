"""What a list of clips is made of (MANet paper, Fig. 2): clips and durations of each action and body part."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from rich.console import Console

from engines.common.errors import BadInput
from engines.common.new_files import check_empty_folder
from engines.taxonomy import ACTIONS, BODY_PARTS
from training.data.clip_lists import Entry, withheld
from training.data.video import frame_times_ns
from training.figures import new_figure, save_figure
from training.metrics import PART_OF, FloatArray, IntArray

CSV_FILE, PICTURE_FILE = "statistics.csv", "statistics.png"
COLUMNS = ("index", "code", "name", "body_part", "clips", "mean_s", "shortest_s", "longest_s")


def describe_list(entries: Sequence[Entry], folder: Path, out: Path) -> None:
    """Write `statistics.csv`, a line for each action, and `statistics.png` into a new folder.

    Raises:
        BadInput: labels are withheld, a video cannot be read, or the folder cannot be written.
    """
    if withheld(entries):
        raise BadInput("a list with labels", "one where every index is 0", "labels of the test list are withheld")
    check_empty_folder(out, "--out")
    indices = np.array([entry.index for entry in entries], np.int64)
    seconds = np.array([duration_s(folder / entry.name) for entry in entries])
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / CSV_FILE).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([COLUMNS, *_rows(indices, seconds)])
        _plot(indices, seconds, out / PICTURE_FILE)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another --out") from None
    shown = len(np.unique(indices))
    Console().print(f"{len(entries)} clips of {shown} actions, {seconds.mean():.2f} s on average: {out / CSV_FILE}")


def duration_s(path: Path) -> float:
    """Of a clip: its last picture is shown as long as the others on average. Raises BadInput: it cannot be read."""
    times = frame_times_ns(path)
    return float(times[-1]) * 1e-9 * len(times) / max(len(times) - 1, 1)


def _rows(indices: IntArray, seconds: FloatArray) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for action in ACTIONS:
        own = seconds[indices == action.index]
        durations = [f"{value:.3f}" for value in (own.mean(), own.min(), own.max())] if len(own) else ["", "", ""]
        rows.append((action.index, action.code, action.name, action.body_part, len(own), *durations))
    return rows


def _plot(indices: IntArray, seconds: FloatArray, path: Path) -> None:
    colors = matplotlib.colormaps["tab10"]
    figure = new_figure(14.0, 7.0)
    grid = figure.add_gridspec(2, 2)
    clips = np.bincount(indices, minlength=len(ACTIONS))
    axes = figure.add_subplot(grid[0, :])
    axes.bar(range(len(ACTIONS)), clips, color=[colors(int(part)) for part in PART_OF])
    axes.set_xticks(range(len(ACTIONS)), [action.code for action in ACTIONS], rotation=90, fontsize=7)
    axes.set(title="clips of each action")
    parts = np.bincount(PART_OF[indices], minlength=len(BODY_PARTS))
    axes = figure.add_subplot(grid[1, 0])
    axes.bar_label(axes.barh(BODY_PARTS, parts, color=[colors(part) for part in range(len(BODY_PARTS))]))
    axes.set(title="clips of each body part")
    axes = figure.add_subplot(grid[1, 1])
    axes.hist(seconds, bins=30)
    axes.set(title="durations", xlabel="s")
    save_figure(figure, path)
