"""Limits of a landmark bundle, from simulated validation sessions and from real development sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from engines.bundle import Bundle
from engines.card import Calibration, PartCalibration
from engines.landmarks.recordings import ASSUMED_FPS, GESTURES, RealSequence
from engines.landmarks.steps import STEP_S, Float64Array
from engines.landmarks.tracks import Int16Array, decode
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from engines.taxonomy import ACTIONS
from events.fit_step_limits import KnownEvents, KnownSet, StepLimits, fit_step_limits
from events.limits import PART_OF as PART_OF_CLASS
from events.limits import of_part
from events.step_scores import score_steps
from events.types import BoolArray, Float32Array
from simulation.interview import SEEN_S
from simulation.landmark_cache import LandmarkSessions
from simulation.windows import LEAST_SEEN
from training.landmarks.losses import PART_OF

JOINED_S = 0.5  # shorter pauses between actions of one part do not end its event
LEAST_REST_S = 1.0


def fitted_calibration(
    bundle: Bundle,
    sessions: Sequence[LandmarkSessions],
    files: Sequence[Sequence[RealSequence]],
    false_per_hour: float,
    threads: int,
) -> tuple[Calibration, str]:
    """The calibration of a bundle with limits on both levels, and a line about it; see `fit_step_limits`."""
    with open_runtime(bundle, "auto", threads=threads) as engine:
        known = [one for group in sessions for one in _known_events(bundle, engine, group)]
        sets = [one for sequences in files for one in _known_sets(bundle, engine, sequences)]
    fit = fit_step_limits(known, sets, STEP_S, false_per_hour)
    count, actions = len(ACTIONS), fit.f1[: len(ACTIONS)]
    basis = f"limits for each class on {len(known)} simulated sessions and {len(sets)} real sequences of other people"
    calibration = msgspec.structs.replace(
        bundle.card.calibration,
        basis=basis,
        **_levels(fit, slice(0, count)),
        parts=PartCalibration(**_levels(fit, slice(count, None))),
    )
    line = f"{basis}: F1 {np.mean(actions):.2f} of actions, {np.mean(fit.f1[count:]):.2f} of body parts"
    return calibration, line


def _levels(fit: StepLimits, part: slice) -> dict[str, Any]:
    values = {"enter": fit.enter, "exit": fit.exit, "min_duration_s": fit.duration_s}
    return {name: tuple(np.round(one[part], 4).tolist()) for name, one in values.items()}


def _probabilities(
    bundle: Bundle, engine: Runtime, frames: Int16Array, aspect: float, times_s: Float64Array
) -> tuple[Float64Array, Float32Array, BoolArray]:
    """Moments (T,), probabilities of actions, none above its part, and of parts (T, 59), and whether those move."""
    found = score_steps(bundle, engine, times_s, decode(frames, aspect))
    actions = np.minimum(found.actions, found.parts[:, PART_OF]) * found.seen[:, None]
    probs = np.concatenate([actions, found.parts * found.seen[:, None]], axis=1)
    return found.times_s, probs, found.moved[:, PART_OF_CLASS]


def _known_events(bundle: Bundle, engine: Runtime, sessions: LandmarkSessions) -> Iterator[KnownEvents]:
    for number, fps in enumerate(sessions.fps):
        first, last = sessions.first[number : number + 2]
        times = np.arange(last - first) / fps
        frames = np.array(sessions.frames[first:last])
        moments, probs, moved = _probabilities(bundle, engine, frames, float(sessions.aspect[number]), times)
        events = shown_events(sessions, number, float(times[-1]))
        events += _of_parts(events)
        spans = [(key, *np.searchsorted(moments, (onset, offset)).tolist()) for key, onset, offset in events]
        yield KnownEvents(probs, moved, tuple((key, start, max(stop, start + 1)) for key, start, stop in spans))


def shown_events(sessions: LandmarkSessions, number: int, end_s: float) -> list[tuple[int, float, float]]:
    """The events of a session of which the camera shows enough before the recording ends."""
    mine = sessions.events[sessions.events[:, 0] == number]
    return [
        (int(index), max(onset, 0.0), min(offset, end_s))
        for _, index, onset, offset, seen in mine
        if seen >= LEAST_SEEN and onset < end_s - SEEN_S and offset > SEEN_S
    ]


def _of_parts(events: Sequence[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """Events of body parts: those of their actions, joined where they overlap or nearly touch."""
    joined: list[tuple[int, float, float]] = []
    for part in np.unique(PART_OF).tolist():
        spans = sorted((onset, offset) for index, onset, offset in events if PART_OF[index] == part)
        for onset, offset in spans:
            if joined and joined[-1][0] == of_part(part) and onset - joined[-1][2] < JOINED_S:
                joined[-1] = (of_part(part), joined[-1][1], max(joined[-1][2], offset))
            else:
                joined.append((of_part(part), onset, offset))
    return joined


def _known_sets(bundle: Bundle, engine: Runtime, sequences: Sequence[RealSequence]) -> Iterator[KnownSet]:
    """Labelled sequences; idle ones and rest, in which nothing happens. Any moving hand may be a gesture as well."""
    maybe = frozenset({GESTURES, of_part(int(PART_OF[GESTURES]))})
    for one in sequences:
        pieces: list[tuple[Int16Array, frozenset[int], frozenset[int]]] = []
        if one.counted or one.idle:
            right = frozenset((*one.labels, *(of_part(int(PART_OF[label])) for label in one.labels)))
            pieces.append((one.frames, right, maybe - right if right else frozenset()))
        begin, end = one.rest
        if not one.idle and (end - begin) / ASSUMED_FPS >= LEAST_REST_S:
            pieces.append((one.frames[begin:end], frozenset(), frozenset()))
        for frames, right, unknown in pieces:
            times = np.arange(len(frames)) / ASSUMED_FPS
            _, probs, moved = _probabilities(bundle, engine, frames, one.aspect, times)
            yield KnownSet(probs, moved, right, unknown)
