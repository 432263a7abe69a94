"""Actions of hands and fingers (12-16, 21, 22)."""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array
from simulation.hand import FIST, FLAT, PINCH, POINTING, RELAXED, SPREAD_OPEN
from simulation.motions.base import INDEX, KNUCKLES, PALM, PINCH_TIPS, TIPS, WRIST, Motion, motion
from simulation.motions.touch import bursts

Vector = tuple[float, float, float]
Contact = tuple[int, ...]


@motion(12, "hands", shortest_s=1.4)
def playing_objects(m: Motion) -> None:
    """A pen, a phone, a cup: hands in a grip above the lap turn a thing over and over, the eyes on it now and then."""
    attack, release = m.ease(0.4, 0.8), m.ease(0.4, 0.8)
    gate, inside = m.envelope(attack, release), m.envelope(1.2 * attack, 1.2 * release)
    both = len(m.hands) == 2
    apart = m.between(0.035, 0.075) if both else 0.04
    height, ahead = m.between(0.06, 0.17), m.between(0.02, 0.14)
    turning = np.sin(m.cycle(m.between(0.7, 1.6), 0.3)) * bursts(m, (0.8, 2.5), (0.3, 1.0))
    common = 0.015 * m.wander(0.5, 3)
    for which, hand in enumerate(m.hands):
        flip = 1.0 if which == 0 else -1.0
        path = inside[:, None] * (common * np.array([1.0 - 2.0 * hand, 1.0, 1.0]) + 0.007 * m.wander(0.3, 3))
        path[:, 1] += inside * flip * 0.022 * turning
        path[:, 2] += inside * flip * 0.014 * np.roll(turning, 5)
        layer = m.reach(
            hand,
            gate,
            "lap",
            (apart, height, ahead),
            (-0.6, 0.25, 0.75),
            (-0.8, 0.1, -0.3),
            PINCH_TIPS,
            PINCH,
            motion=path,
            loose=0.008,
        )
        layer.palm = layer.palm + (inside * flip * 0.9 * turning)[:, None] * np.array([0.0, 1.0, 0.4])
        layer.fingers = layer.fingers + (inside * 0.25 * turning)[:, None] * np.array([0.0, flip, 0.0])
        grip = inside[:, None] * 0.13 * m.wander(0.22, 6) * np.array([1.0, 1.2, 1.0, 0.6, 0.5, 0.2])
        m.fingers(hand, grip)
    m.add("head_pitch", m.between(0.05, 0.3) * gate)


def clasp(m: Motion, gate: Array, style: int, motion_: tuple[Array, Array] | None = None) -> None:
    """Bring both hands together: 0 palm to palm, 1 interlaced, 2 one over the other, 3 fingertips (steeple).

    Long: where each style puts the hands.
    """
    anchor = "lap" if style == 2 or m.rng.random() < 0.55 else "front"
    height = m.between(0.01, 0.1) if anchor == "lap" else m.between(-0.12, 0.06)
    ahead = m.between(-0.02, 0.08) if anchor == "lap" else m.between(-0.08, 0.0)
    for hand in (0, 1):
        path = motion_[hand] if motion_ else None
        top = (hand == 0) == m.subject.right_handed
        place, fingers, palm, contact, shape = _clasped(style, height, ahead, top)
        turn = (0.08, 0.08, 0.1, 0.06)[style]
        loose = 0.003 if style == 3 else 0.004
        m.reach(hand, gate, anchor, place, fingers, palm, contact, shape, motion=path, loose=loose, turn=turn)


def _clasped(style: int, height: float, ahead: float, top: bool) -> tuple[Vector, Vector, Vector, Contact, Array]:
    """Where a hand is, where fingers and palm point, what touches, and its shape."""
    if style == 0:
        return (0.013, height, ahead), (-0.12, 0.45, 0.8), (-1.0, 0.0, 0.0), PALM, FLAT
    if style == 1:
        shape = np.array([0.4, 0.62, 0.62, 0.62, 0.62, 0.2])
        return (0.012, height, ahead), (-0.62, 0.15, 0.75), (-0.75, -0.2, -0.55), KNUCKLES, shape
    if style == 2:
        lift = 0.045 if top else 0.0
        palm = (-0.1, -1.0 if top else 0.8, -0.2)
        return (0.01, height + lift, ahead), (-0.8, 0.0, 0.55), palm, PALM, RELAXED
    shape = SPREAD_OPEN * 0.5 + FLAT * 0.6
    return (0.004, height + 0.08, ahead), (-0.45, 0.75, 0.5), (-0.9, -0.2, 0.0), TIPS, shape


@motion(13, "both hands", shortest_s=0.9)
def putting_hands_together(m: Motion) -> None:
    """The hands meet, and rest in each other."""
    clasp(m, m.envelope(m.ease(0.4, 0.8), m.ease(0.4, 0.8)), m.pick(0.3, 0.35, 0.15, 0.2))


@motion(14, "both hands", shortest_s=1.3)
def rubbing_hands(m: Motion) -> None:
    """Palm against palm, sliding to and fro; or one hand kneading the other."""
    attack, release = m.ease(0.35, 0.6), m.ease(0.35, 0.6)
    gate, inside = m.envelope(attack, release), m.envelope(1.15 * attack, 1.15 * release)
    phase = m.cycle(m.between(1.5, 3.6), 0.12)
    stroke = inside * m.size(0.022, 0.045)
    style = m.pick(0.7, 0.3)
    if style == 0:
        direction = np.array([0.0, 0.45, 0.85])
        paths = tuple((flip * stroke * np.sin(phase))[:, None] * direction for flip in (1.0, -1.0))
        clasp(m, gate, 0, (paths[0], paths[1]))
    else:
        circle = np.stack((0.9 * np.sin(phase), 0.2 * np.cos(phase), 0.8 * np.cos(phase)), axis=-1)
        moving = 0 if m.subject.right_handed else 1
        still = np.zeros((m.count, 3))
        path = stroke[:, None] * circle
        clasp(m, gate, 2, (path, still) if moving == 0 else (still, path))


@motion(15, "hand", shortest_s=0.9)
def pointing_oneself(m: Motion) -> None:
    """A finger or the flat fingertips aim at one's own chest, often tapping it."""
    attack, release = m.ease(0.4, 0.65), m.ease(0.4, 0.7)
    gate, inside = m.envelope(attack, release), m.envelope(1.1 * attack, 1.2 * release)
    style = m.pick(0.65, 0.35)
    tap = 0.5 * (1 - np.cos(m.cycle(m.between(1.0, 2.4), 0.15))) * m.between(0.015, 0.06) * (m.rng.random() < 0.7)
    path = (inside * (0.012 + tap))[:, None] * np.array([0.15, 0.0, 1.0])
    shape = POINTING if style == 0 else FLAT
    m.reach(
        m.hand,
        gate,
        "chest",
        (m.between(-0.02, 0.05), m.between(-0.04, 0.05), 0.02),
        (-0.75, 0.12, -0.65),
        (-0.25, -0.45, -0.85),
        INDEX if style == 0 else TIPS,
        shape,
        motion=path,
        arc=(0.03, 0.0, 0.14),
        swivel=0.75,
    )


@motion(16, "hands", shortest_s=0.8)
def clenching_fist(m: Motion) -> None:
    """The fingers close to a tight fist, held or pumped, where the hand rests or a little raised."""
    attack, release = m.ease(0.25, 0.45), m.ease(0.25, 0.5)
    gate = m.envelope(attack, release)
    pump = m.length > 2.0 and m.rng.random() < 0.45
    hold = gate * (1.0 - 0.35 * (1 - np.cos(m.cycle(m.between(0.7, 1.5), 0.1)))) if pump else gate
    close = (FIST - RELAXED) * 1.1
    raised = m.state.hands_rest_together or m.rng.random() < 0.4
    for hand in m.hands:
        if raised:
            m.reach(
                hand,
                m.envelope(1.5 * attack, 1.5 * release),
                "space",
                (m.between(-0.05, 0.05), m.between(-0.38, -0.2), 0.26),
                (-0.2, 0.5, 0.8),
                (-0.8, -0.3, -0.2),
                WRIST,
                RELAXED,
            )
        m.fingers(hand, hold[:, None] * close)
        tremor = 0.003 * hold[:, None] * m.wander(0.08, 3)
        m.move_hand(hand, tremor + hold[:, None] * np.array([0.0, 0.012, 0.0]))


@motion(21, "both hands", shortest_s=2.0)
def hands_touching_fingers(m: Motion) -> None:
    """One hand plays with the fingers of the other: strokes, pulls and kneads them, in the lap."""
    attack, release = m.ease(0.4, 0.8), m.ease(0.4, 0.8)
    gate, inside = m.envelope(attack, release), m.envelope(1.15 * attack, 1.15 * release)
    active = 1 if m.subject.right_handed == (m.rng.random() < 0.75) else 0
    height, ahead, shift = m.between(0.0, 0.09), m.between(0.0, 0.09), m.between(-0.03, 0.03)
    held_palm = (-0.3, m.between(-1.0, 0.4), -0.5)
    m.reach(
        1 - active,
        gate,
        "lap",
        (0.012 + shift, height, ahead),
        (-0.8, 0.0, 0.6),
        held_palm,
        KNUCKLES,
        RELAXED,
        motion=inside[:, None] * 0.005 * m.wander(0.6, 3),
        loose=0.005,
    )
    slide = np.sin(m.cycle(m.between(1.0, 2.4), 0.2)) * bursts(m, (1.0, 3.0), (0.2, 0.8))
    path = inside[:, None] * (
        np.stack((0.016 * slide, 0.006 * np.abs(slide), -0.012 * slide), axis=-1) + 0.006 * m.wander(0.5, 3)
    )
    m.reach(
        active,
        gate,
        "lap",
        (0.006 - shift, height + 0.02, ahead + 0.01),
        (-0.7, -0.1, 0.65),
        (-0.45, -0.6, -0.3),
        PINCH_TIPS,
        PINCH,
        motion=path,
        loose=0.005,
    )
    m.fingers(
        active, inside[:, None] * (0.14 * slide[:, None] + 0.1 * m.wander(0.25, 6)) * np.array([0.8, 1, 1, 0.8, 0.6, 0])
    )
    m.fingers(1 - active, inside[:, None] * 0.07 * m.wander(0.35, 6) * np.array([0.5, 1, 1, 1, 1, 0.3]))
    m.add("head_pitch", m.between(0.0, 0.14) * gate)


@motion(22, "hands", shortest_s=1.4)
def other_finger_movements(m: Motion) -> None:
    """Fingers drum, rub the thumb or stretch, while the hand stays where it is."""
    inside = m.envelope(0.3, 0.3)
    style = m.pick(0.4, 0.35, 0.25)
    for hand in m.hands:
        phase = m.cycle(
            m.between(1.6, 3.2) if style == 0 else m.between(1.0, 2.2) if style == 1 else m.between(0.5, 1.0), 0.15
        )
        curve = np.zeros((m.count, 6))
        if style == 0:  # drumming, finger after finger
            beats = bursts(m)
            for finger in range(1, 5):
                curve[:, finger] = (0.14 - 0.28 * np.sin(phase - 0.8 * (4 - finger))) * beats
        elif style == 1:  # the thumb rubs along the fingers
            curve[:] = np.array([0.2, 0.25, 0.25, 0.2, 0.15, 0.0])
            curve[:, 0] += 0.3 * np.sin(phase)
            curve[:, 1:4] += 0.15 * np.cos(phase)[:, None]
        else:  # fingers stretch and curl
            curve[:] = (0.38 * np.sin(phase))[:, None] * np.array([0.5, 1, 1, 1, 1, -0.9])
        m.fingers(hand, inside[:, None] * m.between(0.8, 1.3) * curve)
        m.move_hand(hand, (inside * m.between(0.0, 0.02))[:, None] * np.array([0.0, 1.0, 0.0]))
