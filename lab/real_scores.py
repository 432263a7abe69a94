"""What a landmark model says of a recorded landmark sequence, and the events that follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.landmarks.drawing import draw_window
from engines.landmarks.points import FACE_POINTS, HAND_POINTS, POSE_POINTS
from engines.landmarks.steps import STEP_S
from engines.landmarks.tracks import MISSING, SCALE, Int16Array, decode
from engines.runtimes import open_runtime
from engines.runtimes.base import Runtime
from engines.specs.base import LandmarkSpec
from events.limits import limits
from events.offline import WindowGrid, ended, ended_parts, reports, step_reports
from events.scores import Event
from events.settings import AggregatorSettings
from events.step_scores import score_steps
from events.types import BoolArray
from simulation.windows import check_view, samples

Float32Array = npt.NDArray[np.float32]

HEIGHT = 1000  # pixels of the picture that drawings are made from
SHORT_HOP_S = 0.125  # between windows of a drawing model: sequences are short
BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Probabilities over time: K moments, `step_s` apart."""

    actions: Float32Array  # (K, 52)
    parts: Float32Array | None  # (K, 7), where the network scores body parts
    step_s: float
    seen: BoolArray | None = None  # (K,) whether a picture stands for the moment; None: all
    moved: BoolArray | None = None  # (K, 7) whether each body part moves; None: all


class Scorer:
    """Runs one bundle of the landmark view over sequences; a context manager."""

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        """Raises BadInput for a model of another view, RuntimeFailed where none can run it."""
        check_view(bundle.card)
        self._bundle, self._settings = bundle, AggregatorSettings()
        self._limits = limits(self._settings, bundle.card.calibration)
        self._engine = open_runtime(bundle, "auto", threads=threads)
        steps = isinstance(bundle.card.network, LandmarkSpec)
        self._score: Callable[..., Scored] = of_steps if steps else of_drawings

    def __enter__(self) -> Scorer:
        self._engine.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._engine.__exit__(kind, error, at)

    def score(self, frames: Int16Array, aspect: float, fps: float) -> Scored:
        """Probabilities of a sequence int16 (T, VALUES) of pictures `aspect` times as wide as high."""
        return self._score(self._bundle, self._engine, frames, aspect, fps)

    def events(self, scored: Scored) -> list[Event]:
        """What the aggregator makes of it at its defaults: (index of the action or part, onset s, offset s)."""
        times_ns = np.round(np.arange(1, len(scored.actions) + 1) * (scored.step_s * 1e9)).astype(np.int64)
        if self._limits.parts and scored.parts is not None:
            if len(times_ns) < 2:
                return []
            found = step_reports(
                times_ns, scored.actions, scored.parts, self._settings, self._limits, scored.seen, scored.moved
            )
            return ended_parts(found)
        step_ns = int(times_ns[0])
        return ended(reports(times_ns, scored.actions, WindowGrid(step_ns, step_ns, 0), self._settings, self._limits))


def of_steps(bundle: Bundle, engine: Runtime, frames: Int16Array, aspect: float, fps: float) -> Scored:
    """A network that scores every step, judged as the live path judges it."""
    found = score_steps(bundle, engine, np.arange(len(frames)) / fps, decode(frames, aspect))
    return Scored(found.actions, found.parts, STEP_S, found.seen, found.moved)


def of_drawings(bundle: Bundle, engine: Runtime, frames: Int16Array, aspect: float, fps: float) -> Scored:
    """A network that sees drawings. A window that begins before the sequence shows its first picture for that time."""
    pose, hands, face = _in_pixels(frames, aspect)
    times_ns = np.round(np.arange(len(frames)) * (1e9 / fps)).astype(np.int64)
    card = bundle.card
    span_ns = round(card.span_s * 1e9)
    ends_ns = np.arange(times_ns[-1], span_ns // 2, -round(SHORT_HOP_S * 1e9), dtype=np.int64)[::-1]
    ends_ns = ends_ns if len(ends_ns) else times_ns[-1:]
    chosen = np.maximum(samples(times_ns, ends_ns, span_ns, card.length), 0)  # (K, T)
    wanted, where = np.unique(chosen, return_inverse=True)
    shape = (HEIGHT, round(HEIGHT * aspect))
    drawn = draw_window(card.size, pose, hands, face, times_ns.tolist(), wanted.tolist(), shape)
    clips = drawn[where.reshape(chosen.shape)]
    logits = [engine.infer(clips[at : at + BATCH]).logits for at in range(0, len(clips), BATCH)]
    return Scored(bundle.probabilities(np.concatenate(logits)), None, SHORT_HOP_S)


def _in_pixels(frames: Int16Array, aspect: float) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Pose (T, 33, 4), hands (T, 2, 21, 3) and face (T, FACE_POINTS, 3) in pixels, NaN where not found."""
    values = np.where(frames == MISSING, np.nan, frames.astype(np.float32) / np.float32(SCALE)).astype(np.float32)
    pose = values[:, : 4 * POSE_POINTS].reshape(-1, POSE_POINTS, 4)
    hands = values[:, 4 * POSE_POINTS : -3 * FACE_POINTS].reshape(-1, 2, HAND_POINTS, 3)
    face = values[:, -3 * FACE_POINTS :].reshape(-1, FACE_POINTS, 3)
    size = np.array([aspect * HEIGHT, HEIGHT, aspect * HEIGHT], np.float32)
    return pose * np.append(size, np.float32(1.0)), hands * size, face * size
