"""How well probabilities are calibrated: NLL, Brier score, calibration error, reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.metrics import brier_score_loss, log_loss

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.fit_temperature import FILLED

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BINS = 15  # of equal width (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2)
DPI = 110
LIKELY = 0.05  # probability from which a statement may matter to anyone


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Said probabilities against what happened; B bins."""

    count: int  # of statements
    nll: float  # mean negative log likelihood of what happened
    brier: float  # mean squared difference between the probability and 0 or 1
    ece: float  # mean |said − happened| over the bins, weighted by their share of the statements
    said: FloatArray  # (B,) mean probability of each bin; NaN where it is empty
    happened: FloatArray  # (B,) share that came true; NaN where it is empty
    shares: FloatArray  # (B,) of all statements


def measure(said: FloatArray, happened: BoolArray) -> Reliability:
    """Reliability of K statements.

    Args:
        said: (K,) probabilities 0..1.
        happened: (K,) whether they came true.

    Raises:
        ValueError: no statement, or shapes that differ.
    """
    if said.shape != happened.shape or said.ndim != 1 or not said.size:
        raise ValueError(f"expected as many outcomes as probabilities, above 0, got {said.shape} and {happened.shape}")
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS).astype(np.float64)
    filled = counts > 0
    mean_said, mean_happened = (
        np.divide(np.bincount(place, values, BINS), counts, out=np.full(BINS, np.nan), where=filled)
        for values in (said, happened.astype(np.float64))
    )
    shares = counts / said.size
    ece = float(np.sum(shares[filled] * np.abs(mean_said - mean_happened)[filled]))
    return Reliability(
        said.size,
        float(log_loss(happened, said, labels=[False, True])),
        float(brier_score_loss(happened, said)),
        ece,
        mean_said,
        mean_happened,
        shares,
    )


def plot(found: dict[str, Reliability], path: Path) -> None:
    """Reliability diagrams side by side, as an image; the suffix of `path` names the kind."""
    figure = Figure(figsize=(4.2 * len(found), 4.2), layout="constrained")
    for place, (name, one) in enumerate(found.items()):
        axes = figure.add_subplot(1, len(found), place + 1)
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        seen = one.shares > 0
        axes.plot(one.said[seen], one.happened[seen], marker="o", color="C0")
        axes.bar(one.said[seen], one.shares[seen], width=0.6 / BINS, color="C1", alpha=0.4)
        axes.set(title=f"{name}: ECE {one.ece:.3f}", xlabel="probability", xlim=(0, 1), ylim=(0, 1))
        axes.set_ylabel("share that came true (bars: share of all)" if place == 0 else "")
    figure.savefig(path, dpi=DPI)


def statements(bundle: Bundle, logits: FloatArray, labels: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The statements of a model about windows, and whether they came true.

    Sigmoid models make 52 statements a window; softmax models one, of their top action.

    Args:
        bundle: activation and temperature.
        logits: (N, 52).
        labels: (N, 52) shares 0..1 of each action.

    Returns:
        (K,) probabilities and (K,) outcomes.
    """
    probs = bundle.probabilities(logits.astype(np.float32)).astype(np.float64)
    if bundle.card.calibration.activation == "sigmoid":
        return probs.ravel(), (labels >= FILLED).ravel()
    top = probs.argmax(axis=1)
    return probs.max(axis=1), labels.argmax(axis=1) == top


def reliability(bundle: Bundle, logits: FloatArray, labels: FloatArray, least: float = 0.0) -> Reliability:
    """How well the bundle's probabilities are calibrated on labelled windows.

    `least` leaves out statements below it: nearly all of a sigmoid model's are of actions that nobody would expect.
    """
    said, happened = statements(bundle, logits, labels)
    kept = said >= least
    return measure(said[kept], happened[kept])


def read_scores(path: Path) -> tuple[FloatArray, FloatArray]:
    """Logits and labels, each (N, 52), from the file that `python -m training evaluate` writes.

    Raises:
        BadInput: the file is not one of those, or its labels are withheld.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            logits, true = arrays["logits"].astype(np.float64), arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BadInput(
            "scores.npz of an evaluation, with logits and labels",
            f"{path} ({type(error).__name__})",
            "make it with python -m training evaluate on a list with labels",
        ) from None
    ok = logits.ndim == 2 and logits.shape[1] == len(ACTIONS) and true.shape == logits.shape[:1]
    if not ok or not np.isfinite(logits).all() or true.min(initial=0) < 0 or true.max(initial=0) >= len(ACTIONS):
        raise BadInput(
            f"finite logits (N, {len(ACTIONS)}) and labels (N,)",
            f"{logits.shape} and {true.shape} in {path}",
            "make the file again",
        )
    return logits, np.eye(len(ACTIONS))[true.astype(np.int64)]
