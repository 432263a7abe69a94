"""The shipped landmark model, on people it never saw: a small, frozen part of what its page reports."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from engines.bundle import Bundle, find
from engines.landmarks.steps import pack
from engines.runtimes import available, open_runtime
from engines.specs.base import LandmarkSpec
from events.limits import limits
from events.offline import ended_parts, step_reports
from events.scores import score_events
from events.settings import AggregatorSettings
from events.step_scores import score_steps
from lab.evaluate_real import evaluate_file, summary
from lab.real_scores import Scorer
from simulation.session import Settings, simulate
from simulation.windows import events_of
from tests.conftest import ROOT

REAL = ROOT.parent / "shared" / "data" / "real" / "landmarks"
FIRST_OF_PART = (0, 5, 11, 24, 32, 38, 48)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(find("landmarks"))


@pytest.fixture(scope="module")
def scorer(bundle: Bundle) -> Iterator[Scorer]:
    with Scorer(bundle, threads=1) as opened:
        yield opened


def test_it_is_small_and_says_what_it_is(bundle: Bundle) -> None:
    card = bundle.card
    assert sum(file.stat().st_size for file in bundle.path.rglob("*.*")) <= 8_000_000
    assert isinstance(card.network, LandmarkSpec)
    assert (card.view, card.trained, card.span_s) == ("landmarks", True, 3.0)
    assert "real people with weak labels" in card.provenance.trained_on
    assert card.calibration.parts is not None
    for one in (card.calibration, card.calibration.parts):
        assert isinstance(one.enter, tuple)
        assert isinstance(one.exit, tuple)


def test_every_runtime_can_begin_with_nobody_in_view(bundle: Bundle) -> None:
    """Lengths of nothing are divided by: what keeps them above zero must survive the export."""
    session = simulate(7000, 3.0, settings=Settings("balanced", "test"))
    landmarks = pack(session.pose, session.hands, session.face)
    windows = np.zeros((2, *bundle.card.network.inputs["landmarks"]), np.float32)
    windows[1, 20:] = landmarks[:28]
    found = []
    for name, there in available().items():
        if there:
            with open_runtime(bundle, name, threads=1) as engine:
                found.append(engine.run({"landmarks": windows})["actions"])  # refuses what is not finite
    assert all(np.abs(one - found[0]).max() < 0.02 * np.abs(found[0]).max() for one in found)


def test_hands_of_real_people_who_only_developed_it(scorer: Scorer) -> None:
    path = REAL / "surtecha--SignLangNET.npz"
    if not path.is_file():
        pytest.skip("needs ../shared/data/real")
    found = summary([evaluate_file(scorer, path)])
    assert found["n"] == 10
    assert found["top1"] >= 0.6
    assert found["top3"] >= 0.9
    assert found["part"] >= 0.9


def test_body_parts_of_simulated_people_it_never_saw(bundle: Bundle) -> None:
    settings = AggregatorSettings()
    chosen = limits(settings, bundle.card.calibration)
    pairs = []
    with open_runtime(bundle, "onnxruntime", threads=1) as engine:
        for seed in range(7000, 7006):
            session = simulate(seed, 60.0, settings=Settings("balanced", "test"))
            landmarks = pack(session.pose, session.hands, session.face)
            scores = score_steps(bundle, engine, session.times_ns * 1e-9, landmarks)
            times_ns = np.round(scores.times_s * 1e9).astype(np.int64)
            found = step_reports(times_ns, scores.actions, scores.parts, settings, chosen, scores.seen)
            parts = [(FIRST_OF_PART[part], onset, offset) for part, onset, offset in ended_parts(found)]
            pairs.append((events_of(session), parts))
    assert score_events(pairs, 360.0, by_part=True, least_tiou=0.3).f1_micro >= 0.5
