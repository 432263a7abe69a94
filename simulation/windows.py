"""Windows of a session as the live path cuts them, and their targets.

A window has `length` drawings, `span / length` apart; the i-th is of the newest picture at or before
`start + (i + 1) · span / length`. Its score speaks of the middle of its drawings, half a segment behind its own middle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.card import ModelCard
from engines.common.errors import BadInput
from engines.common.process_pool import process_pool
from engines.landmarks.drawing import draw_window
from engines.landmarks.movement import moved
from engines.landmarks.steps import VALID, at_steps, pack
from engines.runtimes import Video, open_runtime
from engines.runtimes.base import Runtime
from engines.specs.base import LandmarkSpec
from events.offline import HOP_S, STEP_HOP_S, JudgedSession, window_grid
from events.scores import Event, FloatArray, activity
from events.settings import AggregatorSettings
from simulation.interview import BALANCED, IDLE, NATURAL
from simulation.session import Session, Settings, simulate

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

LEAST_SEEN = 0.5  # share of an action's time that the camera must show the limbs it moves: nobody could tell the others
FOCUS = 0.5  # share of a window that its target speaks of, in training and calibration
LEAST_S = 1.0  # of a session, before the first window of a network that scores every step, as in the live path
FIT_SPLIT = "validation"  # whose sessions are fitted on
BATCH = 128  # windows drawn at once: each time, the person is followed from the beginning


def events_of(session: Session) -> list[Event]:
    """What can be seen of the ground truth (`LEAST_SEEN`), in the form that the event metrics take."""
    return [(one.index, one.onset_s, one.offset_s) for one in session.truth if one.seen >= LEAST_SEEN]


def targets(events: Sequence[Event], ends_s: FloatArray, span_s: float, length: int, focus: float) -> Float32Array:
    """Targets of windows: the share that each action fills of their middle part, or that this holds of it.

    A score for the whole span would rise and fall over a whole span: short events would be faint and long. The target
    speaks of the middle alone, so that the score is one half where an event begins or ends, and reaches one within
    events longer than `focus · span`. The greater share counts, so it also reaches one amid shorter events, such as a
    look aside of half a second; they come out up to `focus · span` long.

    Args:
        events: ground truth.
        ends_s: (K,) ends of the windows.
        span_s: length of a window.
        length: T, drawings per window.
        focus: share of the span that the target speaks of, around the middle of the drawings; above 0, up to 1.

    Returns:
        float32 (K, 52), 0..1.
    """
    middle = ends_s - span_s / 2 + span_s / (2 * length)
    first, last = middle - 0.5 * focus * span_s, middle + 0.5 * focus * span_s
    shares = activity(events, first, last)
    for index, onset, offset in events:
        held = np.minimum(last, offset) - np.maximum(first, onset)
        shares[:, index] = np.maximum(shares[:, index], held / (offset - onset))
    return shares.astype(np.float32)


def samples(times_ns: Int64Array, ends_ns: Int64Array, span_ns: int, length: int) -> Int64Array:
    """Indices (K, T) of the pictures of windows that end at `ends_ns` (K,), none before the first picture."""
    offsets = np.array([(i + 1) * span_ns // length for i in range(length)], np.int64)
    moments = (ends_ns - span_ns)[:, None] + offsets  # (K, T)
    return np.searchsorted(times_ns, moments, side="right") - 1


def live_ends(session: Session, span_ns: int, hop_ns: int) -> Int64Array:
    """(K,) ends of the windows that fall due within a session: first picture + span + k · hop."""
    first, last = int(session.times_ns[0]), int(session.times_ns[-1])
    return np.arange(first + span_ns, last + 1, hop_ns, dtype=np.int64)


def draw(session: Session, indices: Int64Array, size: int) -> UInt8Array:
    """Drawings uint8 (..., S, S, 3) of the pictures at `indices` (...), each drawn once."""
    wanted, where = np.unique(indices, return_inverse=True)
    drawings = draw_window(
        size,
        session.pose,
        session.hands,
        session.face,
        session.times_ns.tolist(),
        wanted.tolist(),
        (session.camera.height, session.camera.width),
    )
    return drawings[where.reshape(indices.shape)]


def check_view(card: ModelCard) -> None:
    """Raises BadInput for a model that is not shown drawings."""
    if card.view != "landmarks":
        raise BadInput("a model of the landmark view", f"{card.name}, of the {card.view} view", "choose another")


def judge(engine: Runtime, card: ModelCard, session: Session, hop_s: float | None = None) -> JudgedSession:
    """Run a landmark model over a session. K is 0 for a session shorter than a window.

    hop_s: between windows; those of a network that carries states are a frame apart.

    Raises:
        BadInput: the model is of another view.
        RuntimeFailed: the runtime cannot run it.
    """
    check_view(card)
    if isinstance(card.network, LandmarkSpec):
        return _judge_steps(engine, card, session, STEP_HOP_S if hop_s is None else hop_s)
    grid = window_grid(card, HOP_S if hop_s is None else hop_s)
    ends_ns = live_ends(session, grid.span_ns, grid.hop_ns)
    chosen = samples(session.times_ns, ends_ns, grid.span_ns, card.length)
    logits = [np.zeros((0, len(card.labels)), np.float32)]
    if card.network.states:
        logits += _follow(engine, card, session, chosen)
    else:
        for start in range(0, len(ends_ns), BATCH):
            logits.append(engine.infer(draw(session, chosen[start : start + BATCH], card.size)).logits)
    return JudgedSession(ends_ns, np.concatenate(logits), events_of(session), len(session) / session.fps)


def _follow(engine: Runtime, card: ModelCard, session: Session, chosen: Int64Array) -> list[Float32Array]:
    """Logits (1, 52) of windows (K, T) a frame apart: each knows all frames before it, as in a replay."""
    video, logits = Video(), list[Float32Array]()
    pictures = np.concatenate((chosen[:1].ravel(), chosen[1:, -1]))
    for start in range(0, len(pictures), BATCH):
        frames = draw(session, pictures[start : start + BATCH], card.size)
        logits += [engine.predict(frame[None], [video])["logits"] for frame in frames]
    return logits[card.length - 1 :]


def _judge_steps(engine: Runtime, card: ModelCard, session: Session, hop_s: float) -> JudgedSession:
    """The windows of a network that scores every step: the first after `LEAST_S`, the last at the last whole step."""
    steps = card.length
    step_s = card.span_s / steps
    times_s = (session.times_ns - session.times_ns[0]) * 1e-9
    last = int(times_s[-1] / step_s + 1e-6)
    moments_s = np.arange(1 - steps, last + 1, dtype=np.float64) * step_s
    landmarks = at_steps(times_s, pack(session.pose, session.hands, session.face), moments_s)
    due = np.arange(round(LEAST_S / step_s), last + 1, max(round(hop_s / step_s), 1))
    ends = np.unique(np.append(due, last))  # step number: the window begins at that row of `landmarks`
    actions, parts, moving = [], [], []
    for at in range(0, len(ends), BATCH):
        windows = np.stack([landmarks[end : end + steps] for end in ends[at : at + BATCH]])
        outputs = engine.run({"landmarks": windows})
        moving.append(moved(windows))
        actions.append(outputs["actions"])
        parts.append(outputs["parts"])
    there = (np.arange(len(landmarks)) >= steps - 1) & (landmarks[:, :, VALID] > 0.0).any(axis=1)
    return JudgedSession(
        session.times_ns[0] + np.round(ends * (step_s * 1e9)).astype(np.int64),
        np.concatenate(actions),
        events_of(session),
        len(session) / session.fps,
        np.concatenate(parts),
        np.stack([there[end : end + steps] for end in ends]),
        np.concatenate(moving),
    )


def judge_sessions(
    bundle: Bundle, split: str, mode: str, sessions: int, seconds: float, seed: int, threads: int = 0, workers: int = 1
) -> Iterator[JudgedSession]:
    """`judge` simulated sessions, of seeds `seed`, `seed + 1`, ..., with the fastest runtime that agrees.

    Several `workers` are processes, each with a runtime of its own, of one thread unless `threads` says otherwise.

    Raises:
        BadInput: the model is of another view.
    """
    check_view(bundle.card)
    play = partial(simulate, seconds=seconds, settings=Settings(mode, split))
    numbers = range(seed, seed + sessions)
    if workers <= 1:
        with open_runtime(bundle, "auto", threads=threads) as engine:
            for number in numbers:
                yield judge(engine, bundle.card, play(number))
        return
    threads = threads or 1
    with open_runtime(bundle, "auto", threads=threads) as engine:
        chosen = engine.name  # the same in every process, or the scores would depend on which was free
    opening = (bundle.path, chosen, threads, play)
    with process_pool(workers, _Worker.open, *opening) as pool:
        yield from pool.map(_Worker.judge, numbers)


def fitting_sessions(
    bundle: Bundle,
    minutes: int,
    idle_minutes: int,
    seed: int,
    threads: int,
    workers: int,
    report: Callable[[], object],
) -> tuple[list[JudgedSession], list[JudgedSession]]:
    """Sessions of one minute to fit on: (`minutes` balanced and half as many natural ones, `idle_minutes` idle ones).

    False events are rare, and come from a few people whose posture or fidgeting resembles an action: an hour of
    sitting still predicts little of the next one. `report` is called after each session.
    """

    def run(mode: str, count: int) -> list[JudgedSession]:
        found = []
        for one in judge_sessions(bundle, FIT_SPLIT, mode, count, 60.0, seed, threads, workers):
            found.append(one)
            report()
        return found

    return run(BALANCED, minutes) + run(NATURAL, max(1, minutes // 2)), run(IDLE, idle_minutes)


def labelled_windows(
    bundle: Bundle, sessions: Sequence[JudgedSession], focus: float = FOCUS
) -> tuple[FloatArray, FloatArray]:
    """Logits and targets, each (N, 52), of all windows of judged sessions."""
    card = bundle.card
    if isinstance(card.network, LandmarkSpec):
        return _labelled_steps(card, sessions)
    labels = [
        targets(one.events, one.ends_ns.astype(np.float64) * 1e-9, card.span_s, card.length, focus) for one in sessions
    ]
    return (
        np.concatenate([one.logits for one in sessions]).astype(np.float64),
        np.concatenate(labels).astype(np.float64),
    )


def _labelled_steps(card: ModelCard, sessions: Sequence[JudgedSession]) -> tuple[FloatArray, FloatArray]:
    """The steps that the live path asks of each window at its default look-ahead, a hop of them."""
    step_s = card.span_s / card.length
    last = card.length - round(AggregatorSettings().lookahead_s / step_s)
    asked = np.arange(last - round(STEP_HOP_S / step_s), last)
    logits, labels = [], []
    for one in sessions:
        moments = one.ends_ns[:, None] * 1e-9 - step_s * (card.length - 1 - asked)
        known = np.zeros(moments.shape, np.bool_) if one.seen is None else one.seen[:, asked]
        at = moments[known]
        logits.append(one.logits[:, asked][known].astype(np.float64))
        labels.append(activity(one.events, at - 0.5 * step_s, at + 0.5 * step_s))
    return np.concatenate(logits), np.concatenate(labels)


class _Worker:
    """What a process of `judge_sessions` holds."""

    engine: Runtime
    card: ModelCard
    play: Callable[[int], Session]

    @classmethod
    def open(cls, path: Path, runtime: str, threads: int, play: Callable[[int], Session]) -> None:
        bundle = Bundle.load(path)
        cls.engine, cls.card, cls.play = open_runtime(bundle, runtime, threads=threads), bundle.card, staticmethod(play)

    @classmethod
    def judge(cls, seed: int) -> JudgedSession:
        return judge(cls.engine, cls.card, cls.play(seed))
