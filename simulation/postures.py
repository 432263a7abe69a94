"""How a person sits when nothing happens: trunk, gaze, hands and legs at rest."""

from __future__ import annotations

import numpy as np

from simulation.hand import FLAT, LOOSE_FIST, RELAXED
from simulation.motions.base import KNUCKLES, PALM, TOGETHER, Motion, State
from simulation.motions.leg_hand import on_leg
from simulation.motions.legs import SIDES, cross_legs

FAR_FROM = 1.28  # standard deviations: 20 % of people face an interviewer at their side throughout
CROSSED_SHARE = 0.13  # of sessions, legs crossed throughout
HAND_RESTS = ("thighs", "knees", "clasped", "stacked", "between", "armrests", "table", "mixed", "beside")
_REST_SHARES = (0.24, 0.1, 0.17, 0.12, 0.09, 0.09, 0.06, 0.1, 0.03)

Vector = tuple[float, float, float]


def settle(motion: Motion, hand_rest: str | None = None, crossed: bool | None = None) -> State:
    """Write a resting posture into the whole session (`motion` spans it) and return what it is."""
    m, rng = motion, motion.rng
    values = m.controls.channel
    style = m.pick(0.45, 0.3, 0.25)  # upright, back, forward
    values("lean")[:] += (m.between(-0.08, 0.12), m.between(-0.32, -0.1), m.between(0.12, 0.4))[style]
    m.state.slouch = m.between(0.25, 1.15)
    values("slouch")[:] += m.state.slouch
    values("side")[:] += rng.normal(0.0, 0.04)
    values("twist")[:] += rng.normal(0.0, 0.06)
    values("pelvis_yaw")[:] += rng.normal(0.0, 0.16)
    away = float(rng.normal())  # the interviewer is not always beside the camera, and sometimes far from it
    far = min(max(abs(away) - FAR_FROM, 0.0), 1.0)
    m.state.aside = float(np.sign(away)) * (0.3 + 0.6 * far if far > 0.0 else 0.16 * abs(away))
    values("head_yaw")[:] += m.state.aside
    values("head_pitch")[:] += m.between(-0.06, 0.16)
    values("head_roll")[:] += rng.normal(0.0, 0.035)
    values("head_forward")[:] += m.between(-0.005, 0.03)
    uneven = rng.normal(0.0, 0.006)
    values("shrug_left")[:] += uneven
    values("shrug_right")[:] -= uneven
    values("protract")[:] += m.between(-0.01, 0.03)
    _legs(m, bool(rng.random() < CROSSED_SHARE) if crossed is None else crossed)
    rest = hand_rest or HAND_RESTS[int(rng.choice(len(HAND_RESTS), p=_REST_SHARES))]
    _hands(m, rest)
    return m.state


def _legs(m: Motion, crossed: bool) -> None:
    m.state.crossed = crossed
    knee, wide, ahead = m.between(-0.05, 0.85), m.between(-0.02, 0.1), m.between(-0.12, 0.2)
    for leg in (0, 1):
        m.state.knee_out[leg] = knee + m.rng.normal(0.0, 0.08)
        m.state.foot_x[leg] = wide + m.rng.normal(0.0, 0.02) + 0.06 * knee
        m.state.foot_z[leg] = ahead + m.rng.normal(0.0, 0.05)
        m.controls.channel(f"knee_out_{SIDES[leg]}")[:] += m.state.knee_out[leg]
        m.controls.channel(f"foot_x_{SIDES[leg]}")[:] += m.state.foot_x[leg]
        m.controls.channel(f"foot_z_{SIDES[leg]}")[:] += m.state.foot_z[leg]
        m.controls.channel(f"foot_yaw_{SIDES[leg]}")[:] += m.rng.normal(0.12, 0.15)
    if crossed:
        cross_legs(m, m.pick(0.5, 0.5), np.ones(m.count), m.pick(0.7, 0.15, 0.15))


def _hands(m: Motion, rest: str) -> None:
    if rest == "mixed":
        first = m.pick(0.5, 0.5)
        for hand in (first, 1 - first):
            m.state.hand_rests[hand] = ("thighs", "armrests", "belly", "beside")[m.pick(0.5, 0.15, 0.25, 0.1)]
            _one_hand(m, hand, m.state.hand_rests[hand])
        return
    m.state.hand_rests[:] = [rest, rest]
    if rest in TOGETHER:
        _together(m, rest)
        return
    for hand in (0, 1):
        _one_hand(m, hand, rest)


def _one_hand(m: Motion, hand: int, rest: str) -> None:
    """One hand at rest on its own. Long: where each rest puts it."""
    held = np.ones(m.count)
    shape = RELAXED if m.rng.random() < 0.6 else FLAT if m.rng.random() < 0.7 else LOOSE_FIST
    turn = 0.12 if rest in ("table", "belly") else 0.1
    m.reach(hand, held, *_resting_place(m, rest), PALM, shape, turn=turn)


def _resting_place(m: Motion, rest: str) -> tuple[str, Vector, Vector, Vector]:
    """Anchor, offset, and where fingers and palm point."""
    if rest == "thighs":
        along = m.between(0.12, 0.36)
        place = (m.between(-0.03, 0.03), on_leg(m), along)
        return "thigh", place, (m.between(-0.7, 0.15), 0.0, 1.0), (0.0, -1.0, 0.0)
    if rest == "knees":  # the palm on the knee, the fingers over it
        place = (m.between(-0.03, 0.03), on_leg(m), m.subject.thigh - m.between(0.0, 0.06))
        return "thigh", place, (m.between(-0.5, 0.15), -m.between(0.2, 0.9), 0.8), (0.0, -1.0, -0.4)
    if rest == "armrests":
        place = (0.0, 0.0, m.between(-0.05, 0.08))
        return "armrest", place, (m.between(-0.3, 0.1), -0.1, 1.0), (-0.1, -1.0, 0.0)
    if rest == "table":
        place = (m.between(-0.06, 0.05), 0.0, m.between(-0.05, 0.08))
        return "table", place, (-0.5, 0.0, 0.85), (-0.2, -1.0, 0.0)
    if rest == "belly":
        place = (m.between(-0.03, 0.05), m.between(0.0, 0.06), m.between(-0.04, 0.03))
        return "lap", place, (-0.9, 0.05, 0.4), (-0.1, -0.6, -0.8)
    place = (m.between(-0.03, 0.04), 0.0, m.between(-0.05, 0.1))
    return "seat_side", place, (0.05, -0.55, 0.8), (-0.3, -0.9, 0.0)


def _together(m: Motion, rest: str) -> None:
    held = np.ones(m.count)
    top = m.pick(0.5, 0.5)
    shift, height, ahead = m.between(-0.03, 0.03), m.between(-0.01, 0.06), m.between(-0.04, 0.1)
    if rest == "between":  # between the knees, elbows on the thighs
        m.controls.channel("lean")[:] += m.between(0.1, 0.3)
        height, ahead = m.between(0.02, 0.08), m.between(0.18, 0.28)
    for hand in (0, 1):
        aside = (shift if hand == 0 else -shift) + 0.012
        if rest == "stacked":
            lift = 0.04 if hand == top else 0.0
            m.reach(
                hand,
                held,
                "lap",
                (aside, height + lift, ahead),
                (-0.8, -0.05, 0.5),
                (-0.1, -1.0 if hand == top else 0.5, -0.4),
                PALM,
                RELAXED,
                loose=0.004,
                turn=0.08,
            )
        else:
            m.reach(
                hand,
                held,
                "lap",
                (aside, height, ahead),
                (-0.6, 0.05, 0.75),
                (-0.75, -0.3, -0.4),
                KNUCKLES,
                np.array([0.4, 0.6, 0.6, 0.6, 0.6, 0.15]),
                loose=0.004,
                turn=0.08,
            )
