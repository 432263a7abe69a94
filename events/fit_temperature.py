"""One temperature for all scores (Guo et al. 2017, section 4.2): same order of actions, calibrated probabilities."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from engines.bundle import Bundle
from engines.common.errors import BadInput
from events.scores import FloatArray

COLDEST, HOTTEST = 0.05, 20.0
LEAST_WINDOWS = 100
FILLED = 0.5  # an action is there where it fills half of what a window's target speaks of


def fit_temperature(bundle: Bundle, logits: FloatArray, labels: FloatArray) -> float:
    """The temperature of the least NLL of all labels, searched over its logarithm.

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
        return float(-log_softmax(scaled, axis=1)[np.arange(len(scaled)), labels.argmax(axis=1)].mean())

    return best_temperature(nll)


def best_temperature(loss: Callable[[float], float]) -> float:
    """The temperature whose logarithm has the least of a loss of one minimum."""
    bounds = (np.log(COLDEST), np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x))


def with_temperature(bundle: Bundle, temperature: float) -> Bundle:
    """The same bundle, not written anywhere, at another temperature."""
    calibration = msgspec.structs.replace(bundle.card.calibration, temperature=temperature)
    return Bundle(bundle.path, msgspec.structs.replace(bundle.card, calibration=calibration))
