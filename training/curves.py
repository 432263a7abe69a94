"""A run's curves: one row per epoch as CSV, and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

CSV_FILE, PICTURE_FILE = "curves.csv", "curves.png"
LOSSES = ("loss", "classification", "embedding", "f1", "parts", "margin", "auxiliary", "actions", "emotion", "val_loss")
NOT_SCORES = frozenset({"epoch", "learning_rate", "seconds", *LOSSES})


def write_curves(folder: Path, history: Sequence[dict[str, float]]) -> None:
    """Write `curves.csv` and `curves.png` (losses, scores, learning rate against the epoch)."""
    names = list(dict.fromkeys(name for row in history for name in row))
    with (folder / CSV_FILE).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(history)
    from training.figures import new_figure, save_figure

    panels = {
        "loss": [name for name in LOSSES if name in names],
        "score": [name for name in names if name not in NOT_SCORES],
        "learning rate": ["learning_rate"],
    }
    figure = new_figure(12.0, 3.5)
    for at, (title, shown) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), at)
        for name in shown:
            rows = [row for row in history if name in row]
            axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], marker=".", label=name)
        axes.set(title=title, xlabel="epoch")
        if shown:
            axes.legend(fontsize="small")
    save_figure(figure, folder / PICTURE_FILE)
