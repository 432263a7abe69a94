"""Simulated feelings: on the face, in the posture, and in what is done; sessions without a mood stay as they were."""

from __future__ import annotations

import numpy as np
import pytest

from engines.landmarks.face_drawing import frontal
from engines.landmarks.face_model import RESTING
from engines.landmarks.points import FACE_MESH_INDICES
from engines.specs.maenet import MAENetSpec
from engines.specs.manet import MANetSpec
from engines.taxonomy import ACTIONS, EMOTIONS, LOWER_LIMB_PARTS
from simulation.action_units import EMFACS, PROTOTYPES, UNITS, displacement, draw_shape
from simulation.durations import occurrence
from simulation.emotion import LOWER_LIMB_SHARES, Episode, Mood, MoodSettings
from simulation.emotion_windows import cut, felt, shown
from simulation.session import Session, Settings, simulate

FACE = MANetSpec(depth=18, width=8, length=16, size=48, embedding=False)
SPEC = MAENetSpec(MANetSpec(depth=18, width=8, length=16, size=64, embedding=False), FACE)


def feeling(*emotions: str | None, seed: int = 3, seconds: float = 12.0) -> Session:
    mood = MoodSettings(emotions, (seconds / len(emotions),) * 2, (1.0, 1.0))
    return simulate(seed, seconds, 20.0, Settings("natural", noise=None, framing="whole body", mood=mood))


def test_prototypes_are_those_of_emfacs() -> None:
    assert EMFACS == {
        "joy": (6, 12),
        "sadness": (1, 4, 15),
        "surprise": (1, 2, 5, 26),
        "fear": (1, 2, 4, 5, 20, 26),
        "anger": (4, 5, 7, 23),
    }
    assert [tuple(np.array(UNITS)[row]) for row in PROTOTYPES] == [EMFACS[name] for name in EMOTIONS]


@pytest.mark.parametrize(
    ("unit", "point", "axis", "sign"),
    [
        (1, 336, 1, 1),
        (2, 300, 1, 1),
        (4, 336, 1, -1),
        (4, 336, 0, -1),
        (5, 387, 1, 1),
        (6, 373, 1, 1),
        (7, 387, 1, -1),
        (12, 291, 1, 1),
        (12, 291, 0, 1),
        (15, 291, 1, -1),
        (20, 291, 0, 1),
        (23, 17, 1, 1),
        (26, 17, 1, -1),
    ],
)
def test_units_move_what_they_should_and_both_halves_alike(unit: int, point: int, axis: int, sign: int) -> None:
    strength = np.zeros((3, 2, len(UNITS)))
    strength[0, :, UNITS.index(unit)] = 1.0  # both
    strength[1, 0, UNITS.index(unit)] = 1.0  # left
    strength[2, 1, UNITS.index(unit)] = 1.0  # right
    both, left, right = displacement(strength)
    assert sign * both[FACE_MESH_INDICES.index(point), axis] > 0.05
    np.testing.assert_allclose(left + right, both, atol=1e-12)
    mirrored = [FACE_MESH_INDICES.index(each) for each in (33, 107, 70, 61)]
    originals = [FACE_MESH_INDICES.index(each) for each in (263, 336, 300, 291)]
    np.testing.assert_allclose(right[mirrored] * [-1, 1, 1], left[originals], atol=1e-12)


def test_the_face_shows_what_is_felt() -> None:
    """The mean movement against the same person's calm face points the way of the emotion's own units."""
    for emotion in EMOTIONS:
        at_rest, moved = (
            np.array([frontal(face) for face in feeling(name).face if np.isfinite(face).all()])
            for name in (None, emotion)
        )
        movement = moved.mean(axis=0) - at_rest.mean(axis=0)
        likeness = {
            name: float((movement * displacement(np.stack([row, row])[None].astype(float))[0]).sum())
            / float(np.linalg.norm(displacement(np.stack([row, row])[None].astype(float))[0]))
            for name, row in zip(EMOTIONS, PROTOTYPES, strict=True)
        }
        assert likeness[emotion] > 0.5 * max(likeness.values()) > 0.2, (emotion, likeness)


def test_bouts_have_an_onset_and_sides_differ() -> None:
    session = feeling("joy")
    corners = [FACE_MESH_INDICES.index(each) for each in (291, 61)]
    smile = np.array([frontal(face)[corners, 1] for face in session.face]) - RESTING[corners, 1]  # (T, 2)
    assert np.abs(np.diff(smile, axis=0)).max() < 0.45, "no jump between two pictures 50 ms apart"
    assert np.ptp(smile) > 0.3
    assert np.abs(smile[:, 0] - smile[:, 1]).max() > 0.01


def test_lower_limbs_have_the_paper_s_share_of_what_begins() -> None:
    """MANet paper, Fig. 11 a: 20, 16, 18, 16 and 13 %."""
    usual = np.array([occurrence(action.index) for action in ACTIONS])
    lower = np.array([action.body_part in LOWER_LIMB_PARTS for action in ACTIONS])
    for emotion, share in enumerate(LOWER_LIMB_SHARES):
        mood = Mood((Episode(emotion, 0.0, 9.0, 1.0),), 1.0)
        weight = usual * [mood.factor(index, 1.0) for index in range(52)]
        assert weight[lower].sum() / weight.sum() == pytest.approx(share)
    assert Mood((Episode(None, 0.0, 9.0, 1.0),), 1.0).factor(9, 1.0) == 1.0


def test_episodes_fill_the_session_in_the_order_asked_for() -> None:
    session = feeling("joy", None, "anger")
    assert [one.name for one in session.episodes] == ["joy", None, "anger"]
    assert session.episodes[0].onset_s == 0.0
    assert session.episodes[-1].offset_s == 12.0
    for one, other in zip(session.episodes, session.episodes[1:], strict=False):
        assert one.offset_s == other.onset_s
    again = feeling("joy", None, "anger")
    assert session.face.tobytes() == again.face.tobytes()
    assert simulate(3, 5.0).episodes == ()


def test_without_a_mood_a_session_is_what_it_was() -> None:
    """To the byte: a mood draws from a stream of its own, and a calm one changes the face alone."""
    plain = simulate(11, 6.0, 20.0, Settings("natural", noise=None))
    calm = simulate(11, 6.0, 20.0, Settings("natural", noise=None, mood=MoodSettings((None,), (9.0, 9.0))))
    assert plain.pose.tobytes() == calm.pose.tobytes()
    assert plain.truth == calm.truth
    assert plain.face.tobytes() != calm.face.tobytes()


def test_stretches_say_what_was_felt_and_done() -> None:
    session = feeling("joy", "anger", seconds=16.0)
    found = cut(session, np.array([6.0, 10.0, 15.0]), 4.0, SPEC)
    assert {name: array.shape[1:] for name, array in found.inputs.items()} == SPEC.inputs
    np.testing.assert_allclose(found.felt[:, [0, 4]], [[1, 0], [0.5, 0.5], [0, 1]], atol=1e-6)
    assert found.inputs["face_seen"].all()
    assert found.inputs["face"].reshape(48, -1).any(axis=1).all()
    with pytest.raises(ValueError, match="ends of 4 s or later"):
        cut(session, np.array([3.0]), 4.0, SPEC)


def test_shares_and_actions_by_hand() -> None:
    episodes = (Episode(0, 0.0, 3.0, 1.0), Episode(None, 3.0, 10.0, 1.0))
    np.testing.assert_allclose(felt(episodes, np.array([1.0]), np.array([5.0]))[0], [0.5, 0, 0, 0, 0, 0.5])
    events = [(9, 0.0, 1.4), (10, 4.8, 9.0), (11, 4.4, 9.0), (12, 0.5, 1.5)]
    done = shown(events, np.array([1.0]), np.array([5.0]))[0]
    assert np.flatnonzero(done).tolist() == [11, 12]  # 0.4 s of 1.4, 0.2 s, 0.6 s, half of a second


def test_faces_at_rest_have_mouths_at_as_many_heights_as_peoples() -> None:
    """Nose and upper lip differ by 3 to 5 mm; the mouth goes up or down as a whole, and is not distorted by it."""
    at = {point: FACE_MESH_INDICES.index(point) for point in (0, 13, 14, 17, 61, 291)}
    shapes = np.stack([draw_shape(np.random.default_rng(seed)) for seed in range(400)])  # cm
    heights = shapes[:, list(at.values()), 1]
    assert 0.3 <= heights.mean(axis=1).std() <= 0.5
    inner = shapes[:, at[13], 1] - shapes[:, at[14], 1]
    assert inner.std() < 0.1
