"""A recording's windows to events at once: the live path's aggregator without the live path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from engines.bundle import Bundle
from engines.card import ModelCard
from engines.taxonomy import BODY_PARTS
from events.aggregator import Aggregator
from events.limits import Limits, limits
from events.posterior import PosteriorGrid
from events.scores import Event
from events.settings import AggregatorSettings
from events.steps import StepGrid
from events.types import (
    ActionEvent,
    BoolArray,
    EventState,
    Float32Array,
    Int64Array,
    Prediction,
    Stamps,
    Steps,
)

HOP_S, STEP_HOP_S = 0.25, 0.125  # of the live path, by default: of windows, of windows that score every step


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """How windows lie in time, ns."""

    span_ns: int
    hop_ns: int
    centre_shift_ns: int  # how much later than its middle the frames of a window are centred


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSession:
    """The scores of a session and its ground truth: of K windows on the live grid, each as a whole or of T steps."""

    ends_ns: Int64Array  # (K,) media time
    logits: Float32Array  # (K, 52) or (K, T, 52)
    events: list[Event]  # ground truth
    seconds: float
    parts: Float32Array | None = None  # (K, T, 7) logits of body parts, of steps
    seen: BoolArray | None = None  # (K, T) whether a picture stands for the step
    moved: BoolArray | None = None  # (K, 7) which body parts move in the window


def window_grid(card: ModelCard, hop_s: float = HOP_S) -> WindowGrid:
    """How the live path cuts windows for this model: those of a network that carries states are a frame apart."""
    span_ns, hop_ns = round(card.span_s * 1e9), round(hop_s * 1e9)
    if card.network.states:
        hop_ns = span_ns // card.length
        span_ns = hop_ns * card.length
    return WindowGrid(span_ns, hop_ns, span_ns // (2 * card.length))


def session_reports(
    bundle: Bundle, session: JudgedSession, settings: AggregatorSettings | None = None, chosen: Limits | None = None
) -> list[ActionEvent]:
    """Everything that the live path reports of a session, in the order of reports.

    Args:
        bundle: the model of the scores: calibration and window grid.
        session: its scores.
        settings: of the aggregator; by default the live path's.
        chosen: instead of the limits in the model's card.
    """
    settings = settings or AggregatorSettings()
    chosen = chosen or limits(settings, bundle.card.calibration)
    probs = bundle.probabilities(session.logits)
    parts = bundle.part_probabilities(probs, session.parts) if chosen.parts else None
    if session.seen is not None:
        span_ns, step_ns = round(bundle.card.span_s * 1e9), round(bundle.card.span_s * 1e9) // session.seen.shape[1]
        grid = StepGrid(span_ns, step_ns, round(settings.lookahead_s * 1e9))
        return aggregate(_step_windows(session, session.seen, probs, parts, span_ns), grid, chosen, settings)
    return reports(session.ends_ns, probs, window_grid(bundle.card), settings, chosen, parts)


def _step_windows(
    session: JudgedSession, seen: BoolArray, probs: Float32Array, parts: Float32Array | None, span_ns: int
) -> Iterator[Prediction]:
    steps = seen.shape[1]
    before_ns = span_ns // steps * np.arange(steps - 1, -1, -1, dtype=np.int64)
    for at, end_ns in enumerate(session.ends_ns.tolist()):
        moved = None if session.moved is None else np.broadcast_to(session.moved[at], (steps, len(BODY_PARTS)))
        yield Prediction(
            0,
            at,
            end_ns - span_ns,
            end_ns,
            session.logits[at],
            probs[at],
            None,
            Stamps(),
            steps=Steps(end_ns - before_ns, seen[at], moved),
            parts=None if parts is None else parts[at],
        )


def session_events(
    bundle: Bundle, session: JudgedSession, settings: AggregatorSettings | None = None, chosen: Limits | None = None
) -> list[Event]:
    """The confirmed events of `session_reports` whose action is known: (action index, onset s, offset s), by onset."""
    return ended(session_reports(bundle, session, settings, chosen))


def detect(
    ends_ns: Int64Array, probs: Float32Array, grid: WindowGrid, settings: AggregatorSettings, bounds: Limits
) -> list[Event]:
    """The events that the live path ends on windows that end at `ends_ns` (K,) with probabilities `probs` (K, 52).

    Args:
        ends_ns: media time, ascending.
        probs: calibrated, 0..1.
        grid: how the windows lie.
        settings: of the aggregator.
        bounds: as from `events.limits.limits`.

    Returns:
        (action index, onset s, offset s) of every confirmed event whose action is known, by onset.
    """
    return ended(reports(ends_ns, probs, grid, settings, bounds))


def reports(
    ends_ns: Int64Array,
    probs: Float32Array,
    grid: WindowGrid,
    settings: AggregatorSettings,
    bounds: Limits,
    parts: Float32Array | None = None,
) -> list[ActionEvent]:
    """Everything that the live path reports of a recording, in the order of reports; arguments as for `detect`.

    parts: (K, 7) probabilities of body parts, where `bounds` has limits for them.
    """
    stamps, logits = Stamps(), np.zeros(probs.shape[1], np.float32)
    windows = [
        Prediction(
            0,
            index,
            end_ns - grid.span_ns,
            end_ns,
            logits,
            probs[index],
            None,
            stamps,
            parts=None if parts is None else parts[index],
        )
        for index, end_ns in enumerate(ends_ns.tolist())
    ]
    posteriors = PosteriorGrid(grid.span_ns, grid.hop_ns, round(settings.latency_s * 1e9), grid.centre_shift_ns)
    return aggregate(windows, posteriors, bounds, settings)


def step_reports(
    times_ns: Int64Array,
    probs: Float32Array,
    parts: Float32Array | None,
    settings: AggregatorSettings,
    bounds: Limits,
    seen: BoolArray | None = None,
    moved: BoolArray | None = None,
) -> list[ActionEvent]:
    """Everything that comes of one score for each step of a recording, T of them, as if one window held it all.

    Args:
        times_ns: (T,) evenly spaced.
        probs: (T, 52) calibrated.
        parts: (T, 7) calibrated, where `bounds` has limits for body parts.
        settings: of the aggregator.
        bounds: as from `events.limits.limits`.
        seen: (T,) whether a picture stands for that step; None: all.
        moved: (T, 7) whether each body part moves; None: all.
    """
    step_ns = int(times_ns[1] - times_ns[0])
    span_ns, last_ns = int(times_ns[-1] - times_ns[0]) + step_ns, int(times_ns[-1])
    steps = Steps(times_ns, np.ones(len(times_ns), np.bool_) if seen is None else seen, moved)
    whole = Prediction(0, 0, last_ns - span_ns, last_ns, probs, probs, None, Stamps(), steps=steps, parts=parts)
    return aggregate([whole], StepGrid(span_ns, step_ns, 0), bounds, settings)


def aggregate(
    predictions: Iterable[Prediction], grid: PosteriorGrid | StepGrid, bounds: Limits, settings: AggregatorSettings
) -> list[ActionEvent]:
    """Everything that is reported of a recording's predictions, in the order of reports."""
    aggregator = Aggregator(0, grid, bounds, settings)
    found = [event for prediction in predictions for event in aggregator.push(prediction)]
    return found + aggregator.finish()


def ended(reported: Iterable[ActionEvent]) -> list[Event]:
    """(action index, onset s, offset s) of every confirmed event whose action is known, by onset."""
    found = [
        (one.action.index, one.onset_ns * 1e-9, one.offset_ns * 1e-9)
        for one in reported
        if one.state is EventState.ENDED and one.offset_ns is not None and one.action is not None
    ]
    return sorted(found, key=lambda event: (event[1], event[0]))


def ended_parts(reported: Iterable[ActionEvent]) -> list[Event]:
    """(index of the body part, onset s, offset s) of every confirmed event, by onset."""
    found = [
        (BODY_PARTS.index(one.body_part), one.onset_ns * 1e-9, one.offset_ns * 1e-9)
        for one in reported
        if one.state is EventState.ENDED and one.offset_ns is not None
    ]
    return sorted(found, key=lambda event: (event[1], event[0]))
