"""What expression numbers say: by hand, at rest, and over a baseline."""

import numpy as np
import pytest
from scipy.special import softmax

from engines.expressions import EXPRESSIONS, LOGITS, MOUTH, NUMBERS
from engines.taxonomy import EMOTIONS
from events.face_emotion import (
    BODY_POWER,
    REST_MARGIN,
    FaceEmotion,
    FaceShares,
    against_neutral,
    fused,
    shares_of,
    speech,
)

NS_PER_S = 1_000_000_000


def numbers(rng, count=16):
    return rng.normal(0.0, 3.0, (count, NUMBERS)).astype(np.float32)


def test_shares_are_the_two_nets_powers_with_neutral_and_disgust_spread_evenly():
    given_ = numbers(np.random.default_rng(0))
    probs = softmax(0.45 * given_[:, :7] + 0.35 * given_[:, 7:LOGITS], axis=1).mean(axis=0)
    by_name = dict(zip(EXPRESSIONS, probs.tolist(), strict=True))
    none = by_name["neutral"] + by_name["disgust"]
    said = shares_of(against_neutral(given_))
    assert said.shares == pytest.approx([by_name[name] + none / 5 for name in EMOTIONS], abs=1e-6)
    assert said.neutral == pytest.approx(by_name["neutral"], abs=1e-6)
    assert said.shares.sum() == pytest.approx(1.0)


def test_a_body_beside_a_face_counts_modestly():
    face, body = np.array([0.6, 0.1, 0.1, 0.1, 0.1]), np.array([0.02, 0.02, 0.02, 0.02, 0.92])
    both = fused(FaceShares(face, 0.0), body)
    assert both[0] / both[4] == pytest.approx(6.0 * (0.02 / 0.92) ** BODY_POWER)
    assert both.argmax() == 0
    assert fused(FaceShares(face, 0.0), np.full(5, 0.2)) == pytest.approx(face)


def test_a_network_that_reads_the_face_counts_less_the_more_neutral_it_is_or_the_more_it_speaks():
    even, said = np.full(5, 0.2), np.array([0.02, 0.02, 0.02, 0.02, 0.92])
    assert fused(FaceShares(even, 0.0), said, True) == pytest.approx(0.6 * even + 0.4 * said)
    assert fused(FaceShares(even, 1.0), said, True) == pytest.approx(even)
    doubtful = fused(FaceShares(even, 0.5, 0.5), said, True)
    assert doubtful[4] == pytest.approx(0.2 + 0.4 * 0.25 * 0.72)


def sad_at_rest(rng, count=16):
    """A face that both nets call sad while it rests."""
    made = rng.normal(0.0, 0.3, (count, NUMBERS))
    made[:, MOUTH] = 0.0
    for net in (0, 7):
        made[:, net + EXPRESSIONS.index("sadness")] += 3.0
        made[:, net + EXPRESSIONS.index("surprise")] -= 8.0
    return made.astype(np.float32)


def smiling(rng):
    made = sad_at_rest(rng)
    made[:, [EXPRESSIONS.index("joy"), 7 + EXPRESSIONS.index("joy")]] += 7.0
    return made


def stretch(face, second, given_):
    return face.take(second * NS_PER_S, (second + 4) * NS_PER_S, given_)


def test_with_a_baseline_a_resting_face_is_neutral_and_what_is_new_still_counts():
    rng = np.random.default_rng(1)
    without, with_it = FaceEmotion(), FaceEmotion(rest_ns=8 * NS_PER_S)
    assert stretch(without, 0, sad_at_rest(rng)).shares.max() > 0.5
    for second in range(5):
        measured = stretch(with_it, second, sad_at_rest(rng))
        assert (measured.neutral, np.ptp(measured.shares)) == (1.0, 0.0)
    said = stretch(with_it, 5, sad_at_rest(rng))
    assert not with_it.measuring
    assert said.neutral > 0.3
    assert said.shares.max() < 0.4
    odds = against_neutral(sad_at_rest(rng)).mean(axis=0) - with_it.lowered
    assert odds[EXPRESSIONS.index("sadness")] == pytest.approx(-REST_MARGIN, abs=0.3)
    assert with_it.lowered[[EXPRESSIONS.index(name) for name in ("neutral", "surprise")]] == pytest.approx(0.0)
    assert stretch(with_it, 6, smiling(rng)).shares.argmax() == EMOTIONS.index("joy")
    assert "sadness by" in str(with_it)


def test_without_a_baseline_it_gets_used_to_a_face_slowly():
    rng = np.random.default_rng(2)
    face = FaceEmotion(habituation_ns=60 * NS_PER_S)
    said = [stretch(face, second, sad_at_rest(rng)).shares[EMOTIONS.index("sadness")] for second in range(240)]
    assert said[0] > 0.5
    assert said[9] > 0.5 * said[0]
    assert said[-1] < 0.35


def laughing(gaps):
    """Sixteen pictures of joy with these gaps between the lips, tenths of the eyes' distance."""
    made = np.zeros((16, NUMBERS), np.float32)
    made[:, [EXPRESSIONS.index("joy"), 7 + EXPRESSIONS.index("joy")]] = 9.0
    made[:, MOUTH] = gaps
    return made


def test_a_mouth_that_opens_once_smiles_and_one_that_opens_again_and_again_speaks_and_has_no_share_above_a_half():
    smile = laughing(np.clip(np.arange(16) - 4.0, 0.0, 3.0))
    speaker = laughing(np.tile([0.2, 1.1], 8))
    assert (speech(smile, 3.8), speech(speaker, 3.8)) == (0.0, 1.0)
    assert speech(laughing(np.tile([0.2, 0.5], 8)), 3.8) == pytest.approx(
        (13 * 0.3 + 0.3 - 0.55 * 3.8) / (0.65 * 3.8), abs=0.01
    )
    assert stretch(FaceEmotion(), 0, smile).shares[EMOTIONS.index("joy")] > 0.95
    said = stretch(FaceEmotion(), 0, speaker)
    assert 0.4 < said.shares[EMOTIONS.index("joy")] < 0.5
    assert said.shares.sum() == pytest.approx(1.0)


def test_of_no_face_nothing_is_said():
    said = FaceEmotion().take(0, NS_PER_S, np.empty((0, NUMBERS), np.float32))
    assert (said.neutral, np.ptp(said.shares)) == (0.0, 0.0)
