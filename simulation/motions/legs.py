"""Actions of legs and feet (24-31)."""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array, minimum_jerk
from simulation.motions.base import Motion, motion

SIDES = ("left", "right")
KNEE_LIMITS, FOOT_Z_LIMITS, FOOT_X_LIMITS = (-0.12, 1.1), (-0.24, 0.34), (-0.05, 0.22)  # share, metres, metres


def swing_knees(m: Motion, towards_left: Array) -> None:
    """Both knees over to one side (share of the direction in which they point): no action, or part of another one."""
    m.add("knee_out_left", towards_left)
    m.add("knee_out_right", -towards_left)


@motion(24, "legs", shortest_s=1.2)
def shaking_legs(m: Motion) -> None:
    """A leg jiggles, 2 to 6 times a second: the heel bounces and the knee with it, or the knees swing in and out."""
    gate = m.envelope(m.ease(0.3, 0.6), m.ease(0.3, 0.6)) * (1.0 + 0.25 * m.wander(1.5)[:, 0])
    style = m.pick(0.62, 0.26, 0.12)
    hertz = m.between(2.6, 5.8) if style == 0 else m.between(2.0, 4.0)
    phase = m.cycle(hertz, 0.06)
    slack = min(1.0, 3.6 / hertz)
    depth = m.size(0.1, 0.22) * slack
    for which, leg in enumerate(m.legs):
        name, beat = SIDES[leg], np.sin(phase + which * m.between(0.0, 3.0))
        if style == 0:
            m.add(f"heel_{name}", gate * (m.between(0.15, 0.3) + depth * beat))
        elif style == 1:
            m.add(f"knee_out_{name}", gate * m.size(0.09, 0.2) * slack * beat)
        else:
            m.add(f"toe_{name}", gate * (0.2 + 1.3 * depth * beat))


def bounce_crossed(m: Motion) -> None:
    """Shaking legs while they rest crossed: the hanging foot bobs."""
    gate = m.envelope(m.ease(0.3, 0.6), m.ease(0.3, 0.6)) * (1.0 + 0.25 * m.wander(1.5)[:, 0])
    beat = np.sin(m.cycle(m.between(1.8, 3.6), 0.08)) * gate
    step = max(m.controls.steps, key=lambda layer: layer.anchor == "other_knee")
    part = slice(m.start - step.start, m.stop - step.start)
    step.ankle[part, 1] += m.size(0.02, 0.045) * beat
    step.ankle[part, 2] += m.size(0.01, 0.03) * beat
    step.pitch[part] += m.size(0.12, 0.28) * beat


@motion(25, "both legs", shortest_s=1.6)
def curling_legs(m: Motion) -> None:
    """Both legs are drawn in under the chair, toes on the floor, often hooked into each other; held."""
    attack, release = m.ease(0.6, 1.0), m.ease(0.6, 1.0)
    hooked = m.rng.random() < 0.6
    front = m.pick(0.5, 0.5)
    back = m.between(0.0, 0.1)
    for leg in (0, 1):
        gate = m.envelope(attack * m.between(0.85, 1.2), release * m.between(0.85, 1.2))
        across = -m.between(0.0, 0.05) if hooked else m.between(0.03, 0.1)
        ahead = back + (0.055 if hooked and leg == front else 0.0)
        m.step(
            leg,
            gate,
            "seat",
            (across, m.between(0.05, 0.1), ahead),
            (m.between(0.0, 0.5), 0.75, 1.0),
            m.between(0.6, 1.0),
            0.15,
            motion=0.006 * m.wander(2.0, 3),
            arc=(0.0, 0.03, 0.0),
        )


def _knees(m: Motion, outwards: float) -> None:
    curve = m.arrive(min(m.length, m.ease(0.8, 1.5)))
    even = m.between(0.6, 1.0)
    for which, leg in enumerate((0, 1)):
        share = even if which == m.pick(0.5, 0.5) else 1.0
        knee = float(np.clip(m.state.knee_out[leg] + outwards * share * m.size(0.4, 0.75), *KNEE_LIMITS))
        foot = float(np.clip(m.state.foot_x[leg] + outwards * share * m.size(0.04, 0.13), *FOOT_X_LIMITS))
        m.shift(f"knee_out_{SIDES[leg]}", curve, knee - m.state.knee_out[leg])
        m.shift(f"foot_x_{SIDES[leg]}", curve, foot - m.state.foot_x[leg])
        m.add(f"foot_y_{SIDES[leg]}", m.between(0.0, 0.025) * m.envelope(0.5 * m.length, 0.5 * m.length))
        m.state.knee_out[leg], m.state.foot_x[leg] = knee, foot


@motion(26, "both legs", shortest_s=0.7)
def spread_legs(m: Motion) -> None:
    """The knees part, the feet with them; they stay apart."""
    _knees(m, 1.0)


@motion(27, "both legs", shortest_s=0.7)
def closing_legs(m: Motion) -> None:
    """The knees come together again."""
    _knees(m, -1.0)


@motion(28, "both legs", shortest_s=1.8)
def crossing_legs(m: Motion) -> None:
    """One leg over the other: knee over knee, ankle on knee, or the ankles crossed on the floor; held, then undone."""
    attack, release = m.ease(0.7, 1.1), m.ease(0.7, 1.1)
    gate = m.envelope(attack, release, 0.02)
    cross_legs(m, m.pick(0.5, 0.5), gate, m.pick(0.58, 0.2, 0.22))
    m.add("side", m.between(-0.06, 0.06) * m.envelope(attack, release))
    m.add("lean", -m.between(0.0, 0.1) * m.envelope(attack, release))


def cross_legs(m: Motion, leg: int, gate: Array, style: int) -> None:
    """Lay `leg` over the other: 0 knee over knee, 1 ankle on knee, 2 ankles on the floor.

    Long: where each style puts the feet.
    """
    idle = 0.004 * m.wander(1.5, 3)
    knee, foot = m.state.knee_out[1 - leg], m.state.foot_x[1 - leg]
    if style < 2:  # the supporting leg comes to the middle
        m.add(f"knee_out_{SIDES[1 - leg]}", (m.between(-0.1, 0.1 if style == 0 else 0.4) - knee) * gate)
        m.add(f"foot_x_{SIDES[1 - leg]}", (m.between(-0.05, 0.02) - foot) * gate)
    if style == 0:
        place = (-m.between(0.06, 0.14), -m.between(0.24, 0.31), m.between(0.06, 0.16))
        angles = m.between(0.3, 0.8), -m.between(0.1, 0.4)
        m.step(leg, gate, "other_knee", place, (0.1, 1.0, 0.45), *angles, motion=idle, arc=(0.0, 0.16, 0.12))
    elif style == 1:
        place = (-m.between(0.0, 0.05), m.between(0.1, 0.13), -m.between(0.02, 0.1))
        angles = m.between(0.0, 0.3), -0.9
        m.step(leg, gate, "other_knee", place, (1.0, 0.15, 0.5), *angles, motion=idle, arc=(0.1, 0.14, 0.1))
    else:
        ahead, pole = m.between(0.36, 0.62), (0.25, 0.8, 1.0)
        place, pitch = (-m.between(0.02, 0.07), 0.03, ahead + 0.07), m.between(-0.2, 0.2)
        m.step(leg, gate, "seat", place, pole, pitch, 0.5, motion=idle, arc=(0.02, 0.04, 0.04))
        place, pitch = (-m.between(0.0, 0.05), 0.0, ahead), m.between(-0.1, 0.2)
        m.step(1 - leg, gate, "seat", place, pole, pitch, 0.5, motion=idle, arc=(0.0, 0.02, 0.0))


def feet_to_move(m: Motion, forward: bool) -> list[int]:
    """The feet that can still go forward (or back); one of them, or both."""
    able = [leg for leg in (0, 1) if (m.state.foot_z[leg] < 0.12 if forward else m.state.foot_z[leg] > -0.06)]
    if not able:
        able = [int(np.argmin(m.state.foot_z) if forward else np.argmax(m.state.foot_z))]
    return able if len(able) == 1 or m.rng.random() < 0.55 else [able[m.pick(0.5, 0.5)]]


def _slide(m: Motion, forward: bool) -> None:
    seconds = min(m.length, m.ease(0.6, 1.2))
    for leg in feet_to_move(m, forward):
        curve = minimum_jerk(m.times / (seconds * m.between(0.85, 1.0)))
        way = m.size(0.14, 0.3) * (1.0 if forward else -1.0)
        place = float(np.clip(m.state.foot_z[leg] + way, *FOOT_Z_LIMITS))
        m.shift(f"foot_z_{SIDES[leg]}", curve, place - m.state.foot_z[leg])
        bump = 4.0 * curve * (1.0 - curve)
        m.add(f"foot_y_{SIDES[leg]}", m.between(0.003, 0.035) * bump)
        m.add(f"{'toe' if forward else 'heel'}_{SIDES[leg]}", m.between(0.1, 0.4) * bump)
        m.state.foot_z[leg] = place


@motion(29, "both legs", shortest_s=0.7)
def stretching_feet(m: Motion) -> None:
    """One foot or both slide forward; they stay there."""
    _slide(m, True)


@motion(30, "both legs", shortest_s=0.6)
def retracting_feet(m: Motion) -> None:
    """One foot or both come back towards the chair; they stay there."""
    _slide(m, False)


@motion(31, "legs", shortest_s=0.9)
def tiptoe(m: Motion) -> None:
    """The heels come off the floor: held, or slowly up and down."""
    gate = m.envelope(m.ease(0.3, 0.6), m.ease(0.3, 0.6), 0.05)
    height = m.size(0.38, 0.75)
    if m.length > 2.2 and m.rng.random() < 0.45:
        gate = gate * (1.0 - m.between(0.3, 0.45) * (1 - np.cos(m.cycle(m.between(0.45, 1.0), 0.1))))
    for leg in m.legs:
        m.add(f"heel_{SIDES[leg]}", height * m.between(0.85, 1.15) * gate)
        m.add(f"foot_z_{SIDES[leg]}", -m.between(0.0, 0.05) * m.envelope(0.4, 0.4))
