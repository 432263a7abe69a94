"""The temperature and the weight of a second, on answers whose faults are known."""

import numpy as np
import pytest

from calibration.__main__ import main
from engines.bundle import Bundle
from events.fit_emotion import COVERED, JudgedEmotion, even, fit_counts, fit_emotion_temperature, follow
from events.settings import EmotionSettings
from simulation.judge_emotion import judge_emotions
from tests.bundles import untrained_emotion

pytestmark = pytest.mark.slow

NS = 1_000_000_000
SPAN_NS = round(3.8 * NS)


def answers(seed: int, heat: float, noise: float, seconds: int = 90) -> JudgedEmotion:
    """Emotions that change every 20 s or so; right on average, `heat` times too sure."""
    rng = np.random.default_rng(seed)
    shown = int(rng.integers(5))
    newest = np.full((seconds, 5), 0.06)
    for at in range(seconds):
        if rng.random() < 0.05:
            shown = int(rng.integers(5))
        newest[at, shown] = 0.76
    truth = np.array([newest[max(0, at - 3) : at + 1].mean(axis=0) for at in range(seconds)])
    logits = heat * (np.log(truth) + noise * rng.normal(size=truth.shape))
    ends = SPAN_NS + np.arange(seconds) * NS
    faces, said = np.zeros(seconds), np.full((seconds, 5), 0.2)  # the body alone
    return JudgedEmotion(
        ends, SPAN_NS, logits, truth, newest, np.ones(seconds), faces, said, np.zeros(seconds), np.zeros(seconds), False
    )


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_of_answers_that_are_too_sure_is_found(heat):
    assert fit_emotion_temperature([answers(seed, heat, 0.0) for seed in range(5)]) == pytest.approx(heat, rel=1e-3)


@pytest.mark.long
def test_a_second_counts_less_the_worse_the_answers_are_and_intervals_cover_on_others():
    settings = EmotionSettings()
    counts = []
    for noise in (0.6, 1.6):
        fit_on, held = ([answers(seed, 1.0, noise) for seed in seeds] for seeds in (range(4), range(100, 104)))
        temperature = fit_emotion_temperature(fit_on)
        counts.append(fit_counts(fit_on, temperature, settings))
        assert follow(fit_on, temperature, counts[-1], settings).coverage >= COVERED
        course = follow(held, temperature, counts[-1], settings)
        assert 0.9 <= course.coverage <= 0.995
        assert course.top > 0.85
        assert course.abstained == 0.0
    assert counts[0] > counts[1]


def test_what_is_felt_of_nothing_is_spread_evenly():
    shares = even(np.array([[0.5, 0, 0, 0, 0, 0.5], [0, 0, 0, 0, 0, 1.0]], np.float32))
    assert shares == pytest.approx(np.array([[0.6, 0.1, 0.1, 0.1, 0.1], [0.2] * 5]))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    return untrained_emotion(tmp_path_factory.mktemp("emotion") / "untrained").path


def test_sessions_are_judged_as_the_live_path_cuts_them(untrained):
    bundle = Bundle.load(untrained)
    (one,) = judge_emotions(bundle, "test", 1, 30.0, 3, EmotionSettings())
    assert len(one.ends_ns) == len(one.logits) == len(one.truth) == len(one.seen)
    assert np.diff(one.ends_ns).tolist() == [NS] * (len(one.ends_ns) - 1)
    assert one.truth.sum(axis=1) == pytest.approx(1.0)
    assert one.newest.sum(axis=1) == pytest.approx(1.0)
    assert np.isfinite(one.logits).all()


@pytest.mark.long
def test_the_command_writes_a_bundle_that_says_what_its_numbers_rest_on(untrained, tmp_path, capsys):
    assert main(["emotion", str(untrained), "--out", str(tmp_path / "fitted"), "--minutes", "2"]) == 0
    card = Bundle.load(tmp_path / "fitted").card
    assert isinstance(card.calibration.counts_per_s, float)
    assert "simulated" in card.calibration.basis
    assert not card.trained
    assert "cover" in capsys.readouterr().out
    assert main(["emotion", "landmarks-small", "--out", str(tmp_path / "none")]) == 2
    assert "an emotion model" in capsys.readouterr().err
