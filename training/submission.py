"""A Codabench submission for MA-52: one CSV, zipped without a folder."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.metrics import PART_OF

FloatArray = npt.NDArray[np.float64]

RANKS = 5
CSV_NAME = "prediction.csv"
HEADER = [
    "vid",
    *(f"action_pred_{rank}" for rank in range(1, RANKS + 1)),
    *(f"body_pred_{rank}" for rank in range(1, RANKS + 1)),
]
EPOCH = (1980, 1, 1, 0, 0, 0)  # no clock time: the same predictions give the same bytes


def write_submission(path: Path, names: Sequence[str], scores: FloatArray) -> None:
    """Write the five best actions of each clip, and the body parts of these, which may repeat: as the released code.

    Args:
        path: the zip to write.
        names: N file names, as listed.
        scores: (N, 52), probabilities or logits.

    Raises:
        ValueError: names and scores differ in number.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :RANKS]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    for name, actions in zip(names, best, strict=True):
        writer.writerow([name, *actions.tolist(), *PART_OF[actions].tolist()])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(CSV_NAME, EPOCH), text.getvalue())
