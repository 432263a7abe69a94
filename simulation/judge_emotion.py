"""The answers of an emotion model to simulated sessions, as the live path would cut and judge them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from engines.specs.base import EmotionSpec
from events.emotion import evidence
from events.face_emotion import FaceEmotion
from events.fit_emotion import JudgedEmotion, even
from events.settings import EmotionSettings
from simulation.emotion import MoodSettings
from simulation.emotion_windows import AnyArray, Pictures, cut, expression_inputs, felt, typed
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
    reader = FaceEmotion(habituation_ns=round(settings.habituation_s * 1e9))
    logits, faces, seen, said = [], [], [], []
    for start in range(0, len(ends_ns), BATCH):
        pictures = Pictures(spec.length, spec.picture_size, 0, spec.steps)
        part = cut(session, ends_s[start : start + BATCH], card.span_s, pictures)
        given = part.inputs | (expression_inputs(part.expressions) if spec.reads_expressions else {})
        logits.append(runtime.run(_with_hidden_faces(typed(given, spec), spec))["emotion"].astype(np.float64))
        for row, numbers in enumerate(part.expressions):
            there = np.isfinite(numbers).all(axis=1)
            end_ns = int(ends_ns[start + row])
            said.append(reader.take(end_ns - span_ns, end_ns, numbers[there]))
            faces.append(float(there.mean()))
            body = float(part.inputs["body_seen"][row].mean()) if "body_seen" in part.inputs else None
            seen.append(evidence(body, faces[-1]))
    starts_s = ends_s - card.span_s
    new_s = np.concatenate([starts_s[:1], ends_s[:-1]])
    return JudgedEmotion(
        ends_ns,
        span_ns,
        np.concatenate(logits),
        even(felt(session.episodes, starts_s, ends_s)),
        even(felt(session.episodes, new_s, ends_s)),
        np.array(seen),
        np.array(faces),
        np.array([one.shares for one in said]),
        np.array([one.neutral for one in said]),
        np.array([one.spread for one in said]),
        spec.reads_expressions,
    )


def _with_hidden_faces(inputs: dict[str, AnyArray], spec: EmotionSpec) -> dict[str, AnyArray]:
    """The inputs of a network whose face branch is shown no pictures: faces are read as expression numbers."""
    count = len(next(iter(inputs.values()))) if inputs else 1
    hidden = {name: np.zeros((count, *shape), spec.input_dtype) for name, shape in spec.inputs.items()}
    return hidden | inputs


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
