"""A recording's windows to events at once: the live path's aggregator without the live path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.card import ModelCard
from events.aggregator import Aggregator, thresholds
from events.posterior import FloatArray
from events.scores import Event
from events.settings import AggregatorSettings
from events.types import ActionEvent, EventState, Float32Array, Prediction, Stamps

Int64Array = npt.NDArray[np.int64]

HOP_S = 0.25  # of the live path, by default


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """How windows lie in time, ns."""

    span_ns: int
    hop_ns: int
    centre_shift_ns: int  # how much later than its middle the frames of a window are centred


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSession:
    """The scores of a session, window by window on the live grid, and its ground truth. K windows."""

    ends_ns: Int64Array  # (K,) ends of the windows in media time
    logits: Float32Array  # (K, 52)
    events: list[Event]  # ground truth
    seconds: float


def window_grid(card: ModelCard, hop_s: float = HOP_S) -> WindowGrid:
    """How the live path cuts windows for this model."""
    span_ns = round(card.span_s * 1e9)
    return WindowGrid(span_ns, round(hop_s * 1e9), span_ns // (2 * card.length))


def session_reports(
    bundle: Bundle,
    session: JudgedSession,
    settings: AggregatorSettings | None = None,
    pair: tuple[FloatArray, FloatArray] | None = None,
) -> list[ActionEvent]:
    """Everything that the live path reports of a session, in the order of reports.

    Args:
        bundle: the model of the scores: calibration and window grid.
        session: its scores.
        settings: of the aggregator; by default the live path's.
        pair: (enter, exit), (52,) each, instead of the card's.
    """
    settings, calibration = settings or AggregatorSettings(), bundle.card.calibration
    enter, exit_ = pair or thresholds(settings, calibration.enter, calibration.exit)
    probs = bundle.probabilities(session.logits)
    return reports(session.ends_ns, probs, window_grid(bundle.card), settings, enter, exit_)


def session_events(
    bundle: Bundle,
    session: JudgedSession,
    settings: AggregatorSettings | None = None,
    pair: tuple[FloatArray, FloatArray] | None = None,
) -> list[Event]:
    """The confirmed events of `session_reports`: (action index, onset s, offset s), by onset."""
    return ended(session_reports(bundle, session, settings, pair))


def ended(reported: list[ActionEvent]) -> list[Event]:
    """(action index, onset s, offset s) of every confirmed event that ended, by onset."""
    found = [
        (one.action.index, one.onset_ns * 1e-9, one.offset_ns * 1e-9)
        for one in reported
        if one.state is EventState.ENDED and one.offset_ns is not None
    ]
    return sorted(found, key=lambda event: (event[1], event[0]))


def detect(
    ends_ns: Int64Array,
    probs: Float32Array,
    grid: WindowGrid,
    settings: AggregatorSettings,
    enter: FloatArray,
    exit_: FloatArray,
) -> list[Event]:
    """The events that the live path ends on windows that end at `ends_ns` (K,) with probabilities `probs` (K, 52).

    Args:
        ends_ns: media time, ascending.
        probs: calibrated, 0..1.
        grid: how the windows lie.
        settings: of the aggregator.
        enter, exit_: (52,) posteriors as from `events.aggregator.thresholds`.

    Returns:
        (action index, onset s, offset s) of every confirmed event, by onset.
    """
    return ended(reports(ends_ns, probs, grid, settings, enter, exit_))


def reports(
    ends_ns: Int64Array,
    probs: Float32Array,
    grid: WindowGrid,
    settings: AggregatorSettings,
    enter: FloatArray,
    exit_: FloatArray,
) -> list[ActionEvent]:
    """Everything that the live path reports of a recording, in the order of reports; arguments as for `detect`."""
    aggregator = Aggregator(0, grid.span_ns, grid.hop_ns, settings, enter, exit_, grid.centre_shift_ns)
    stamps, logits = Stamps(), np.zeros(probs.shape[1], np.float32)
    found = []
    for index, end_ns in enumerate(ends_ns.tolist()):
        found += aggregator.push(
            Prediction(0, index, end_ns - grid.span_ns, end_ns, logits, probs[index], None, stamps)
        )
    found += aggregator.finish()
    return found
