"""A hand at the legs and feet (48-51)."""

from __future__ import annotations

import numpy as np

from simulation.hand import FLAT, RELAXED
from simulation.motions.base import PALM, TIPS, Motion, motion
from simulation.motions.body_hand import touch
from simulation.motions.touch import RUB, SCRATCH, scratching_fingers, touch_path

ABOVE_THIGH = 0.082  # metres from the leg's axis to a hand that lies on it


def on_leg(m: Motion) -> float:
    return ABOVE_THIGH * m.subject.girth


@motion(48, "hands", shortest_s=0.55)
def patting_legs(m: Motion) -> None:
    """The flat hand lifts and pats the thigh or knee, once or a few times."""
    hertz = max(m.between(1.6, 3.4), 1.0 / m.length)
    edge = min(0.4, 0.3 * m.length)
    inside = m.envelope(edge, edge)
    phase = m.cycle(hertz, 0.12)
    lift = m.size(0.045, 0.11) * min(1.0, 2.5 / hertz)
    along = m.between(0.16, 0.4)
    lag = m.between(0.0, 0.5) if m.rng.random() < 0.3 else 0.0
    for which, hand in enumerate(m.hands):
        path = (inside * lift * 0.5 * (1 - np.cos(phase + which * lag)))[:, None] * np.array([0.0, 1.0, 0.1])
        m.reach(
            hand,
            m.envelope(edge, edge),
            "thigh",
            (m.between(-0.02, 0.03), on_leg(m), along),
            (-0.25, 0.05, 1.0),
            (0.0, -1.0, 0.0),
            PALM,
            FLAT,
            motion=path,
            arc=(0.0, 0.05, 0.0),
        )


@motion(49, "hands", shortest_s=1.1)
def touching_legs(m: Motion) -> None:
    """A hand strokes slowly along thigh or knee, sometimes of the other leg; one that only lies there rests."""
    attack, release = m.ease(0.4, 0.8), m.ease(0.4, 0.8)
    gate, inside = m.envelope(attack, release), m.envelope(1.1 * attack, 1.1 * release)
    other = len(m.hands) == 1 and m.rng.random() < 0.2
    along = m.between(0.14, 0.3)
    stroke = 0.5 * (1 - np.cos(m.cycle(m.between(0.35, 0.9), 0.2))) * m.size(0.06, 0.14)
    for hand in m.hands:
        path = (inside * stroke)[:, None] * np.array([0.0, 0.0, 1.0]) + inside[:, None] * 0.006 * m.wander(1.0, 3)
        m.reach(
            hand,
            gate,
            "thigh_other" if other else "thigh",
            (m.between(-0.02, 0.04), on_leg(m), along),
            (-0.75 if other else -0.25, 0.0, 1.0),
            (0.0, -1.0, 0.0),
            PALM,
            FLAT * 0.6 + RELAXED * 0.4,
            motion=path,
            arc=(0.0, 0.07, 0.02),
        )


@motion(50, "hand", shortest_s=1.2)
def scratching_legs(m: Motion) -> None:
    """Fingertips scratch thigh, knee or shin, the torso bending down as far as needed."""
    style = m.pick(0.5, 0.25, 0.25)
    attack, release = m.ease(0.45, 0.8), m.ease(0.45, 0.8)
    gate, inside = m.envelope(attack, release), m.envelope(1.1 * attack, 1.1 * release)
    path = touch_path(
        m, SCRATCH if m.rng.random() < 0.85 else RUB, (0.1, 0.0, 1.0), (0.0, 1.0, 0.0), inside, m.between(1.3, 2.2)
    )
    scratching_fingers(m, m.hand, SCRATCH, inside)
    if style < 2:
        along = m.between(0.15, 0.3) if style == 0 else m.between(0.34, 0.4)
        m.reach(
            m.hand,
            gate,
            "thigh",
            (m.between(-0.03, 0.05), on_leg(m) + 0.005, along),
            (-0.4, -0.35, 0.85),
            (0.0, -1.0, -0.3),
            TIPS,
            RELAXED,
            motion=path,
            arc=(0.0, 0.06, 0.02),
        )
        m.add("lean", m.between(0.0, 0.1) * gate)
    else:
        m.reach(
            m.hand,
            gate,
            "shank",
            (m.between(0.0, 0.05), 0.06, m.between(0.08, 0.24)),
            (-0.2, -0.4, 0.9),
            (-0.2, -1.0, 0.0),
            TIPS,
            RELAXED,
            motion=path,
            arc=(0.03, 0.05, 0.06),
        )
        m.add("lean", m.size(0.4, 0.62) * gate)
        m.add("head_pitch", m.between(0.05, 0.25) * gate)
        m.add("side", (1.0 if m.hand == 0 else -1.0) * m.between(0.0, 0.1) * gate)


@motion(51, "hand", "torso", "both legs", shortest_s=1.8)
def scratching_feet(m: Motion) -> None:
    """Down to the ankle or foot, bending far over; or the foot comes up onto the other knee and the hand to it."""
    attack, release = m.ease(0.6, 0.95), m.ease(0.6, 0.95)
    gate = m.envelope(attack, release)
    leg = m.hand
    if m.rng.random() < 0.5:
        m.add("lean", m.size(0.85, 1.05) * gate)
        m.add("slouch", m.between(0.2, 0.5) * gate)
        m.add("side", (1.0 if m.hand == 0 else -1.0) * m.between(0.05, 0.18) * gate)
        m.add(f"foot_z_{'left' if leg == 0 else 'right'}", -m.between(0.02, 0.1) * gate)
        touch(
            m,
            "foot",
            (0.03, 0.03, 0.04),
            (-0.1, -0.8, 0.35),
            (-0.6, -0.5, -0.4),
            (0.2, 0.4, 1.0),
            (0.6, 1.0, 0.0),
            kinds=(0.15, 0.2, 0.65, 0.0),
            size=1.4,
            arc=(0.06, 0.0, 0.06),
        )
    else:
        other = 1 - leg
        m.step(other, gate, "other_knee", (-0.02, 0.11, -0.12), (1.0, 0.15, 0.4), 0.15, -0.9, arc=(0.1, 0.14, 0.1))
        m.add("lean", m.size(0.4, 0.62) * gate)
        m.add("head_pitch", m.between(0.0, 0.2) * gate)
        touch(
            m,
            "foot_other",
            (0.02, 0.05, 0.02),
            (-0.4, -0.6, 0.6),
            (-0.3, -0.9, -0.2),
            (1.0, 0.0, 0.4),
            (0.0, 1.0, 0.3),
            kinds=(0.15, 0.2, 0.65, 0.0),
            size=1.4,
            arc=(0.0, 0.1, 0.06),
        )
    m.add("head_pitch", -m.between(0.0, 0.2) * gate)
