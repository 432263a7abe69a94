"""Thresholds fitted on scores whose best thresholds are known, and the command as its user runs it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from calibration.__main__ import main
from engines.bundle import Bundle
from engines.common.errors import BadInput
from events.fit_thresholds import ENTERS, EXIT_SHARES, fit_thresholds, score_sessions
from events.offline import JudgedSession
from simulation.session import Session, Settings, simulate
from simulation.windows import events_of, live_ends, targets
from tests.bundles import untrained_landmarks

pytestmark = pytest.mark.slow

SPAN_S, HOP_NS = 1.9, 250_000_000


@functools.cache
def simulated(seed: int, mode: str) -> Session:
    """A minute of ten frames a second: only its truth is used."""
    return simulate(seed, 60.0, 10.0, Settings(mode, "validation"))


def oracle(seed: int, mode: str, gain: float, noise: float) -> JudgedSession:
    """A session whose logits are those of the truth, times `gain`, with noise."""
    session = simulated(seed, mode)
    ends_ns = live_ends(session, round(SPAN_S * 1e9), HOP_NS)
    shares = targets(events_of(session), ends_ns.astype(np.float64) * 1e-9, SPAN_S, 8, 0.5)
    rng = np.random.default_rng(seed)
    logits = gain * (2.0 * shares - 1.0) + noise * rng.standard_normal(shares.shape)
    return JudgedSession(ends_ns, logits.astype(np.float32), events_of(session), 60.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An untrained landmark model with sigmoids."""
    return untrained_landmarks(tmp_path_factory.mktemp("bundle") / "untrained")


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixth of the pairs that are tried: each plays all sessions once."""
    monkeypatch.setattr("events.fit_thresholds.ENTERS", ENTERS[::3])
    monkeypatch.setattr("events.fit_thresholds.EXIT_SHARES", EXIT_SHARES[1::2])


def test_thresholds_suit_the_scores(bundle: Bundle) -> None:
    """Scores that never reach one half still find their events; the default thresholds would miss them."""
    busy = [oracle(seed, "balanced", 3.0, 0.2) for seed in range(4)]
    for one in busy:
        np.subtract(one.logits, 2.5, out=one.logits)  # at most sigmoid(0.5 + noise), mostly below it
    idle = [oracle(seed, "idle", 3.0, 0.2) for seed in range(2)]
    for one in idle:
        np.subtract(one.logits, 2.5, out=one.logits)
    steps: list[int] = []
    fit = fit_thresholds(bundle, busy, idle, 2.0, steps.append)
    assert fit.busy.f1_macro > 0.9
    assert fit.idle.false_per_hour <= 2.0
    assert all(0.0 < leave < enter for enter, leave in zip(fit.enter, fit.exit, strict=True))
    occurring = sorted({index for one in busy for index, _, _ in one.events})
    assert np.median(np.array(fit.enter)[occurring]) < 0.6
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.long
def test_a_smaller_budget_costs_recall_and_is_kept(bundle: Bundle) -> None:
    busy = [oracle(seed, "balanced", 3.0, 1.0) for seed in range(2)]
    idle = [oracle(seed, "idle", 1.5, 2.0) for seed in range(3)]
    loose = fit_thresholds(bundle, busy, idle, 1e6, lambda _: None)
    strict = fit_thresholds(bundle, busy, idle, 60.0, lambda _: None)
    assert strict.idle.false_per_hour <= 60.0 < loose.idle.false_per_hour
    assert strict.busy.f1_macro <= loose.busy.f1_macro
    assert np.all(np.array(strict.enter) >= np.array(loose.enter) - 0.3)


@pytest.mark.long
def test_a_budget_holds_on_sessions_that_nothing_was_chosen_on(bundle: Bundle) -> None:
    """Counted where they are chosen, thresholds keep a budget that they break elsewhere."""
    busy = [oracle(seed, "balanced", 2.0, 1.5) for seed in range(3)]
    idle, unseen = ([oracle(seed, "idle", 2.0, 1.5) for seed in seeds] for seeds in (range(10, 15), range(30, 35)))
    budget = 120.0
    fit = fit_thresholds(bundle, busy, idle, budget, lambda _: None)
    assert fit.idle.false_per_hour <= budget
    later = score_sessions(bundle, unseen, np.array(fit.enter), np.array(fit.exit))
    assert later.false_per_hour <= 2.0 * budget


def test_a_chosen_precision_is_had_where_it_can_be(bundle: Bundle) -> None:
    """One action's scores are noisy: only its thresholds have to rise."""
    busy = [oracle(seed, "balanced", 3.0, 1.0) for seed in range(2)]
    noisy = busy[0].events[0][0]
    rng = np.random.default_rng(0)
    for one in busy:
        one.logits[:, noisy] += rng.normal(0.0, 4.0, len(one.logits)).astype(np.float32)
    idle = [oracle(50, "idle", 3.0, 1.0)]
    loose, strict = (fit_thresholds(bundle, busy, idle, 0.0, lambda _: None, precision=share) for share in (0.01, 0.9))
    hits, false = strict.busy.true_positives.sum(), strict.busy.false_positives.sum()
    assert hits / (hits + false) >= 0.9
    assert strict.enter[noisy] >= loose.enter[noisy]
    assert strict.busy.false_positives[noisy] <= loose.busy.false_positives[noisy]


@pytest.mark.long
def test_the_command_writes_a_bundle_that_says_what_it_rests_on(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "fitted"
    arguments = [
        "thresholds",
        str(bundle.path),
        "--out",
        str(out),
        "--minutes",
        "1",
        "--idle-minutes",
        "1",
        "--false-per-hour",
        "1e6",
    ]
    assert main(arguments) == 0
    made = Bundle.load(out)
    calibration = made.card.calibration
    assert isinstance(calibration.enter, tuple)
    assert len(calibration.enter) == 52
    assert "simulated validation sessions, seed 0" in calibration.basis
    assert calibration.activation == "sigmoid"
    assert not made.card.trained


def test_bad_input_is_one_line_and_exit_code_2(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = str(bundle.path), ("--out", str(tmp_path / "a"))
    cases = {
        "expected --minutes of 1 or more": [model, *out, "--minutes", "0"],
        "expected --idle-minutes of 1 or more": [model, *out, "--idle-minutes", "0"],
        "expected --false-per-hour of 0 or more": [model, *out, "--false-per-hour=-1"],
        "expected --precision above 0 and below 1": [model, *out, "--precision", "1"],
        "not allowed with argument": [model, *out, "--precision", "0.8", "--false-per-hour", "2"],
        "expected a new folder": [model, "--out", model],
        "of the rgb view": ["untrained-small", *out, "--minutes", "1"],
        "known models": ["nonesuch", *out],
    }
    for expected, arguments in cases.items():
        assert main(["thresholds", *arguments]) == 2
        printed = capsys.readouterr().err
        assert expected in printed
        assert printed.count("\n") == 1


def test_an_impossible_budget_is_refused(bundle: Bundle) -> None:
    """Idle scores at one: every threshold is passed."""
    idle = [oracle(0, "idle", 1.0, 0.0)]
    np.copyto(idle[0].logits, 20.0)
    with pytest.raises(BadInput, match="none of the thresholds do"):
        fit_thresholds(bundle, [oracle(0, "balanced", 3.0, 0.2)], idle, 0.0, lambda _: None)
