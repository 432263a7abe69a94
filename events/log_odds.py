"""Probabilities in log-odds, where what is known of a person adds up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from events.posterior import FloatArray
from events.types import Float32Array

EDGE = 1e-6  # probabilities are kept this far from 0 and 1


def log_odds(probs: npt.NDArray[np.floating]) -> FloatArray:
    """log(p / (1 - p)), bounded."""
    clipped = np.clip(probs.astype(np.float64), EDGE, 1.0 - EDGE)
    odds: FloatArray = np.log(clipped) - np.log1p(-clipped)
    return odds


def lowered(probs: Float32Array, odds: FloatArray, offsets: FloatArray) -> Float32Array:
    """`probs` (..., K), which are `odds` in log-odds, with `offsets` (K,) >= 0 taken off; unchanged where 0."""
    shifted = 0.5 + 0.5 * np.tanh(0.5 * (odds - offsets))
    return np.where(offsets > 0.0, shifted, probs).astype(np.float32)
