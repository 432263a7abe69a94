"""What calibrates the rolling emotion estimate: the temperature of its shares, and the counts of a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, softmax

from engines.taxonomy import EMOTIONS
from events.emotion import RollingEmotion
from events.face_emotion import FaceShares, fused
from events.fit_temperature import best_temperature
from events.scores import FloatArray
from events.settings import EmotionSettings

COVERED = 0.95  # share of true shares that the intervals should cover
COUNTS = tuple(float(one) for one in np.geomspace(0.05, 20.0, 25))
BETWEEN = 3  # finer ones between two of these
SETTLED_S = 10.0  # of a session, before its estimates are judged


@dataclass(frozen=True, slots=True, eq=False)
class JudgedEmotion:
    """The answers of an emotion model to a session, and the truth. K emotion windows, a second apart."""

    ends_ns: npt.NDArray[np.int64]  # (K,)
    span_ns: int
    logits: FloatArray  # (K, 5) of the network
    truth: FloatArray  # (K, 5) of each window; the share of no emotion is spread evenly
    newest: FloatArray  # (K, 5) the same of its new part: the time since the last window ended
    seen: FloatArray  # (K,) evidence, 0..1
    faces: FloatArray  # (K,) share of its pictures with a face
    said: FloatArray  # (K, 5) shares that the face says (`events.face_emotion`)
    neutral: FloatArray  # (K,) how neutral it is
    spread: FloatArray  # (K,) how much of the shares its speech has spread
    reads_face: bool  # the network reads the face, not the body alone

    def shares(self, temperature: float) -> FloatArray:
        """(K, 5) as the live path puts body and face together."""
        body = softmax(self.logits / temperature, axis=1)
        faces = map(FaceShares, self.said, self.neutral.tolist(), self.spread.tolist())
        both = np.stack([fused(face, row, self.reads_face) for face, row in zip(faces, body, strict=True)])
        shares: FloatArray = np.where(self.faces[:, None] > 0.0, both, body)
        return shares


def even(shares: npt.NDArray[np.float32]) -> FloatArray:
    """(K, 6) shares of each emotion and of none → (K, 5): the share of none is spread evenly."""
    spread = shares.astype(np.float64)
    return spread[:, :-1] + spread[:, -1:] / len(EMOTIONS)


def fit_emotion_temperature(sessions: Sequence[JudgedEmotion]) -> float:
    """The temperature of the least cross-entropy with the true shares, over windows with a body or a face."""
    keep = [one.seen > 0 for one in sessions]
    logits = np.concatenate([one.logits[mask] for one, mask in zip(sessions, keep, strict=True)])
    truth = np.concatenate([one.truth[mask] for one, mask in zip(sessions, keep, strict=True)])

    def loss(log_temperature: float) -> float:
        return float(-(truth * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    return best_temperature(loss)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The estimates of sessions against the truth."""

    coverage: float  # of the true shares, how many lie in their intervals
    width: float  # mean width of the intervals
    error: float  # mean absolute error of the shares
    top: float  # of the moments that one emotion dominates (true share of half or more), how many are ranked right
    abstained: float  # share of moments


def follow(
    sessions: Sequence[JudgedEmotion], temperature: float, counts_per_s: float, settings: EmotionSettings
) -> Agreement:
    """Run the rolling estimate over sessions.

    The true share of an emotion at a moment fades like the estimate, over the time in which there was something to see.
    """
    covered: list[bool] = []
    widths: list[float] = []
    errors: list[float] = []
    right: list[bool] = []
    silent: list[bool] = []
    for one in sessions:
        rolling, true = RollingEmotion(settings, counts_per_s), np.zeros(len(EMOTIONS))
        shares = one.shares(temperature)
        last_ns = int(one.ends_ns[0]) - one.span_ns
        for at, end in enumerate(one.ends_ns.tolist()):
            seen = float(one.seen[at])
            said = shares[at] if seen else np.full(len(EMOTIONS), 1 / len(EMOTIONS))
            neutral = float(one.neutral[at] * one.faces[at])
            estimate = rolling.push(0, end - one.span_ns, end, said, seen, float(one.faces[at]), neutral)
            since_s = (end - last_ns) * 1e-9
            last_ns = end
            true = true * (np.exp(-since_s / settings.time_constant_s) if at else 1.0) + one.newest[at] * seen * since_s
            if end * 1e-9 < SETTLED_S:
                continue
            silent.append(estimate.abstains)
            if estimate.abstains:
                continue
            share = true / true.sum()
            low, high = estimate.interval.T
            covered += ((low <= share) & (share <= high)).tolist()
            widths += (high - low).tolist()
            errors += np.abs(estimate.probs - share).tolist()
            if share.max() >= 0.5:
                right.append(bool(estimate.probs.argmax() == share.argmax()))
    lists = (covered, widths, errors, right, silent)
    return Agreement(*(float(np.mean(each)) if each else float("nan") for each in lists))


def fit_counts(sessions: Sequence[JudgedEmotion], temperature: float, settings: EmotionSettings) -> float:
    """The most that a second may count without the intervals covering too little: the more, the narrower they are.

    Where no count covers enough, the one that covers most: next to none leaves nothing but the prior.
    """
    best, most, above = COUNTS[-1], 0.0, COUNTS[-1]
    for counts in reversed(COUNTS):
        covered = follow(sessions, temperature, counts, settings).coverage
        if covered >= COVERED:
            finer = np.geomspace(above, counts, BETWEEN + 2)[1:-1].tolist()
            return next(
                (one for one in finer if follow(sessions, temperature, one, settings).coverage >= COVERED), counts
            )
        if covered > most:
            best, most = counts, covered
        above = counts
    return best
