"""A hand at the trunk (32-37)."""

from __future__ import annotations

from simulation.geometry import Array
from simulation.hand import FLAT, LOOSE_FIST, RELAXED
from simulation.motions.base import PALM, TIPS, WRIST, Motion, motion
from simulation.motions.touch import RUB, SCRATCH, STILL, TAP, scratching_fingers, touch_path

Vector = tuple[float, float, float]


def touch(
    m: Motion,
    anchor: str,
    place: Vector,
    fingers: Vector,
    palm: Vector,
    along: Vector,
    out: Vector,
    *,
    kinds: tuple[float, float, float, float] = (0.3, 0.25, 0.45, 0.0),
    size: float = 1.0,
    contact: tuple[int, ...] = TIPS,
    arc: Vector = (0.05, 0.0, 0.13),
    swivel: float | None = None,
    shape: Array = RELAXED,
    hand: int | None = None,
    loose: float = 0.012,
) -> None:
    """One hand goes to an anchor, rests, rubs, scratches or taps there (shares in `kinds`) and comes back.

    So many parameters that a call says all of a movement, as `Motion.reach`.
    """
    hand = m.hand if hand is None else hand
    attack, release = m.ease(0.42, 0.75), m.ease(0.42, 0.75)
    gate, inside = m.envelope(attack, release), m.envelope(1.1 * attack, 1.1 * release)
    kind = (STILL, RUB, SCRATCH, TAP)[m.pick(*kinds)]
    path = touch_path(m, kind, along, out, inside, size)
    m.reach(hand, gate, anchor, place, fingers, palm, contact, shape, motion=path, arc=arc, swivel=swivel, loose=loose)
    scratching_fingers(m, hand, kind, inside)


@motion(32, "hand", shortest_s=1.0)
def neck(m: Motion) -> None:
    """Fingers at the side or the front of the neck, or round the nape; the head leans towards them."""
    style = m.pick(0.5, 0.22, 0.28)
    gate = m.envelope(m.ease(0.45, 0.7), m.ease(0.4, 0.7))
    if style == 0:
        touch(m, "neck_side", (0.01, 0.0, 0.0), (-0.25, 0.2, -1.0), (-0.9, 0.0, 0.2), (0.1, 1.0, 0.3), (1.0, 0.0, 0.2))
    elif style == 1:
        touch(
            m,
            "neck_front",
            (0.0, 0.0, 0.012),
            (-0.45, 0.55, -0.75),
            (-0.4, 0.1, -0.9),
            (0.5, 1.0, 0.0),
            (0.0, 0.0, 1.0),
        )
    else:
        touch(
            m,
            "nape",
            (0.01, -0.03, -0.01),
            (-0.55, 0.0, -0.85),
            (-0.8, 0.1, 0.6),
            (1.0, 0.3, 0.0),
            (0.0, 0.0, -1.0),
            swivel=0.9,
            arc=(0.12, 0.06, 0.1),
            shape=FLAT,
        )
    m.add("head_roll", (-1.0 if m.hand == 0 else 1.0) * m.between(-0.08, 0.16) * gate)
    m.add("head_pitch", m.between(-0.05, 0.12) * gate)


@motion(33, "hand", shortest_s=0.9)
def chest(m: Motion) -> None:
    """The flat hand or the fingertips lie on the chest, rub or scratch it."""
    flat = m.rng.random() < 0.55
    place = (m.between(-0.05, 0.05), m.between(-0.02, 0.05), 0.018)
    touch(
        m,
        ("chest", "chest_other")[m.pick(0.6, 0.4)],
        place,
        (-0.95, 0.35, 0.0),
        (-0.05, 0.0, -1.0),
        (0.5, 1.0, 0.0),
        (0.0, 0.0, 1.0),
        contact=PALM if flat else TIPS,
        shape=FLAT if flat else RELAXED,
        size=1.3,
        kinds=(0.3, 0.3, 0.35, 0.05),
    )


@motion(34, "hand", shortest_s=1.1)
def back(m: Motion) -> None:
    """A hand behind the trunk: the small of the back from below, or over the shoulder to the upper back."""
    gate = m.envelope(m.ease(0.5, 0.8), m.ease(0.5, 0.8))
    if m.rng.random() < 0.68:
        touch(
            m,
            "lower_back",
            (m.between(-0.03, 0.05), m.between(-0.08, 0.12), -0.015),
            (-0.9, 0.25, -0.1),
            (-0.05, 0.0, 1.0),
            (1.0, 0.5, 0.0),
            (0.0, 0.0, -1.0),
            arc=(0.2, 0.0, 0.0),
            swivel=1.0,
            size=1.4,
        )
        m.add("lean", m.between(0.02, 0.16) * gate)
        m.add("twist", (1.0 if m.hand == 0 else -1.0) * m.between(-0.05, 0.2) * gate)
    else:
        touch(
            m,
            "shoulder",
            (-0.06, -0.04, -0.085),
            (-0.25, -0.75, -0.7),
            (0.0, -0.35, 1.0),
            (0.2, 1.0, 0.0),
            (0.0, 0.2, -1.0),
            arc=(0.1, 0.12, 0.08),
            swivel=1.0,
            size=1.3,
        )
        m.add("head_pitch", m.between(0.0, 0.2) * gate)


@motion(35, "hand", shortest_s=1.1)
def shoulder(m: Motion) -> None:
    """A hand on the other shoulder, across the chest, or on its own one; rubs, kneads or scratches."""
    if m.rng.random() < 0.72:
        touch(
            m,
            "shoulder_other",
            (0.0, 0.02, 0.01),
            (-0.8, 0.25, -0.6),
            (-0.2, -0.9, -0.35),
            (0.3, 0.2, 1.0),
            (0.0, 1.0, 0.2),
            arc=(0.0, 0.0, 0.14),
            swivel=0.5,
            size=1.4,
            contact=PALM if m.rng.random() < 0.5 else TIPS,
        )
    else:
        touch(
            m,
            "shoulder",
            (-0.01, 0.02, 0.0),
            (-0.3, 0.35, -0.85),
            (-0.1, -1.0, -0.2),
            (0.3, 0.0, 1.0),
            (0.0, 1.0, 0.0),
            arc=(0.1, 0.0, 0.12),
            swivel=0.8,
            size=1.2,
        )
    m.add("head_yaw", m.between(-0.15, 0.15) * m.envelope(0.5, 0.5))


@motion(36, "both hands", shortest_s=1.1)
def arms_akimbo(m: Motion) -> None:
    """Hands on the hips, elbows out."""
    gate = m.envelope(m.ease(0.5, 0.8), m.ease(0.5, 0.8))
    hands = (0, 1) if m.rng.random() < 0.8 else (m.pick(0.5, 0.5),)
    fist = m.rng.random() < 0.3
    for hand in hands:
        m.reach(
            hand,
            gate,
            "waist",
            (0.02, m.between(0.0, 0.06), 0.03),
            (-0.35, -0.45, 0.75),
            (-0.9, -0.2, -0.25),
            PALM if not fist else WRIST,
            LOOSE_FIST if fist else FLAT,
            arc=(0.12, 0.03, 0.02),
            swivel=1.5,
        )
    m.add("slouch", -m.between(0.0, 0.3) * gate)


@motion(37, "both hands", shortest_s=1.3)
def crossing_arms(m: Motion) -> None:
    """The forearms lie across each other over the belly, hands at the other elbow or upper arm."""
    attack, release = m.ease(0.6, 0.95), m.ease(0.55, 0.9)
    gate = m.envelope(attack, release)
    top = m.pick(0.5, 0.5)
    height = m.between(-0.02, 0.08)
    for hand in (0, 1):
        over = 0.055 if hand == top else 0.0
        m.reach(
            hand,
            gate,
            "belly",
            (-0.15, height + 0.8 * over + 0.02, 0.02 + over),
            (-0.9, 0.3 if hand == top else -0.1, -0.25),
            (0.1, -0.3, -1.0) if hand == top else (-0.1, -0.5, -0.9),
            PALM,
            RELAXED,
            arc=(0.0, 0.0, 0.12),
            swivel=0.55,
            loose=0.008,
            turn=0.1,
        )
    m.add("slouch", m.between(-0.1, 0.15) * gate)
    m.add("lean", -m.between(0.0, 0.08) * gate)
