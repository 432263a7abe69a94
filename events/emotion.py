"""The rolling estimate of the five emotions: what overlapping stretches say, the newest the most, and how sure that is.

It speaks of expression, never of feeling. Every stretch of video gives calibrated shares of the five emotions; where
nothing is to be seen they are flat. Their sums, fading with the time constant, are the counts of a Dirichlet
distribution over the shares of the last seconds: its mean is the estimate, its marginals give the credible intervals.
Seconds in which neither face nor body was seen count for nothing, so that the estimate fades to "not enough to go on".
A neutral face is an answer: its seconds count for less, and how neutral the last ones were is said beside the shares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.taxonomy import EMOTIONS
from events.settings import EmotionSettings

FloatArray = npt.NDArray[np.float64]

PRIOR = 0.1  # counts of each emotion before anything is seen: few, as seldom more than one or two show at a time
COUNTS_PER_S = 1.0  # what a second of video is worth where nothing was fitted
SAMPLES = 4000  # of the Dirichlet distribution, for the interval
CREDIBLE = 0.95
BODY_ALONE = 0.5  # what a second counts for in which the body alone is seen
NEUTRAL_COUNTS = 0.5  # what a second of a wholly neutral face counts for
NEUTRAL = 0.5  # how neutral the last seconds are where that is the answer
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class EmotionEstimate:
    """The estimate at one moment of media time."""

    camera_id: int
    time_ns: int
    probs: FloatArray  # (5,) share of each emotion over the last seconds; they add up to 1
    interval: FloatArray  # (5, 2) 95 % credible interval of each share
    evidence_s: float  # seconds in which there was something to see, recent ones counted the most
    face_visible: float  # 0..1 of the newest stretch
    abstains: bool  # not enough to go on: `probs` says nothing
    neutral: float = 0.0  # 0..1 of the last seconds' faces
    newest: FloatArray | None = None  # (5,) shares of the newest stretch alone; none: nothing was seen in it

    @property
    def is_neutral(self) -> bool:
        """Whether "neutral" is the answer, rather than any of the five."""
        return self.neutral >= NEUTRAL and float(self.probs.max()) < NEUTRAL


class RollingEmotion:
    """One camera's estimate. A function of media time and of what the stretches said: the same at any speed."""

    def __init__(self, settings: EmotionSettings, counts_per_s: float | None = None) -> None:
        """counts_per_s: as the model's card says, where the settings are silent."""
        self._settings = settings
        self._counts_per_s = settings.counts_per_s or counts_per_s or COUNTS_PER_S
        self._mass = np.zeros(len(EMOTIONS))  # seconds said of each emotion, fading
        self._neutral = self._seen = 0.0  # seconds, fading
        self._last_ns: int | None = None

    def push(
        self,
        camera_id: int,
        start_ns: int,
        end_ns: int,
        shares: FloatArray,
        seen: float,
        face_visible: float,
        neutral: float = 0.0,
    ) -> EmotionEstimate:
        """Take what the model said of the stretch from `start_ns` to `end_ns`.

        Args:
            shares: (5,) calibrated, adding up to 1.
            seen: 0..1 how much of the stretch there was something to see.
            neutral: 0..1 of its face.

        Raises:
            ValueError: not after the last stretch.
        """
        new_from_ns = start_ns if self._last_ns is None else max(start_ns, self._last_ns)
        if end_ns <= new_from_ns:
            raise ValueError(f"expected a stretch that ends after {new_from_ns}, got {end_ns}")
        if self._last_ns is not None:
            kept = math.exp(-(end_ns - self._last_ns) / NS_PER_S / self._settings.time_constant_s)
            self._mass *= kept
            self._neutral *= kept
            self._seen *= kept
        self._last_ns = end_ns
        new_s = seen * (end_ns - new_from_ns) / NS_PER_S
        self._mass += shares * new_s * (1.0 - (1.0 - NEUTRAL_COUNTS) * neutral)
        self._neutral += neutral * new_s
        self._seen += new_s
        counts = PRIOR + self._counts_per_s * self._mass
        evidence_s = float(self._mass.sum())
        return EmotionEstimate(
            camera_id,
            end_ns,
            counts / counts.sum(),
            densest(counts),
            evidence_s,
            face_visible,
            abstains=evidence_s < self._settings.least_evidence_s,
            neutral=self._neutral / self._seen if self._seen else 0.0,
            newest=shares if seen else None,
        )


def densest(counts: FloatArray) -> FloatArray:
    """(5, 2): the shortest interval that holds 95 % of each share of a Dirichlet distribution.

    Where the density is highest at 0 or at 1 the interval begins or ends there: an emotion that does not show at all,
    or alone, lies inside.
    """
    samples = np.sort(np.random.default_rng(0).dirichlet(counts, SAMPLES), axis=0)  # (SAMPLES, 5)
    held = round(CREDIBLE * SAMPLES)
    first = (samples[held - 1 :] - samples[: SAMPLES - held + 1]).argmin(axis=0)  # (5,)
    column = np.arange(len(counts))
    low, high = samples[first, column], samples[first + held - 1, column]
    mean = counts / counts.sum()
    low = np.where(counts <= 1.0, 0.0, np.minimum(low, mean))
    high = np.where(counts.sum() - counts <= 1.0, 1.0, np.maximum(high, mean))
    return np.stack([low, high], axis=1)


def evidence(body: float | None, face: float | None) -> float:
    """How much of a stretch there was something to see, 0..1.

    body, face: shares of its frames that show one; None: the model does not look there.
    """
    if body is None or face is None:
        return face if body is None and face is not None else body or 0.0
    return face + (1.0 - face) * BODY_ALONE * body
