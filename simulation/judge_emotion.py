"""The answers of an emotion model to simulated sessions, as the live path would cut and judge them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from events.emotion import evidence
from events.fit_emotion import JudgedEmotion, even
from events.settings import EmotionSettings
from simulation.emotion import MoodSettings
from simulation.emotion_windows import cut, felt
from simulation.interview import NATURAL
from simulation.session import Session, Settings, simulate
from simulation.windows import live_ends

BATCH = 16  # windows at once


def judge_emotion(runtime: Runtime, session: Session, settings: EmotionSettings) -> JudgedEmotion:
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
    return JudgedEmotion(
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
) -> Iterator[JudgedEmotion]:
    """`judge_emotion` simulated emotional interviews of seeds `seed`, `seed + 1`, ...

    Raises:
        BadInput: no emotion model of the landmark view.
    """
    bundle.card.need("emotion")
    with open_runtime(bundle, "auto", threads=threads) as runtime:
        for number in range(sessions):
            session = simulate(seed + number, seconds, settings=Settings(NATURAL, split, mood=MoodSettings()))
            yield judge_emotion(runtime, session, settings)
