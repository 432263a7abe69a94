"""Simulated people who move otherwise than those that models are trained on: labelled sequences of each."""

from __future__ import annotations

import numpy as np

from engines.landmarks.recordings import ASSUMED_FPS, RealSequence
from engines.landmarks.tracks import encode
from engines.taxonomy import ACTIONS
from simulation.session import Session, Settings, simulate

# Speed and size of all movements; people of the training data lie within 0.65 to 1.5 and 0.6 to 1.6.
MANNERS = {"slow and small": (0.45, 0.35), "fast and small": (2.2, 0.35), "slow and large": (0.45, 2.5)}
SHOWN = (9, 10, 14, 21, 24, 41)  # head, hands, legs
SECONDS = 900.0  # enough for more than 20 of each
AROUND_S, MOST_S = 0.3, 3.0  # around an event; of a sequence
LEAST_SEEN = 0.5  # share of an event in which its limbs are seen
ALSO = 0.5  # share of an event that another action fills, which is then right, too


def simulated_people(seconds: float = SECONDS) -> dict[str, list[RealSequence]]:
    """Sequences of one person for each of `MANNERS`, of the test split."""
    found = {}
    for seed, (name, manner) in enumerate(MANNERS.items()):
        settings = Settings(split="test", framing="whole body", actions=SHOWN, manner=manner)
        found[f"simulated, {name}"] = sequences(simulate(seed, seconds, ASSUMED_FPS, settings))
    return found


def sequences(session: Session) -> list[RealSequence]:
    """One sequence for each true event that is seen."""
    camera = session.camera
    frames = encode(session.pose, session.hands, session.face, camera.height, camera.width)
    running, found = session.targets(), []
    for one in session.truth:
        if one.seen < LEAST_SEEN:
            continue
        during = slice(round(one.onset_s * session.fps), round(one.offset_s * session.fps) + 1)
        labels = {one.index, *np.flatnonzero(running[during].mean(axis=0) >= ALSO).tolist()}
        first = max(0, round((one.onset_s - AROUND_S) * session.fps))
        last = min(round((one.offset_s + AROUND_S) * session.fps), first + round(MOST_S * session.fps))
        shown = frames[first:last]
        word = ACTIONS[one.index].name
        found.append(
            RealSequence(word, tuple(sorted(labels)), "high", 1.0, shown, (0, 0), camera.width / camera.height)
        )
    return found
