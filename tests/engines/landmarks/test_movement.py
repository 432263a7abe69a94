"""How far body parts move: on people that move, keep still, or are not there."""

from __future__ import annotations

import numpy as np
import pytest

from engines.landmarks.movement import PARTS, moved, movement
from engines.landmarks.steps import CHANNELS, POINTS, STEP_S, VALID, at_steps, pack
from engines.taxonomy import BODY_PARTS
from simulation.session import Settings, simulate

T = 48
WRISTS, FACE = [15, 16], slice(75, POINTS)


def person(jitter: float = 0.0) -> np.ndarray:
    """One window of a person who sits still, shoulders 0.5 apart, tracked with noise of `jitter` shoulder widths."""
    rng = np.random.default_rng(3)
    places = rng.uniform(-1.0, 1.0, (POINTS, 2))
    places[11], places[12] = (0.25, 0.0), (-0.25, 0.0)
    window = np.zeros((1, T, POINTS, CHANNELS), np.float32)
    window[..., :2] = places + rng.normal(0.0, 0.5 * jitter, (1, T, POINTS, 2))
    window[..., VALID] = 1.0
    return window


def test_the_parts_are_those_of_the_taxonomy() -> None:
    assert tuple(PARTS) == tuple(BODY_PARTS)


@pytest.mark.parametrize("jitter", [0.0, 0.008])
def test_a_still_person_does_not_move(jitter: float) -> None:
    assert not moved(person(jitter)).any()


def test_a_sine_of_a_hand_is_its_standard_deviation_in_shoulder_widths() -> None:
    window = person()
    window[0, :, [13, *WRISTS], 0] += 0.1 * np.sin(np.arange(T) * STEP_S * 2.0 * np.pi / 1.5)
    found = dict(zip(BODY_PARTS, movement(window)[0].tolist(), strict=True))
    # 0.1 / sqrt(2) in a unit of which a shoulder width has 0.5; the mean of three steps takes 2 % of a sine of 1.5 s.
    assert found["upper limb"] == pytest.approx(0.1 / np.sqrt(2.0) / 0.5, rel=0.04)
    assert found["head"] == found["lower limb"] == 0.0


def test_size_and_place_in_the_picture_do_not_matter() -> None:
    window = person(0.005)
    other = window.copy()
    other[..., :2] = 3.0 * window[..., :2] + 7.0
    assert np.allclose(movement(window), movement(other), rtol=1e-3)


def test_one_point_that_jumps_is_no_movement() -> None:
    window = person()
    window[0, 20:, 40, :2] += 1.0
    assert not moved(window).any()


def test_nobody_and_a_moment_of_a_person_move_nothing() -> None:
    window = person()
    window[0, :, WRISTS, 0] += np.linspace(0.0, 1.0, T, dtype=np.float32)
    window[0, :-4] = 0.0  # the first pictures of a session
    assert not moved(np.zeros_like(window)).any()
    assert not moved(window).any()


def test_simulated_actions_move_their_part_and_people_who_sit_still_do_not_touch() -> None:
    hands = [BODY_PARTS.index(part) for part in ("body-hand", "head-hand", "leg-hand")]
    missed = total = quiet = windows = 0
    for seed in range(4):
        busy, idle = (simulate(7000 + seed, 30.0, settings=Settings(mode, "test")) for mode in ("balanced", "idle"))
        for session in (busy, idle):
            times_s = (session.times_ns - session.times_ns[0]) * 1e-9
            moments = np.arange(T - 1, int(times_s[-1] / STEP_S)) * STEP_S
            steps = at_steps(
                times_s, pack(session.pose, session.hands, session.face), np.arange(0, moments[-1], STEP_S)
            )
            found = moved(np.stack([steps[at : at + T] for at in range(0, len(steps) - T, 4)]))
            starts_s = np.arange(0, len(steps) - T, 4) * STEP_S
            if session is idle:
                quiet += int(found[:, hands].any(axis=1).sum())
                windows += len(found)
                continue
            for one in session.truth:
                inside = (starts_s <= one.onset_s) & (starts_s + T * STEP_S > one.onset_s + 0.5)
                if inside.any():
                    total += 1
                    missed += not found[inside, one.action.part_index].any()
    assert total > 20
    assert missed <= 0.05 * total
    assert quiet <= 0.2 * windows
