"""Overlapping windows to one posterior per moment."""

from __future__ import annotations

import numpy as np
import pytest

from engines.taxonomy import ACTIONS
from events.posterior import PosteriorGrid
from realtime.clock import to_ns
from tests.events.aggregating import prediction


def test_a_cell_is_the_tapered_mean_of_its_windows() -> None:
    grid = PosteriorGrid(span_ns=400, hop_ns=100, latency_ns=100)
    probs = np.zeros((3, len(ACTIONS)), np.float32)
    probs[:, 0] = (0.2, 0.4, 0.8)
    (first,) = grid.add(prediction(400, {}, 400), probs[0])[-1:]
    (second,) = grid.add(prediction(500, {}, 400), probs[1])
    # The cell that ends at 400 lies 150 and 50 behind the centres of windows 0 and 1.
    weights = 0.54 + 0.46 * np.cos(2 * np.pi * np.array([150, 50]) / 400)
    assert grid.wait_ns == 100
    assert grid.lag_ns == round(float(weights @ [150, 50] / weights.sum()))
    assert first.probs[0] == pytest.approx(0.2)
    assert second.probs[0] == pytest.approx(float(weights @ [0.2, 0.4] / weights.sum()))
    assert (second.start_ns, second.end_ns) == (300 - grid.lag_ns, 400 - grid.lag_ns)
    assert first.end_ns == second.start_ns


def test_windows_whose_frames_lie_later_are_dated_back_less() -> None:
    span, hop, shift = to_ns(2), to_ns(0.25), to_ns(0.125)
    plain, later = PosteriorGrid(span, hop, hop), PosteriorGrid(span, hop, hop, centre_shift_ns=shift)
    assert 0 <= later.lag_ns < plain.lag_ns
    assert abs(plain.lag_ns - later.lag_ns - shift) < to_ns(0.06)  # the taper weighs nearer windows a little more
