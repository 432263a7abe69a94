"""A hand at the head (38-47)."""

from __future__ import annotations

import numpy as np

from simulation.hand import FLAT, LOOSE_FIST, PINCH, POINTING, RELAXED, TWO_FINGERS
from simulation.motions.base import INDEX, INDEX_MIDDLE, PALM, PINCH_TIPS, TIPS, Motion, motion
from simulation.motions.body_hand import touch


def meet(m: Motion, pitch: tuple[float, float] = (-0.02, 0.12), roll: float = 0.06, yaw: float = 0.05) -> None:
    """The head comes a little towards the hand."""
    gate = m.envelope(m.ease(0.45, 0.7), m.ease(0.45, 0.7))
    side = -1.0 if m.hand == 0 else 1.0
    m.add("head_pitch", m.between(*pitch) * gate)
    m.add("head_roll", side * m.between(-0.3, 1.0) * roll * gate)
    m.add("head_yaw", -side * m.between(-1.0, 1.0) * yaw * gate)


@motion(38, "hand", shortest_s=0.9)
def hair(m: Motion) -> None:
    """Fingers stroke through the hair from the front or the side, tuck it behind the ear, or twirl a strand.

    Long: where each style puts the hand.
    """
    style = m.pick(0.45, 0.35, 0.2)
    attack, release = m.ease(0.42, 0.7), m.ease(0.42, 0.7)
    gate, inside = m.envelope(attack, release), m.envelope(1.1 * attack, 1.1 * release)
    cycle = m.cycle(max(m.between(0.5, 1.1), 0.8 / m.length), 0.15)
    back_stroke = 0.5 * (1 - np.cos(cycle))
    forth = inside[:, None] * back_stroke[:, None]
    if style == 0:  # backwards over the head
        path = forth * np.array([0.2, 0.35, -0.9]) * m.size(0.07, 0.13)
        hold = "hair_front", (0.01, 0.01, 0.0), (-0.35, 0.45, -0.8), (-0.2, -0.9, -0.4), TIPS, RELAXED
        m.reach(m.hand, gate, *hold, motion=path, arc=(0.08, 0.0, 0.14), swivel=0.8)
    elif style == 1:  # along the side, behind the ear
        path = forth * np.array([0.05, -0.35, -0.9]) * m.size(0.05, 0.1)
        hold = "hair_side", (0.012, -0.01, 0.04), (-0.25, 0.75, -0.6), (-1.0, 0.0, -0.1), TIPS, RELAXED
        m.reach(m.hand, gate, *hold, motion=path, arc=(0.1, 0.0, 0.1))
    else:  # twirl
        path = inside[:, None] * np.stack((0.015 * np.sin(3 * cycle), 0.02 * np.cos(3 * cycle), 0 * cycle), axis=-1)
        place = (0.03, -m.between(0.06, 0.14), 0.03)
        pinch = "hair_side", place, (-0.3, 0.8, -0.5), (-0.8, 0.0, -0.4), PINCH_TIPS, PINCH
        m.reach(m.hand, gate, *pinch, motion=path, arc=(0.08, 0.0, 0.08))
    m.fingers(m.hand, (0.08 * inside * np.sin(2 * cycle))[:, None] * np.array([0.3, 1, 1, 1, 1, 0]))
    meet(m, (-0.02, 0.14), 0.14)


@motion(39, "hand", shortest_s=1.1)
def hindbrain(m: Motion) -> None:
    """A hand at the back of the head, elbow high; scratches or strokes downwards, the head bowed."""
    touch(
        m,
        "hindbrain",
        (m.between(-0.03, 0.04), m.between(-0.03, 0.05), -0.008),
        (-0.75, 0.25, -0.6),
        (-0.2, 0.0, 1.0),
        (0.4, 1.0, 0.0),
        (0.0, 0.0, -1.0),
        kinds=(0.25, 0.3, 0.45, 0.0),
        arc=(0.16, 0.06, 0.1),
        swivel=1.3,
        size=1.3,
        shape=RELAXED,
    )
    meet(m, (0.0, 0.3), 0.1, 0.15)


@motion(40, "hand", shortest_s=0.9)
def forehead(m: Motion) -> None:
    """Fingertips on the forehead: rest, wipe across or scratch; the head leans onto them."""
    shape = RELAXED if m.rng.random() < 0.6 else TWO_FINGERS
    touch(
        m,
        "forehead",
        (m.between(-0.02, 0.04), m.between(-0.01, 0.015), 0.008),
        (-0.55, 0.8, -0.25),
        (-0.25, -0.15, -0.95),
        (1.0, 0.1, -0.1),
        (0.0, 0.1, 1.0),
        kinds=(0.35, 0.35, 0.3, 0.0),
        shape=shape,
        size=1.2,
        loose=0.006,
    )
    meet(m, (0.0, 0.3), 0.06)


@motion(41, "hand", shortest_s=0.9)
def face(m: Motion) -> None:
    """Cheek, jaw or chin: propped on the hand, stroked or scratched."""
    style = m.pick(0.4, 0.25, 0.35)
    if style == 0:
        touch(
            m,
            "cheek",
            (0.01, m.between(-0.02, 0.02), 0.006),
            (-0.45, 0.8, -0.35),
            (-0.75, 0.0, -0.55),
            (0.2, 1.0, 0.0),
            (0.8, 0.0, 0.5),
            contact=TIPS if m.rng.random() < 0.6 else (5, 6, 9, 10),
            loose=0.008,
        )
    elif style == 1:
        touch(
            m,
            "jaw",
            (0.012, 0.0, 0.006),
            (-0.3, 0.75, -0.55),
            (-0.9, 0.1, -0.3),
            (0.2, 0.8, -0.5),
            (1.0, 0.0, 0.2),
            loose=0.008,
        )
    else:
        touch(
            m,
            "chin",
            (0.005, m.between(-0.005, 0.01), 0.01),
            (-0.55, 0.75, -0.3),
            (-0.3, 0.2, -0.9),
            (1.0, 0.0, 0.0),
            (0.0, 0.0, 1.0),
            contact=PINCH_TIPS if m.rng.random() < 0.6 else (6, 10),
            shape=PINCH if m.rng.random() < 0.6 else LOOSE_FIST,
            loose=0.006,
        )
    meet(m, (-0.05, 0.14), 0.14, 0.1)


@motion(42, "hand", shortest_s=1.0)
def eyes(m: Motion) -> None:
    """A finger, knuckle or thumb and finger rub a closed eye."""
    attack, release = m.ease(0.42, 0.7), m.ease(0.42, 0.7)
    inside = m.envelope(1.1 * attack, 1.1 * release)
    shape = (POINTING, RELAXED, LOOSE_FIST)[m.pick(0.45, 0.3, 0.25)]
    touch(
        m,
        "eye" if m.rng.random() < 0.8 else "eye_other",
        (0.0, 0.0, 0.008),
        (-0.35, 0.85, -0.35),
        (-0.35, -0.1, -0.9),
        (1.0, 0.15, 0.0),
        (0.0, 0.0, 1.0),
        kinds=(0.1, 0.75, 0.15, 0.0),
        contact=INDEX if shape is not LOOSE_FIST else (6,),
        shape=shape,
        size=0.6,
        loose=0.004,
    )
    m.add("blink", inside * 1.0)
    m.add("squint", inside * 0.5)
    meet(m, (0.0, 0.2))


@motion(43, "hand", shortest_s=0.9)
def nose(m: Motion) -> None:
    """A finger at the nose, or thumb and finger pinching it: touch, wipe or scratch."""
    pinch = m.rng.random() < 0.35
    wipe = m.rng.random() < 0.25
    touch(
        m,
        "nose",
        (0.006, -0.012 if wipe else 0.0, 0.004),
        (-0.5, 0.8, -0.35),
        (-0.3, 0.1, -0.95),
        (1.0, 0.25, 0.0),
        (0.0, 0.0, 1.0),
        kinds=(0.3, 0.35, 0.25, 0.1),
        contact=PINCH_TIPS if pinch else (6,) if wipe else INDEX,
        shape=PINCH if pinch else LOOSE_FIST if wipe else POINTING,
        size=0.6,
        loose=0.004,
    )
    meet(m, (-0.02, 0.12))


@motion(44, "hand", shortest_s=0.9)
def ears(m: Motion) -> None:
    """Fingers pull, rub or scratch the ear on their own side."""
    touch(
        m,
        "ear",
        (0.006, m.between(-0.025, 0.025), 0.005),
        (-0.3, 0.75, -0.6),
        (-0.9, 0.1, -0.15),
        (0.0, 1.0, 0.2),
        (1.0, 0.0, 0.1),
        kinds=(0.25, 0.4, 0.35, 0.0),
        contact=PINCH_TIPS if m.rng.random() < 0.55 else INDEX_MIDDLE,
        shape=PINCH if m.rng.random() < 0.55 else RELAXED,
        size=0.8,
        loose=0.006,
        swivel=0.3,
    )
    meet(m, (-0.02, 0.1), 0.12, 0.12)


@motion(45, "both hands", shortest_s=1.4)
def covering_face(m: Motion) -> None:
    """The palms lie over eyes and cheeks, fingers up; the head sinks into them."""
    attack, release = m.ease(0.5, 0.8), m.ease(0.5, 0.8)
    gate = m.envelope(attack, release)
    hands = (0, 1) if m.rng.random() < 0.85 else (m.pick(0.5, 0.5),)
    rub = (
        0.012
        * np.sin(m.cycle(m.between(0.6, 1.3), 0.2))
        * m.envelope(1.2 * attack, 1.2 * release)
        * (m.rng.random() < 0.4)
    )
    for hand in hands:
        path = rub[:, None] * np.array([0.0, 1.0, 0.0])
        aside = 0.042 if len(hands) == 2 else 0.0
        m.reach(
            hand,
            gate,
            "nose_bridge",
            (aside, -0.035, 0.028),
            (-0.15, 1.0, -0.12),
            (-0.12, -0.1, -1.0),
            PALM,
            FLAT,
            motion=path,
            arc=(0.03, 0.0, 0.12),
            loose=0.005,
            turn=0.07,
        )
    m.add("head_pitch", m.between(0.1, 0.4) * gate)
    m.add("lean", m.between(0.0, 0.15) * gate)
    m.add("blink", gate)


@motion(46, "hand", shortest_s=0.85)
def covering_mouth(m: Motion) -> None:
    """The palm or the fingers lie flat over the mouth."""
    attack, release = m.ease(0.38, 0.6), m.ease(0.38, 0.6)
    gate = m.envelope(attack, release)
    palm = m.rng.random() < 0.6
    m.reach(
        m.hand,
        gate,
        "mouth",
        (0.0, -0.005, 0.022),
        (-0.8, 0.55, -0.1),
        (-0.05, 0.1, -1.0),
        (5, 9, 6, 10) if palm else (7, 11, 15),
        FLAT if palm else LOOSE_FIST * 0.5,
        motion=0.003 * m.wander(0.5, 3),
        arc=(0.03, 0.0, 0.12),
        loose=0.006,
        turn=0.1,
    )
    m.add("head_pitch", m.between(-0.02, 0.16) * gate)
    m.add("smile", m.between(0.0, 0.8) * gate)


@motion(47, "hand", shortest_s=0.8)
def glasses(m: Motion) -> None:
    """A finger pushes the bridge of the glasses up, or thumb and finger lift the frame at its side; short."""
    attack, release = m.ease(0.35, 0.55), m.ease(0.35, 0.55)
    gate = m.envelope(attack, release)
    push = m.envelope(attack + 0.25 * m.length, release) * m.size(0.008, 0.016)
    path = push[:, None] * np.array([0.0, 1.0, -0.25])
    if m.rng.random() < 0.6:
        m.reach(
            m.hand,
            gate,
            "glasses",
            (0.0, -0.012, 0.008),
            (-0.4, 0.9, -0.2),
            (-0.2, -0.1, -1.0),
            INDEX,
            POINTING,
            motion=path,
            loose=0.003,
            turn=0.1,
        )
    else:
        m.reach(
            m.hand,
            gate,
            "glasses_hinge",
            (0.012, -0.012, 0.015),
            (-0.3, 0.8, -0.5),
            (-0.7, 0.0, -0.4),
            PINCH_TIPS,
            PINCH,
            motion=path,
            loose=0.004,
            turn=0.1,
        )
    m.add("head_pitch", m.between(-0.04, 0.08) * gate)
    m.add("squint", m.between(0.0, 0.4) * gate)
    m.add("brow", m.between(0.0, 0.5) * gate)
