"""Timing of events against truth that is known, and the command as its user runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import Bundle, find
from engines.taxonomy import ACTIONS
from events.offline import JudgedSession
from simulation.event_timing import setting_of, timing
from simulation.windows import targets
from tests.bundles import untrained_landmarks
from tests.conftest import manet_live, refused

pytestmark = pytest.mark.slow

SPAN_NS, HOP_NS = 1_900_000_000, 250_000_000
NODDING, WAVING = 9, 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An untrained landmark model with sigmoids."""
    return untrained_landmarks(tmp_path_factory.mktemp("bundle") / "untrained")


def oracle(true: list[tuple[int, float, float]], late_s: float = 0.0) -> JudgedSession:
    """A session of one minute whose logits are those of the truth, shifted to be late."""
    ends_ns = np.arange(SPAN_NS, 60_000_000_000, HOP_NS, dtype=np.int64)
    shifted = [(index, onset + late_s, offset + late_s) for index, onset, offset in true]
    shares = targets(shifted, ends_ns.astype(np.float64) * 1e-9, 1.9, 8, 0.5)
    return JudgedSession(ends_ns, (8.0 * (2.0 * shares - 1.0)).astype(np.float32), true, 60.0)


TRUE = [(NODDING, onset, onset + 3.0) for onset in np.arange(4.1, 50.0, 7.13).tolist()] + [(WAVING, 20.0, 24.0)]


def test_a_perfect_model_dates_events_within_a_hop_and_waits_as_long_as_the_knob_says(bundle: Bundle) -> None:
    fast, middle, steady = (timing(bundle, [oracle(TRUE)], knob) for knob in (0.25, 0.5, 1.9))
    for one in (fast, middle, steady):
        assert (one.events, one.found, one.false) == (len(TRUE), len(TRUE), 0)
        assert one.onset_error_ms is not None
        assert one.onset_error_ms.p50 <= one.onset_error_ms.p90 <= 500
        assert one.confirmed_delay_ms is not None
        assert one.provisional_delay_ms is not None
        assert one.confirmed_delay_ms.p50 >= one.provisional_delay_ms.p50
    assert fast.confirmed_delay_ms.p50 > fast.provisional_delay_ms.p50  # type: ignore[union-attr]
    assert fast.confirmed_delay_ms.p50 <= middle.confirmed_delay_ms.p50 < steady.confirmed_delay_ms.p50  # type: ignore[union-attr]
    waited = steady.provisional_delay_ms.p50 - fast.provisional_delay_ms.p50  # type: ignore[union-attr]
    assert waited > 500  # a steady posterior also rises earlier, so not the whole 1650 ms


def test_a_late_model_shows_as_bias(bundle: Bundle) -> None:
    straight, late = timing(bundle, [oracle(TRUE)], 0.5), timing(bundle, [oracle(TRUE, 0.5)], 0.5)
    assert straight.onset_bias_ms is not None
    assert late.onset_bias_ms is not None
    assert late.onset_bias_ms - straight.onset_bias_ms == pytest.approx(500, abs=1)


def oracle_of_steps(true: list[tuple[int, float, float]]) -> JudgedSession:
    """The same of a model that scores every sixteenth of a second, three seconds at a time."""
    ends_ns = np.arange(1_000_000_000, 60_000_000_000, HOP_NS, dtype=np.int64)
    moments_s = ends_ns[:, None] * 1e-9 - np.arange(47, -1, -1) / 16.0
    logits = np.full((*moments_s.shape, 52), -8.0, np.float32)
    parts = np.full((*moments_s.shape, 7), -8.0, np.float32)
    for index, onset, offset in true:
        running = (moments_s >= onset) & (moments_s <= offset)
        logits[running, index] = 8.0
        parts[running, ACTIONS[index].part_index] = 8.0
    return JudgedSession(ends_ns, logits, true, 60.0, parts, moments_s >= 0.0)


def test_a_perfect_model_of_steps_waits_as_long_as_the_lookahead_says() -> None:
    bundle = Bundle.load(find("landmarks"))
    assert setting_of(bundle) == "lookahead_s"
    for wait_s in (0.2, 0.35, 0.95):
        one = timing(bundle, [oracle_of_steps(TRUE)], wait_s)
        assert (one.events, one.found, one.false) == (len(TRUE), len(TRUE), 0)
        assert one.onset_error_ms is not None
        assert one.onset_error_ms.p90 <= 63
        assert one.provisional_delay_ms is not None
        assert 1000 * wait_s <= one.provisional_delay_ms.p50 <= 1000 * wait_s + 313  # a hop and a step


def test_an_event_of_a_part_alone_is_false_where_nothing_of_the_part_happens() -> None:
    bundle = Bundle.load(find("landmarks"))
    session = oracle_of_steps([(NODDING, 5.0, 8.0), (NODDING, 20.0, 23.0)])
    unnamed = np.full_like(session.logits, -8.0)
    first = replace(session, logits=unnamed, events=[(8, 5.0, 8.0)])
    one = timing(bundle, [first], 0.35)
    assert (one.events, one.found, one.false) == (1, 0, 1)


def test_events_that_were_not_there_count_as_false_and_nothing_found_has_no_figures(bundle: Bundle) -> None:
    session = oracle(TRUE)
    other = JudgedSession(session.ends_ns, session.logits, [(0, 1.0, 2.0)], 60.0)
    one = timing(bundle, [other], 0.5)
    assert (one.events, one.found, one.false) == (1, 0, len(TRUE))
    assert one.onset_error_ms is one.confirmed_delay_ms is one.onset_bias_ms is None


@pytest.mark.long
def test_the_command_prints_three_settings_and_says_that_weights_are_untrained(bundle: Bundle, tmp_path: Path) -> None:
    done = manet_live(
        "latency",
        "--events",
        "1",
        "--seconds",
        "10",
        "--model",
        bundle.path,
        "--engine",
        "onnxruntime",
        "--json",
        tmp_path / "timing.json",
    )
    assert done.code == 0, done.err
    assert "UNTRAINED WEIGHTS" in done.out
    assert [f"{knob} s" in done.out for knob in ("0.25", "0.5", "1.9")] == [True] * 3
    result = json.loads((tmp_path / "timing.json").read_text())
    assert (result["setting"], [one["wait_s"] for one in result["settings"]]) == ("latency_s", [0.25, 0.5, 1.9])


def test_wrong_use_is_one_line(bundle: Bundle, tmp_path: Path) -> None:
    assert "landmark view" in refused("latency", "--events", "1", "--model", "untrained-small")
    assert "--json alone" in refused("latency", "--events", "1", "--csv", tmp_path / "x.csv", "--model", bundle.path)
