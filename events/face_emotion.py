"""What expression numbers say of the five emotions, and how neutral the face is.

Log-probabilities of the two nets are added, each at a power below one, since either alone is too sure of itself. What
is neutral, or disgust, which is none of the five, is spread evenly over all of them: a flat answer is no emotion.

A mouth that speaks looks like joy or surprise. Where the lips open and close again and again, the shares are moved
towards even ones, so that none is above a half.

A face at rest is seldom neutral to a net. What it says of the person in the calm first seconds (`--baseline`), or all
along, is taken off in the log-odds against neutral: lowered as far as leaves it clearly neutral, and nothing is raised.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engines.expressions import EXPRESSIONS, LOGITS, MOUTH
from engines.taxonomy import EMOTIONS

FloatArray = npt.NDArray[np.float64]
NumbersArray = npt.NDArray[np.float32]  # (T, NUMBERS)

# Powers of the nets. Measured beforehand on six labelled sets (docs/emotions.md): face-api is the better one on
# four of them and the surer on all, fer on faces in the wild; at 0.5 together posed faces get too little, at 1 faces in
# the wild too much.
FACE_API_POWER, FER_POWER = 0.45, 0.35
BODY_POWER = 0.3  # of what the body says beside a face: modest until real people show that more is right
NETWORK_SHARE = 0.4  # of a network that reads both, beside what the face says here: it has learnt from simulated people
REST_MARGIN = 1.5  # log-odds against neutral that an expression at rest is lowered to: -1.5 is one in five or less
MOST_LOWERED = 4.0  # log-odds; a clear expression is more
# Lips that open and close, tenths of the eyes' distance a second: from the first on they may speak, from the second on
# they do. On the videos of docs/emotions.md: smiles up to 0.5, speech 0.4 to 2.4.
SPEECH_FROM, SPEECH_SURE = 0.55, 1.2
SPEECH_SPREAD = 0.65  # of the shares of a face that speaks, spread evenly
_ORDER = [EXPRESSIONS.index(name) for name in EMOTIONS]
_NEUTRAL, _DISGUST = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("disgust")
_EVEN = 1.0 / len(EMOTIONS)


class FaceShares(NamedTuple):
    """What the face of a stretch of video says."""

    shares: FloatArray  # (5,) adding up to 1
    neutral: float  # 0..1
    spread: float = 0.0  # 0..1 of the shares that speech has spread evenly


UNKNOWN = FaceShares(np.full(len(EMOTIONS), _EVEN), 0.0)


class FaceEmotion:
    """One camera's. Stretches in the order of media time."""

    def __init__(self, rest_ns: int = 0, habituation_ns: int = 0) -> None:
        """rest_ns: of calm at the start, 0: none; habituation_ns: time constant of getting used to a face, 0: never."""
        self._rest_ns, self._habituation_ns = rest_ns, habituation_ns
        self._begun_ns: int | None = None
        self._last_ns: int | None = None
        self._resting: list[FloatArray] = []
        self.lowered = np.zeros(len(EXPRESSIONS))  # log-odds against neutral taken off
        self.measuring = rest_ns > 0

    def take(self, start_ns: int, end_ns: int, numbers: NumbersArray) -> FaceShares:
        """What the pictures (T, NUMBERS) with a face, of the stretch from `start_ns` to `end_ns`, say; T may be 0."""
        self._begun_ns = start_ns if self._begun_ns is None else self._begun_ns
        since_ns = end_ns - (self._last_ns or start_ns)
        self._last_ns = end_ns
        if not len(numbers):
            return UNKNOWN
        odds = against_neutral(numbers)
        if self.measuring and end_ns - self._begun_ns <= self._rest_ns:
            self._resting.append(odds)
            return FaceShares(UNKNOWN.shares, 1.0)
        if self.measuring and self._resting:
            self.lowered = _excess(np.median(np.concatenate(self._resting), axis=0))
        self.measuring = False
        spread = SPEECH_SPREAD * speech(numbers, (end_ns - start_ns) * 1e-9)
        said = shares_of(odds - self.lowered)
        said = said._replace(shares=spread_evenly(said.shares, spread), spread=spread)
        if self._habituation_ns and not self._rest_ns:
            step = -math.expm1(-since_ns / self._habituation_ns)
            self.lowered += step * (_excess(odds.mean(axis=0)) - self.lowered)
        return said

    def __str__(self) -> str:
        """What was taken off, in one line, for people."""
        named = [
            f"{EXPRESSIONS[at]} by {self.lowered[at]:.1f}" for at in np.argsort(-self.lowered) if self.lowered[at] > 0
        ]
        return f"face at rest: {', '.join(named)} in log-odds" if named else "face at rest: nothing had to be lowered"


def against_neutral(numbers: NumbersArray) -> FloatArray:
    """(T, NUMBERS) → (T, 7) log-odds of each expression against neutral, of both nets together."""
    nets = numbers[:, :LOGITS].astype(np.float64).reshape(len(numbers), 2, len(EXPRESSIONS))
    both = FACE_API_POWER * nets[:, 0] + FER_POWER * nets[:, 1]
    return np.asarray(both - both[:, _NEUTRAL, None])


def shares_of(odds: FloatArray) -> FaceShares:
    """(T, 7) log-odds against neutral → what they say, averaged over the pictures."""
    powers = np.exp(odds - odds.max(axis=1, keepdims=True))
    probs = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)  # (7,)
    none = probs[_NEUTRAL] + probs[_DISGUST]
    return FaceShares(probs[_ORDER] + none * _EVEN, float(probs[_NEUTRAL]))


def speech(numbers: NumbersArray, seconds: float) -> float:
    """0..1: how surely the lips of (T, NUMBERS), over so many seconds, speak: how far they move beyond one opening."""
    gaps = numbers[:, MOUTH].astype(np.float64)
    again = float(np.abs(np.diff(gaps)).sum() - np.ptp(gaps)) / seconds
    return min(1.0, max(0.0, (again - SPEECH_FROM) / (SPEECH_SURE - SPEECH_FROM)))


def spread_evenly(shares: FloatArray, share: float) -> FloatArray:
    """(5,), that share of it spread evenly over all."""
    return np.asarray(shares + share * (_EVEN - shares))


def fused(face: FaceShares, network: FloatArray, reads_face: bool = False) -> FloatArray:
    """(5,) of a face that is seen and a network that has seen the body.

    reads_face: it has read the face, too. Then what is neutral, or speaks, moves its shares towards even ones as well.
    """
    if reads_face:
        doubt = 1.0 - (1.0 - face.neutral) * (1.0 - face.spread)
        return (1.0 - NETWORK_SHARE) * face.shares + NETWORK_SHARE * spread_evenly(network, doubt)
    product = face.shares * network**BODY_POWER
    return np.asarray(product / product.sum())


def _excess(odds: FloatArray) -> FloatArray:
    """How far each lies above what counts as neutral; neutral itself never does."""
    excess = np.clip(odds + REST_MARGIN, 0.0, MOST_LOWERED)
    excess[_NEUTRAL] = 0.0
    return excess
