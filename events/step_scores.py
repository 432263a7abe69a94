"""What a model that scores every step says of a whole recording, moment by moment, as the live path judges it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.landmarks.movement import moved
from engines.landmarks.steps import STEP_S, VALID, Float64Array, at_steps
from engines.runtimes.base import Runtime
from events.settings import AggregatorSettings
from events.types import BoolArray, Float32Array

HOP_STEPS = 2  # between windows: the live path's 0.125 s
BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class StepScores:
    """Calibrated probabilities of K moments, `STEP_S` apart."""

    times_s: Float64Array  # (K,)
    actions: Float32Array  # (K, 52)
    parts: Float32Array  # (K, 7)
    seen: BoolArray  # (K,) whether a person is in the picture
    moved: BoolArray  # (K, 7) whether each body part moves in the window that judges the moment


def score_steps(
    bundle: Bundle, engine: Runtime, times_s: Float64Array, landmarks: Float32Array, lookahead_s: float | None = None
) -> StepScores:
    """Judge each moment by the first window that reaches `lookahead_s` behind it, or by the last one.

    Args:
        bundle: whose network takes landmarks.
        engine: runs it.
        times_s: (F,) of the pictures, ascending.
        landmarks: (F, POINTS, CHANNELS), see `engines.landmarks.steps`.
        lookahead_s: by default the live path's.
    """
    width = bundle.card.network.sampling.frames
    lookahead = round((AggregatorSettings().lookahead_s if lookahead_s is None else lookahead_s) / STEP_S)
    count = int((times_s[-1] - times_s[0]) / STEP_S + 1e-6) + 1
    moments = times_s[-1] - STEP_S * np.arange(count - 1, -1, -1)
    steps = at_steps(times_s, landmarks, moments)
    before = np.zeros((width - 1, *steps.shape[1:]), np.float32)
    padded = np.concatenate([before, steps])  # the window that ends with step i begins at padded[i]
    ends = np.arange(count - 1, -1, -HOP_STEPS)[::-1]
    logits = _logits(engine, padded, ends, width)
    chosen = np.minimum(np.searchsorted(ends, np.arange(count) + lookahead), len(ends) - 1)
    within = np.arange(count) - ends[chosen] + width - 1
    late = within < 0  # the window is shorter than the look-ahead: its oldest step is the nearest
    within = np.where(late, 0, within)
    actions = bundle.probabilities(logits["actions"][chosen, within])
    parts = bundle.part_probabilities(actions, logits["parts"][chosen, within])
    if parts is None:
        parts = _sigmoid(logits["parts"][chosen, within])
    moving = moved(np.stack([padded[end : end + width] for end in ends]))
    return StepScores(moments, actions, parts, steps[:, 0, VALID] > 0.0, moving[chosen])


def _logits(engine: Runtime, padded: Float32Array, ends: npt.NDArray[np.int64], width: int) -> dict[str, Float32Array]:
    outputs: list[dict[str, Float32Array]] = []
    for at in range(0, len(ends), BATCH):
        windows = np.stack([padded[end : end + width] for end in ends[at : at + BATCH]])
        outputs.append(engine.run({"landmarks": windows}))
    return {name: np.concatenate([one[name] for one in outputs]) for name in ("actions", "parts")}


def _sigmoid(logits: Float32Array) -> Float32Array:
    each: Float32Array = (0.5 + 0.5 * np.tanh(0.5 * logits)).astype(np.float32)
    return each
