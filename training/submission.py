"""A Codabench submission for MA-52: one CSV, zipped without a folder."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.metrics import BodyRule, body_scores

FloatArray = npt.NDArray[np.float64]

RANKS = 5
CSV_NAME = "prediction.csv"
HEADER = [
    "vid",
    *(f"action_pred_{rank}" for rank in range(1, RANKS + 1)),
    *(f"body_pred_{rank}" for rank in range(1, RANKS + 1)),
]
EPOCH = (1980, 1, 1, 0, 0, 0)  # no clock time: the same predictions give the same bytes


def write_submission(path: Path, names: Sequence[str], probs: FloatArray, body_rule: BodyRule = "mapping") -> None:
    """Write the five best actions and body parts of each clip.

    Args:
        path: the zip to write.
        names: N file names, as listed.
        probs: (N, 52).
        body_rule: how body parts are ranked.

    Raises:
        ValueError: names and probabilities differ in number.
    """
    actions = np.argsort(-probs, axis=1, kind="stable")[:, :RANKS]
    parts = np.argsort(-body_scores(probs, body_rule), axis=1, kind="stable")[:, :RANKS]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for name, best, body in zip(names, actions.tolist(), parts.tolist(), strict=True):
        writer.writerow([name, *best, *body])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(CSV_NAME, EPOCH), text.getvalue())
