"""A recording's windows to events at once: the live path's aggregator without the live path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from events.aggregator import Aggregator
from events.posterior import FloatArray
from events.scores import Event
from events.settings import AggregatorSettings
from events.types import ActionEvent, EventState, Float32Array, Prediction, Stamps

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """How windows lie in time, ns."""

    span_ns: int
    hop_ns: int
    centre_shift_ns: int  # how much later than its middle the frames of a window are centred


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
    reported = reports(ends_ns, probs, grid, settings, enter, exit_)
    found = [
        (one.action.index, one.onset_ns * 1e-9, one.offset_ns * 1e-9)
        for one in reported
        if one.state is EventState.ENDED and one.offset_ns is not None
    ]
    return sorted(found, key=lambda event: (event[1], event[0]))


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
