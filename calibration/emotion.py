"""What makes the rolling emotion estimate honest: the temperature of its shares, and what a second is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.temperature import COLDEST, HOTTEST, least
from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from engines.taxonomy import EMOTIONS
from events.emotion import RollingEmotion, evidence
from events.settings import EmotionSettings
from simulation.emotion import MoodSettings
from simulation.interview import NATURAL
from simulation.session import Session, Settings, simulate
from simulation.stretches import cut, felt
from simulation.windows import live_ends

FloatArray = npt.NDArray[np.float64]

BATCH = 16  # stretches at once
COVERED = 0.95  # share of true shares that the intervals should cover
COUNTS = tuple(float(one) for one in np.geomspace(0.05, 20.0, 25))
SETTLED_S = 10.0  # of a session, before its estimates are asked


@dataclass(frozen=True, slots=True, eq=False)
class JudgedStretches:
    """What an emotion model says of a session, stretch by stretch, and what was true. K stretches, a second apart."""

    ends_ns: npt.NDArray[np.int64]  # (K,)
    span_ns: int
    logits: FloatArray  # (K, 5)
    truth: FloatArray  # (K, 5) of each stretch; what is felt of nothing is spread evenly
    newest: FloatArray  # (K, 5) the same of what is new in it: the time since the last stretch ended
    seen: FloatArray  # (K,) evidence, 0..1
    faces: FloatArray  # (K,) share of its pictures with a face


def judge_emotion(runtime: Runtime, session: Session, settings: EmotionSettings) -> JudgedStretches:
    """One simulated session, as the live path would cut and judge it.

    Raises:
        BadInput: no emotion model of the landmark view.
    """
    card = runtime.bundle.card
    spec = card.emotion
    if card.view != "landmarks":
        raise BadInput(
            "an emotion model of the landmark view", f"{card.name}, of the {card.view} view", "choose another"
        )
    span_ns, hop_ns = round(card.span_s * 1e9), round(settings.hop_s * 1e9)
    ends_ns = live_ends(session, span_ns, hop_ns)
    ends_s = ends_ns.astype(np.float64) * 1e-9
    logits, shares = [], []
    for start in range(0, len(ends_ns), BATCH):
        part = cut(session, ends_s[start : start + BATCH], card.span_s, spec)
        logits.append(runtime.run(part.inputs)["emotion"].astype(np.float64))
        count = len(logits[-1])
        shares.append(
            [
                part.inputs[name].mean(axis=1) if name in part.inputs else np.full(count, np.nan)
                for name in ("body_seen", "face_seen")
            ]
        )
    bodies, faces = np.concatenate(shares, axis=1)
    seen = np.array(
        [
            evidence(None if np.isnan(body) else body, None if np.isnan(face) else face)
            for body, face in zip(bodies, faces, strict=True)
        ]
    )
    starts_s = ends_s - card.span_s
    new_s = np.concatenate([starts_s[:1], ends_s[:-1]])
    return JudgedStretches(
        ends_ns,
        span_ns,
        np.concatenate(logits),
        even(felt(session.episodes, starts_s, ends_s)),
        even(felt(session.episodes, new_s, ends_s)),
        seen,
        np.nan_to_num(faces),
    )


def judge_emotions(
    bundle: Bundle, split: str, sessions: int, seconds: float, seed: int, settings: EmotionSettings, threads: int = 0
) -> Iterator[JudgedStretches]:
    """`judge_emotion` simulated emotional interviews of seeds `seed`, `seed + 1`, ...

    Raises:
        BadInput: no emotion model of the landmark view.
    """
    bundle.card.need("emotion")
    with open_runtime(bundle, "auto", threads=threads) as runtime:
        for number in range(sessions):
            session = simulate(seed + number, seconds, settings=Settings(NATURAL, split, mood=MoodSettings()))
            yield judge_emotion(runtime, session, settings)


def even(shares: npt.NDArray[np.float32]) -> FloatArray:
    """(K, 6) shares of each emotion and of none → (K, 5): what belongs to none is spread evenly."""
    spread = shares.astype(np.float64)
    return spread[:, :-1] + spread[:, -1:] / len(EMOTIONS)


def fit_emotion_temperature(sessions: Sequence[JudgedStretches]) -> float:
    """The temperature of the least cross-entropy with the true shares, over stretches with something to see."""
    keep = [one.seen > 0 for one in sessions]
    logits = np.concatenate([one.logits[mask] for one, mask in zip(sessions, keep, strict=True)])
    truth = np.concatenate([one.truth[mask] for one, mask in zip(sessions, keep, strict=True)])

    def loss(log_temperature: float) -> float:
        shares = shares_at(logits, float(np.exp(log_temperature)))
        return float(-(truth * np.log(np.maximum(shares, 1e-12))).sum(axis=1).mean())

    return float(np.exp(least(loss, np.log(COLDEST), np.log(HOTTEST))))


def shares_at(logits: FloatArray, temperature: float) -> FloatArray:
    """Softmax of (K, 5) logits at a temperature."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Course:
    """The estimates of sessions against the truth."""

    coverage: float  # of the true shares, how many lie in their intervals
    width: float  # mean width of the intervals
    error: float  # mean absolute error of the shares
    top: float  # of the moments that one emotion dominates (true share of half or more), how many are ranked right
    abstained: float  # share of moments


def follow(
    sessions: Sequence[JudgedStretches], temperature: float, counts_per_s: float, settings: EmotionSettings
) -> Course:
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
        shares = shares_at(one.logits, temperature)
        last_ns = int(one.ends_ns[0]) - one.span_ns
        for at, end in enumerate(one.ends_ns.tolist()):
            seen = float(one.seen[at])
            said = shares[at] if seen else np.full(len(EMOTIONS), 1 / len(EMOTIONS))
            estimate = rolling.push(0, end - one.span_ns, end, said, seen, float(one.faces[at]))
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
    return Course(*(float(np.mean(each)) if each else float("nan") for each in lists))


def fit_counts(sessions: Sequence[JudgedStretches], temperature: float, settings: EmotionSettings) -> float:
    """The most that a second may count without the intervals covering too little: the more, the narrower they are.

    Where no count covers enough, the one that covers most: next to none leaves nothing but the prior.
    """
    best, most = COUNTS[-1], 0.0
    for counts in reversed(COUNTS):
        covered = follow(sessions, temperature, counts, settings).coverage
        if covered >= COVERED:
            return counts
        if covered > most:
            best, most = counts, covered
    return best
