"""Actions of the arms (11, 17-20, 23)."""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array, minimum_jerk
from simulation.hand import FLAT, LOOSE_FIST, RELAXED, SPREAD_OPEN
from simulation.motions.base import PALM, TIPS, TOGETHER, WRIST, Motion, motion
from simulation.motions.touch import RUB, SCRATCH, scratching_fingers, touch_path


def hold_bent_arm(m: Motion, hand: int, gate: Array, inward: float = 0.05) -> None:
    """Bring a forearm across the lap so that the other hand can get at it."""
    m.reach(
        hand,
        gate,
        "lap",
        (inward, m.between(0.02, 0.08), m.between(0.0, 0.08)),
        (-0.75, 0.0, 0.6),
        (0.0, -1.0, -0.2),
        WRIST,
        RELAXED,
    )


@motion(11, "both hands", shortest_s=1.3)
def scratching_arms(m: Motion) -> None:
    """One hand strokes or scratches along the other arm."""
    active = m.hands[0] if (m.rng.random() < 0.7) == m.subject.right_handed else m.hands[1]
    if m.rng.random() < 0.75:
        hold_bent_arm(m, 1 - active, m.envelope(m.ease(0.35, 0.6), m.ease(0.4, 0.7)))
    attack, release = m.ease(0.45, 0.8), m.ease(0.45, 0.8)
    gate, inside = m.envelope(attack, release), m.envelope(1.1 * attack, 1.1 * release)
    kind = SCRATCH if m.rng.random() < 0.65 else RUB
    path = touch_path(m, kind, (0.1, 0.0, 1.0), (0.0, 1.0, 0.0), inside, m.between(1.4, 2.6))
    if m.rng.random() < 0.68:
        at, anchor = (0.0, 0.05, m.between(0.04, 0.2)), "forearm_other"
        fingers, palm = (-1.0, -0.25, 0.0), (-0.1, -1.0, 0.0)
    else:
        at, anchor = (-0.035, 0.05, m.between(0.1, 0.24)), "upper_arm_other"
        fingers, palm = (-1.0, -0.1, -0.3), (-0.4, -1.0, 0.0)
    m.reach(active, gate, anchor, at, fingers, palm, TIPS, RELAXED, motion=path, arc=(0.0, 0.0, 0.12))
    scratching_fingers(m, active, kind, inside)
    m.add("head_pitch", m.between(0.0, 0.15) * gate)


_STRETCHES: tuple[tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((0.0, -0.12, 0.62), (0.0, -0.1, 1.0), (0.0, -1.0, 0.0)),  # forward
    ((0.0, -0.42, 0.42), (0.0, -0.6, 0.8), (-0.3, -0.8, 0.3)),  # forward and down, past the knees
    ((0.5, 0.0, 0.2), (1.0, 0.1, 0.2), (0.0, -0.8, 0.5)),  # sideways
    ((0.1, 0.56, 0.06), (-0.2, 1.0, 0.0), (-0.6, 0.0, 0.8)),  # overhead
    ((0.34, -0.48, 0.0), (0.35, -1.0, 0.0), (-1.0, 0.0, 0.2)),  # down beside the chair
)


@motion(17, "hands", shortest_s=0.9)
def stretching_arms(m: Motion) -> None:
    """One or both arms straighten: forward, sideways, overhead or down."""
    style = m.pick(0.45, 0.15, 0.14, 0.16, 0.1)
    place, fingers, palm = _STRETCHES[style]
    attack = m.ease(0.5, 0.9)
    curve = m.arrive(min(m.length, attack)) if m.stay else m.envelope(attack, m.ease(0.5, 0.9), 0.0)
    shape = LOOSE_FIST if m.rng.random() < 0.3 else FLAT
    shift = m.rng.normal(0.0, 0.05, 3)
    for hand in m.hands:
        layer = m.reach(
            hand,
            curve,
            "space",
            np.array(place) * m.between(0.92, 1.1) + shift,
            fingers,
            palm,
            WRIST,
            shape,
            arc=(0.02, 0.02, 0.06),
            swivel=0.6,
        )
        if m.stay:
            m.state.stretched[hand] = layer
    if style == 0:
        m.add("protract", m.between(0.0, 0.04) * m.envelope(attack, 0.5))
    if style == 3:
        m.add("slouch", -m.between(0.1, 0.4) * m.envelope(attack, 0.6))
        m.add("lean", -m.between(0.0, 0.12) * m.envelope(attack, 0.6))


_RETREATS: tuple[
    tuple[str, tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]], ...
] = (
    ("belly", (0.08, -0.06, 0.04), (-0.85, 0.1, 0.5), (0.0, -0.5, -0.9)),  # to the belly
    ("waist", (0.1, 0.02, 0.03), (0.0, -0.3, 1.0), (-1.0, 0.0, 0.0)),  # elbows back, hands beside the waist
    ("chest_same", (0.06, -0.1, 0.08), (-0.2, 0.9, 0.4), (-0.2, 0.1, -1.0)),  # up to the chest
    ("seat_side", (0.0, 0.05, 0.0), (0.1, -0.8, 0.5), (-1.0, 0.0, 0.0)),  # down beside the thighs
)


@motion(18, "hands", shortest_s=0.55)
def retracting_arms(m: Motion) -> None:
    """The arms are drawn in, quickly: back from a stretch, or from where they rested close to the trunk.

    In the second case they stay there; the schedule lets them sink back later, which is no action.
    """
    left_over = [hand for hand in m.hands if hand in m.state.stretched]
    curve = m.arrive(min(m.length, m.ease(0.5, 0.9)))
    if left_over:
        for hand in left_over:
            m.state.stretched.pop(hand).extend(m.start, 1.0 - curve)
        return
    near_belly = any(m.state.hand_rests[hand] in (*TOGETHER, "belly") for hand in m.hands)
    anchor, place, fingers, palm = _RETREATS[m.pick(0.0 if near_belly else 0.4, 0.25, 0.15, 0.2)]
    for hand in m.hands:
        m.state.stretched[hand] = m.reach(
            hand, curve, anchor, place, fingers, palm, PALM, RELAXED, arc=(0.02, 0.03, 0.02)
        )
    m.add("lean", -m.between(0.0, 0.06) * m.envelope(0.5 * m.length, 0.4 * m.length))


@motion(19, "hand", shortest_s=0.9)
def waving(m: Motion) -> None:
    """A raised hand swings side to side; or a low, dismissive flick of hand and forearm."""
    attack, release = m.ease(0.4, 0.7), m.ease(0.4, 0.7)
    gate, inside = m.envelope(attack, release), m.envelope(1.1 * attack, release)
    phase = m.cycle(m.between(1.2, 2.9), 0.1)
    swing = m.size(0.045, 0.12)
    path = np.zeros((m.count, 3))
    path[:, 0] = inside * swing * np.sin(phase)
    path[:, 1] = -0.2 * inside * swing * np.cos(2 * phase)
    style = m.pick(0.5, 0.3, 0.2)
    if style == 2:  # to and fro
        path = path[:, [1, 2, 0]] + 0.3 * path
    place = ((0.12, m.between(-0.1, 0.15), 0.2), (0.1, m.between(-0.34, -0.18), 0.26), (0.08, -0.25, 0.28))[style]
    fingers = ((0.1, 1.0, 0.1), (0.0, 0.45, 0.8), (0.0, 0.6, 0.7))[style]
    layer = m.reach(
        m.hand,
        gate,
        "space",
        place,
        fingers,
        (-0.15, 0.0 if style == 0 else -0.8, 1.0),
        WRIST,
        FLAT,
        motion=path,
        arc=(0.05, 0.0, 0.08),
    )
    lean = (inside * 0.5 * np.sin(phase + 0.3))[:, None]
    layer.fingers = layer.fingers + lean * (np.array([1.0, 0.0, 0.0]) if style < 2 else np.array([0.0, 0.7, 0.3]))


@motion(20, "hands", shortest_s=0.8)
def spreading_hands(m: Motion) -> None:
    """The hands open and part, palms up or forward, and come back; at times repeated."""
    repeats = 1 if m.length < 2.2 else m.pick(0.6, 0.3, 0.1) + 1
    single = m.length / repeats
    phase = np.minimum(m.times / single, repeats - 1e-6) % 1.0
    attack = min(m.ease(0.3, 0.5), 0.3 * m.length)
    gate = m.envelope(attack, m.ease(0.4, 0.6))
    begin = 0.55 * attack / single  # the hands come up first, then part
    opening = minimum_jerk((phase - begin) / min(0.4, 0.6 / single))
    opening = opening * minimum_jerk((1 - phase) / min(0.35, 0.6 / single))
    width = m.size(0.16, 0.32)
    height = m.between(-0.36, -0.2)
    for hand in m.hands:
        path = opening[:, None] * np.array([width, 0.04, 0.02])
        m.reach(
            hand,
            gate,
            "space",
            (-0.1, height, m.between(0.24, 0.34)),
            (0.35, 0.2, 0.9),
            (0.0, 1.0, 0.25),
            PALM,
            FLAT * 0.5 + SPREAD_OPEN * 0.5,
            motion=path,
            arc=(0.0, 0.0, 0.05),
        )
    if m.rng.random() < 0.3:
        m.add("shrug_left", 0.015 * opening)
        m.add("shrug_right", 0.015 * opening)


@motion(23, "hands", shortest_s=1.0)
def illustrative_gestures(m: Motion) -> None:
    """Hands that accompany speech: they leave the lap and draw, place, count and beat in front of the body."""
    attack, release = m.ease(0.35, 0.6), m.ease(0.4, 0.7)
    gate = m.envelope(attack, release)
    inside = m.envelope(1.2 * attack, 1.1 * release)
    pace = m.between(0.28, 0.5)
    reachable = np.array([0.07, 0.07, 0.05]) * m.between(0.8, 1.5)
    common = m.wander(pace, 3)
    beat = 0.025 * np.maximum(0.0, np.sin(m.cycle(m.between(1.2, 2.4), 0.25)))
    mirrored = m.rng.random() < 0.6
    for hand in m.hands:
        own = m.wander(pace, 3)
        path = inside[:, None] * reachable * (0.8 * common + 0.5 * own if mirrored else own)
        path[:, 1] -= inside * beat
        layer = m.reach(
            hand,
            gate,
            "space",
            (m.between(-0.08, 0.06), m.between(-0.36, -0.18), m.between(0.2, 0.34)),
            (-0.35, 0.25, 0.9),
            (-0.6, m.between(-0.5, 0.7), 0.0),
            PALM,
            RELAXED,
            motion=path,
        )
        spin = inside[:, None] * m.wander(pace, 3)
        layer.palm = layer.palm + 0.8 * spin
        layer.fingers = layer.fingers + 0.35 * inside[:, None] * m.wander(pace, 3)
        m.fingers(hand, (inside * 0.2 * m.wander(0.35)[:, 0])[:, None] * np.array([0.3, 1, 1, 1, 1, -0.5]))
    m.add("mouth_open", 0.25 * inside * np.abs(np.sin(m.cycle(3.2, 0.3))))
    m.add("head_pitch", 0.03 * inside * common[:, 1])
