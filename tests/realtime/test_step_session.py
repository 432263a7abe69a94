"""A session with a model that sees landmarks as numbers and scores every step: wire, windows, events of two levels."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from engines.bundle import Bundle, find
from engines.landmarks.steps import pack
from engines.runtimes import open_runtime
from events.aggregator import Aggregator
from events.limits import limits
from events.steps import StepGrid
from realtime.analysis.actions import LandmarkActionModel, parts_of
from realtime.analysis.landmark_window import SlidingLandmarks
from realtime.capture.sources.simulated import simulate_session
from realtime.capture.views.coverage import Coverage
from realtime.clock import MonotonicClock, to_ns
from realtime.config import Config
from realtime.messages import Frame
from realtime.output.lines import action_line
from tests.conftest import manet_live

SECONDS, SEED, MODE = 12.0, 3, "balanced"
DEMO = ("demo", "--seconds", str(SECONDS), "--seed", str(SEED), "--mode", MODE, "--no-emotion")


def expected_lines(model: str) -> list[dict]:
    """The session without processes and wire, one window at a time."""
    bundle, config, coverage = Bundle.load(find(model)), Config(), Coverage()
    session = simulate_session(SEED, SECONDS, MODE)
    span_ns = to_ns(bundle.card.span_s)
    cutter = SlidingLandmarks(
        0, bundle.card.length, span_ns, to_ns(config.window.step_hop_s), to_ns(config.window.max_gap_s)
    )
    grid = StepGrid(span_ns, cutter.step_ns, to_ns(config.aggregator.lookahead_s))
    aggregator = Aggregator(0, grid, limits(config.aggregator, bundle.card.calibration), config.aggregator)
    events = []
    with open_runtime(bundle, "onnxruntime", threads=1) as runtime:
        action_model = LandmarkActionModel(bundle, runtime, config)

        def judge(windows: list) -> None:
            for window in windows:
                (prediction,) = action_model.judge([window], MonotonicClock())
                events.extend(aggregator.push(prediction))

        for index in range(len(session)):
            seen = session.landmarks(index)
            numbers = pack(seen.pose[None], seen.hands[None], seen.face[None])[0]
            frame = Frame(0, index, 0, seen.time_ns, None, framing=coverage.update(seen), landmarks=numbers)
            judge(cutter.push(frame, 0))
        judge(cutter.finish(0))
    events += aggregator.finish()
    return [json.loads(msgspec.json.encode(action_line(event, 0))) for event in events]


@pytest.mark.slow
def test_a_session_gives_the_events_of_its_landmarks_twice_and_without_processes() -> None:
    arguments = (*DEMO, "--speed", "max", "--headless", "--model", "landmarks", "--engine", "onnxruntime")
    first, second = (manet_live(*arguments, timeout=300) for _ in range(2))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.action_text == second.action_text
    assert first.of("action") == expected_lines("landmarks") != []
    stats = first.of("stats")[-1]
    assert stats["windows"] == stats["windows_due"] == (int(SECONDS) - 1) * 8 + 1
    assert stats["dropped"] == stats["skipped"] == {}
    for line in first.of("action"):
        assert (line["action"] is None) == (line["index"] is None)
        assert set(line.get("candidates", {}).values()) <= {value / 1e4 for value in range(10001)}


def test_a_part_is_shown_while_any_of_its_actions_is() -> None:
    shown = np.ones((2, 52), np.bool_)
    shown[1, 24:32] = False
    shown[1, 5] = False
    assert parts_of(shown).tolist() == [[True] * 7, [True, True, True, False, True, True, True]]
