"""One temperature for all scores (Guo et al. 2017, section 4.2): same order of actions, honest probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from calibration.reliability import BoolArray, FloatArray, Reliability, measure
from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from simulation.windows import JudgedSession, targets

COLDEST, HOTTEST = 0.05, 20.0
GOLDEN = (5.0**0.5 - 1.0) / 2.0
STEPS = 60  # of golden-section search: the bracket shrinks by 10⁻¹²
LEAST_WINDOWS = 100
FILLED = 0.5  # an action is there where it fills half of what a window is asked about
FOCUS = 0.5  # as in training
LIKELY = 0.05  # probability from which a statement may matter to anyone


def statements(bundle: Bundle, logits: FloatArray, labels: FloatArray) -> tuple[FloatArray, BoolArray]:
    """What a model says of windows, and whether it came true.

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


def fit_temperature(bundle: Bundle, logits: FloatArray, labels: FloatArray) -> float:
    """The temperature of the least NLL of all labels, by golden-section search over its logarithm.

    Args:
        bundle: its activation.
        logits: (N, 52).
        labels: (N, 52) shares 0..1 of each action; one-hot for clips.

    Raises:
        BadInput: fewer than 100 windows.
    """
    if len(logits) < LEAST_WINDOWS:
        raise BadInput(f"{LEAST_WINDOWS} labelled windows or more", str(len(logits)), "give more")
    sigmoid = bundle.card.calibration.activation == "sigmoid"
    true = labels >= FILLED

    def nll(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        if sigmoid:
            return float((np.logaddexp(0.0, scaled) - true * scaled).mean())
        peak = scaled.max(axis=1, keepdims=True)
        logs = scaled - peak - np.log(np.exp(scaled - peak).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(len(logs)), labels.argmax(axis=1)].mean())

    return float(np.exp(least(nll, np.log(COLDEST), np.log(HOTTEST))))


def least(loss: Callable[[float], float], low: float, high: float) -> float:
    """Where between `low` and `high` a loss of one minimum has it, by golden-section search."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = loss(right)
    return 0.5 * (low + high)


def with_temperature(bundle: Bundle, temperature: float) -> Bundle:
    """The same bundle, not written anywhere, that answers at another temperature."""
    calibration = msgspec.structs.replace(bundle.card.calibration, temperature=temperature)
    return Bundle(bundle.path, msgspec.structs.replace(bundle.card, calibration=calibration))


def judged_windows(bundle: Bundle, sessions: Sequence[JudgedSession]) -> tuple[FloatArray, FloatArray]:
    """Logits and labels, each (N, 52), of all windows of simulated sessions."""
    card = bundle.card
    labels = [
        targets(one.events, one.ends_ns.astype(np.float64) * 1e-9, card.span_s, card.length, FOCUS) for one in sessions
    ]
    return (
        np.concatenate([one.logits for one in sessions]).astype(np.float64),
        np.concatenate(labels).astype(np.float64),
    )


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
            "make the file anew",
        )
    return logits, np.eye(len(ACTIONS))[true.astype(np.int64)]


def reliability(bundle: Bundle, logits: FloatArray, labels: FloatArray, least: float = 0.0) -> Reliability:
    """How honest the bundle's probabilities are on labelled windows.

    `least` leaves out statements below it: nearly all of a sigmoid model's are of actions that nobody would expect.
    """
    said, happened = statements(bundle, logits, labels)
    kept = said >= least
    return measure(said[kept], happened[kept])
