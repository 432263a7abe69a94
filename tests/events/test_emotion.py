"""The rolling estimate of emotions: its arithmetic, its intervals, its silence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.emotion import PRIOR, RollingEmotion, evidence
from events.settings import EmotionSettings

NS_PER_S = 1_000_000_000
FLAT = np.full(5, 0.2)
SPAN_NS, HOP_NS = round(3.8 * NS_PER_S), NS_PER_S


def feed(rolling, shares, seen, first=0, count=1):
    """Stretches of 3.8 s, a second apart."""
    return [
        rolling.push(0, k * HOP_NS, k * HOP_NS + SPAN_NS, np.asarray(shares, float), seen, seen)
        for k in range(first, first + count)
    ]


def test_the_counts_are_what_the_definition_says():
    settings = EmotionSettings(time_constant_s=10.0, counts_per_s=2.0)
    joy = np.array([0.8, 0.05, 0.05, 0.05, 0.05])
    rolling = RollingEmotion(settings)
    (first,), (second,) = feed(rolling, joy, 1.0), feed(rolling, FLAT, 0.5, 1)
    assert first.evidence_s == pytest.approx(3.8)
    assert first.probs == pytest.approx((PRIOR + 2.0 * 3.8 * joy) / (5 * PRIOR + 2.0 * 3.8))
    mass = 3.8 * joy * math.exp(-0.1) + 1.0 * 0.5 * FLAT  # a second is new, half of it seen
    assert second.evidence_s == pytest.approx(mass.sum())
    assert second.probs == pytest.approx((PRIOR + 2.0 * mass) / (5 * PRIOR + 2.0 * mass.sum()))


def test_neutral_seconds_count_for_less_and_neutral_is_the_answer_until_an_emotion_shows():
    rolling = RollingEmotion(EmotionSettings())
    calm = [
        rolling.push(0, k * HOP_NS, k * HOP_NS + SPAN_NS, FLAT, 1.0, 1.0, 0.9 if k < 30 else 0.0) for k in range(30)
    ]
    assert calm[0].evidence_s == pytest.approx(3.8 * (1 - 0.5 * 0.9))
    assert not calm[5].abstains
    assert all(one.neutral == pytest.approx(0.9) and one.is_neutral for one in calm)
    joy = np.array([0.92, 0.02, 0.02, 0.02, 0.02])
    happy = [rolling.push(0, k * HOP_NS, k * HOP_NS + SPAN_NS, joy, 1.0, 1.0, 0.0) for k in range(30, 45)]
    assert happy[0].is_neutral
    assert not happy[-1].is_neutral
    assert happy[-1].newest == pytest.approx(joy)


@given(
    st.lists(
        st.tuples(st.lists(st.floats(0.01, 1.0), min_size=5, max_size=5), st.floats(0.0, 1.0)), min_size=1, max_size=30
    )
)
def test_shares_add_up_lie_in_their_intervals_and_evidence_is_bounded(stretches):
    rolling = RollingEmotion(EmotionSettings())
    for k, (weights, seen) in enumerate(stretches):
        (estimate,) = feed(rolling, np.array(weights) / sum(weights), seen, k)
        assert estimate.probs.sum() == pytest.approx(1.0)
        assert np.all(estimate.interval[:, 0] <= estimate.probs)
        assert np.all(estimate.probs <= estimate.interval[:, 1])
        assert 0.0 <= estimate.evidence_s <= 10.0 + 3.8
        assert estimate.abstains == (estimate.evidence_s < 3.0)


def test_more_evidence_narrows_the_intervals_and_its_absence_widens_them_again_until_it_abstains():
    rolling = RollingEmotion(EmotionSettings())
    joy = np.array([0.8, 0.05, 0.05, 0.05, 0.05])
    seen = feed(rolling, joy, 1.0, 0, 30)
    widths = [float(one.interval[0, 1] - one.interval[0, 0]) for one in seen]
    assert widths[0] > widths[5] > widths[-1]
    assert seen[-1].probs.argmax() == 0
    unseen = feed(rolling, FLAT, 0.0, 30, 20)
    assert [one.abstains for one in unseen] == sorted(one.abstains for one in unseen)  # once, and for good
    assert not unseen[0].abstains
    assert unseen[-1].abstains
    wider = [float(one.interval[0, 1] - one.interval[0, 0]) for one in unseen]
    assert wider[12] > widths[-1]


def test_a_change_is_followed_within_fifteen_seconds():
    rolling = RollingEmotion(EmotionSettings())
    joy, anger = np.array([0.7, 0.1, 0.1, 0.05, 0.05]), np.array([0.05, 0.05, 0.1, 0.1, 0.7])
    feed(rolling, joy, 1.0, 0, 60)
    after = feed(rolling, anger, 1.0, 60, 15)
    assert after[-1].probs.argmax() == 4
    assert next(k for k, one in enumerate(after) if one.probs.argmax() == 4) <= 10


def test_intervals_cover_the_share_that_noisy_honest_answers_speak_of():
    """Each second one emotion shows; the model's answer is right on average. The true share fades like the estimate."""
    rng = np.random.default_rng(3)
    settings = EmotionSettings()
    inside = total = 0
    for _ in range(20):
        rolling, truth, weight = RollingEmotion(settings), np.zeros(5), 0.0
        shown = int(rng.integers(5))
        for k in range(60):
            if rng.random() < 1 / 25:
                shown = int(rng.integers(5))
            centre = np.full(5, 0.06)
            centre[shown] = 0.76
            (estimate,) = feed(rolling, rng.dirichlet(4.0 * centre), 1.0, k)
            fade, new_s = math.exp(-0.1), 3.8 if k == 0 else 1.0
            truth, weight = truth * fade + new_s * centre, weight * fade + new_s
            if k >= 5:
                share = truth / weight
                inside += int(((estimate.interval[:, 0] <= share) & (share <= estimate.interval[:, 1])).sum())
                total += 5
    assert 0.9 <= inside / total <= 1.0


def test_what_was_fitted_is_taken_unless_the_settings_say_otherwise():
    joy = np.array([0.8, 0.05, 0.05, 0.05, 0.05])
    widths = []
    own = EmotionSettings(counts_per_s=4.0)
    for settings, fitted in ((EmotionSettings(), 0.5), (EmotionSettings(), None), (own, 0.5)):
        (one,) = feed(RollingEmotion(settings, fitted), joy, 1.0)
        widths.append(one.interval[0, 1] - one.interval[0, 0])
    assert widths == sorted(widths, reverse=True)


def test_evidence_is_what_the_branches_that_are_there_can_see():
    assert evidence(1.0, 1.0) == 1.0
    assert (evidence(1.0, 0.0), evidence(0.0, 1.0)) == (0.5, 1.0)
    assert evidence(None, 0.25) == evidence(0.25, None) == 0.25
