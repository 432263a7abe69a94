"""Emotion windows of a session as the live path cuts them, and their targets.

An emotion window is cut like a window (see `simulation.windows`): `length` pictures, the i-th the newest at or before
`start + (i + 1) · span / length`. Landmark steps in place of the body's pictures end where the window ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engines.expressions import encode
from engines.landmarks.face_drawing import draw_frontal, frontal
from engines.landmarks.points import FACE_POINTS
from engines.landmarks.steps import STEP_S, at_steps, frames_shown, pack
from engines.specs.base import EmotionSpec
from engines.taxonomy import ACTIONS, EMOTIONS
from events.scores import Event, FloatArray
from simulation.emotion import Episode
from simulation.session import Session
from simulation.windows import draw, events_of, samples

AnyArray = npt.NDArray[Any]
UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

SHOWN_S = 0.5  # an action is in a window with this much of it, or with half of it


class Pictures(NamedTuple):
    """What of a network's spec decides an emotion window; 0 leaves a branch out."""

    length: int  # T
    picture_size: int  # S, of the body
    face_size: int  # F
    steps: int = 0  # of landmarks, in place of the body's pictures


@dataclass(frozen=True, slots=True, eq=False)
class EmotionWindows:
    """K emotion windows of a session: inputs of an emotion model of the landmark view, and the truth."""

    inputs: dict[str, AnyArray]  # by the names of `EmotionSpec.inputs`, (K, ...) each
    felt: Float32Array  # (K, 6) share of each emotion, and of none
    actions: Float32Array  # (K, 52) 0 or 1
    faces: Float32Array  # (K, T, FACE_POINTS, 2) turned to the front, cm (`landmarks.face_drawing`); NaN: no face
    expressions: Float32Array  # (K, T, NUMBERS), see engines.expressions; NaN: no face


def cut(session: Session, ends_s: FloatArray, span_s: float, spec: EmotionSpec | Pictures) -> EmotionWindows:
    """Emotion windows of a session that end at `ends_s` (K,).

    Raises:
        ValueError: a window begins before the session.
    """
    if np.any(ends_s < span_s):
        raise ValueError(f"expected ends of {span_s:g} s or later, got {float(ends_s.min()):g}")
    ends_ns, span_ns = np.round(ends_s * 1e9).astype(np.int64), round(span_s * 1e9)
    chosen = samples(session.times_ns, ends_ns, span_ns, spec.length)  # (K, T)
    faces = frontal_faces(session, chosen)
    inputs: dict[str, AnyArray] = {}
    if spec.steps:
        inputs["landmarks"] = landmark_steps(session, ends_s, spec.steps)
        inputs["body_seen"] = frames_shown(inputs["landmarks"], spec.length)
    if spec.picture_size:
        inputs["body"] = draw(session, chosen, spec.picture_size)
        inputs["body_seen"] = np.isfinite(session.pose[chosen, 0, 0]).astype(np.uint8)
    if spec.face_size:
        inputs["face"] = draw_faces(faces, spec.face_size)
        inputs["face_seen"] = faces_seen(faces)
    if isinstance(spec, EmotionSpec) and spec.reads_expressions:
        inputs |= expression_inputs(session.expression[chosen])
    if isinstance(spec, EmotionSpec):
        inputs = typed(inputs, spec)
    starts = ends_s - span_s
    return EmotionWindows(
        inputs,
        felt(session.episodes, starts, ends_s),
        shown(events_of(session), starts, ends_s),
        faces,
        session.expression[chosen],
    )


def landmark_steps(session: Session, ends_s: FloatArray, steps: int) -> Float32Array:
    """(K, steps, POINTS, CHANNELS) landmarks of the steps up to each end; lengths in picture heights."""
    times_s = session.times_ns.astype(np.float64) * 1e-9
    pictures = pack(session.pose, session.hands, session.face)
    pictures[..., :3] /= session.camera.height
    back_s = STEP_S * np.arange(steps - 1, -1, -1)
    return np.stack([at_steps(times_s, pictures, end_s - back_s) for end_s in ends_s])


def typed(inputs: dict[str, AnyArray], spec: EmotionSpec) -> dict[str, AnyArray]:
    """The same in the type that the network takes."""
    return {name: array.astype(spec.input_dtype, copy=False) for name, array in inputs.items()}


def frontal_faces(session: Session, indices: npt.NDArray[np.int64]) -> Float32Array:
    """(..., FACE_POINTS, 2): the faces of the pictures at `indices` (...), turned to the front; NaN: none."""
    wanted, where = np.unique(indices, return_inverse=True)
    found = np.full((len(wanted), FACE_POINTS, 2), np.nan, np.float32)
    for at, index in enumerate(wanted):
        if np.isfinite(session.face[index]).all():
            found[at] = frontal(session.face[index])[:, :2]
    return found[where.reshape(indices.shape)]


def faces_seen(faces: Float32Array) -> UInt8Array:
    """uint8 (...): 1 where `frontal_faces` has a face."""
    return np.asarray(np.isfinite(faces).all(axis=(-2, -1)), np.uint8)


def expression_inputs(numbers: Float32Array) -> dict[str, UInt8Array]:
    """What a network is given of expression numbers (..., T, NUMBERS), NaN where there is no face."""
    return {"expressions": encode(numbers), "face_seen": np.asarray(np.isfinite(numbers).all(axis=-1), np.uint8)}


def draw_faces(faces: Float32Array, size: int) -> UInt8Array:
    """Face drawings uint8 (..., F, F, 3) of `frontal_faces`, black where there is none."""
    drawings = np.zeros((faces[..., 0, 0].size, size, size, 3), np.uint8)
    for at, points in enumerate(faces.reshape(-1, FACE_POINTS, 2)):
        if np.isfinite(points).all():
            drawings[at] = draw_frontal(points.astype(np.float64), size)
    return drawings.reshape(*faces.shape[:-2], size, size, 3)


def felt(episodes: Sequence[Episode], starts: FloatArray, ends: FloatArray) -> Float32Array:
    """(K, 6): share of the time from `starts` to `ends` (K,) in which each emotion, and none, was felt."""
    shares = np.zeros((len(starts), len(EMOTIONS) + 1))
    for one in episodes:
        within = np.clip(np.minimum(ends, one.offset_s) - np.maximum(starts, one.onset_s), 0.0, None)
        shares[:, len(EMOTIONS) if one.emotion is None else one.emotion] += within / (ends - starts)
    shares[:, -1] += np.clip(1.0 - shares.sum(axis=1), 0.0, None)
    return shares.astype(np.float32)


def shown(events: Sequence[Event], starts: FloatArray, ends: FloatArray) -> Float32Array:
    """(K, 52): 1 where an action shows for `SHOWN_S` or for half its length between `starts` and `ends` (K,)."""
    actions = np.zeros((len(starts), len(ACTIONS)), np.float32)
    for index, onset, offset in events:
        within = np.minimum(ends, offset) - np.maximum(starts, onset)
        actions[within >= min(SHOWN_S, 0.5 * (offset - onset)), index] = 1.0
    return actions
