"""Actions of the whole body (0-4)."""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array, minimum_jerk
from simulation.motions.base import Motion, motion


@motion(0, "torso", shortest_s=1.6)
def shaking_body(m: Motion) -> None:
    """The torso sways: sideways, to and fro, or round about, again and again; or over to a side now and then."""
    style = m.pick(0.3, 0.25, 0.15, 0.3)
    phase = m.cycle(m.between(0.45, 1.5) * m.subject.tempo**0.5, 0.12)
    gate = m.envelope(m.ease(0.4, 0.8), m.ease(0.4, 0.9))
    depth = m.size(0.075, 0.17) * (1.0 + 0.2 * m.wander(1.2)[:, 0])
    if style == 3:
        wave = _from_side_to_side(m)
        m.add("side", gate * depth * wave)
        m.add("lean", gate * depth * m.between(-0.4, 0.4) * wave)
        m.add("pelvis_x", 0.02 * gate * wave)
        m.add("twist", gate * m.between(-0.1, 0.1) * wave)
    elif style == 0:
        m.add("side", gate * depth * np.sin(phase))
        m.add("pelvis_x", 0.02 * gate * np.sin(phase - 0.4))
        m.add("twist", gate * m.between(-0.1, 0.1) * np.sin(phase))
    elif style == 1:
        m.add("lean", 1.2 * gate * depth * np.sin(phase))
        m.add("pelvis_z", 0.015 * gate * np.sin(phase))
        m.add("head_pitch", -0.25 * gate * depth * np.sin(phase))
    else:
        m.add("twist", 1.8 * gate * depth * np.sin(phase))
        m.add("side", 0.5 * gate * depth * np.cos(phase))


def _from_side_to_side(m: Motion) -> Array:
    """(count,) over to one side, then to the other, -1..1, with rests of any length between."""
    curve, at, level, side = np.zeros(m.count), 0.0, 0.0, m.sign
    while at < m.length:
        target = side * m.between(0.5, 1.0)
        curve += (target - level) * minimum_jerk((m.times - at) / m.ease(0.4, 0.8))
        at, level, side = at + m.between(0.5, 2.0), target, -side
    return curve


@motion(1, "torso", shortest_s=0.8)
def sitting_straightly(m: Motion) -> None:
    """Out of the slouch: the torso lengthens and comes upright; it stays so for a while (see interview)."""
    rise = m.arrive(min(m.length, m.ease(0.9, 1.9)))
    target = m.between(-0.25, 0.05)
    change = min(target - m.state.slouch, -0.5)
    m.shift("slouch", rise, change)
    m.state.slouch += change
    bump = m.envelope(0.5 * m.length, 0.5 * m.length)
    m.add("shrug_left", 0.015 * bump)
    m.add("shrug_right", 0.015 * bump)
    m.add("pelvis_y", m.size(0.005, 0.03) * bump)
    if m.rng.random() < 0.6:  # shuffle backwards on the chair
        m.add("lean", m.size(0.03, 0.12) * bump)
        m.add("pelvis_x", 0.012 * m.sign * np.sin(m.cycle(1.2)) * bump)


@motion(2, "torso", shortest_s=0.9)
def shrugging(m: Motion) -> None:
    """Both shoulders go up, held briefly or repeated, often with open hands or a tilted head."""
    repeats = 1 if m.length < 1.6 else m.pick(0.5, 0.4, 0.1) + 1
    single = m.length / repeats
    phase = np.minimum(m.times / single, repeats - 1e-6) % 1.0
    up = minimum_jerk(phase / 0.35) * minimum_jerk((1.0 - phase) / 0.4)
    height = m.size(0.04, 0.085) * m.subject.scale
    even = m.between(0.8, 1.2)
    m.add("shrug_left", height * even * up)
    m.add("shrug_right", height / even * up)
    m.add("protract", m.between(0.0, 0.03) * up)
    m.add("head_pitch", m.between(-0.08, 0.1) * up)
    m.add("head_roll", m.between(-0.14, 0.14) * up)
    m.add("head_forward", m.between(0.0, 0.02) * up)
    if m.rng.random() < 0.5:
        m.add("brow", m.between(0.3, 1.0) * up)
        m.add("pout", m.between(0.0, 0.8) * up)


@motion(3, "torso", "head", shortest_s=1.3)
def turning_around(m: Motion) -> None:
    """The torso twists far to one side and the head looks behind."""
    way = m.sign
    gate = m.envelope(m.ease(0.6, 1.0), m.ease(0.6, 1.0), 0.06)
    m.add("twist", way * m.size(0.5, 0.8) * gate)
    m.add("pelvis_yaw", way * m.between(0.05, 0.25) * gate)
    m.add("head_yaw", way * m.between(0.3, 0.7) * m.envelope(m.ease(0.4, 0.7), m.ease(0.4, 0.8)))
    m.add("side", -way * m.between(-0.05, 0.15) * gate)
    m.add("lean", m.between(-0.05, 0.15) * gate)


@motion(4, "torso", "both legs", shortest_s=1.4)
def rising_up(m: Motion) -> None:
    """The weight comes off the chair: lean forward, up, sometimes to standing, and down again."""
    height = m.pick(0.45, 0.35, 0.2)
    rise = (m.size(0.08, 0.15), m.size(0.16, 0.26), m.size(0.3, 0.38))[height] * m.subject.scale
    attack, release = m.ease(0.6, 1.0), m.ease(0.7, 1.1)
    gate = m.envelope(attack, release)
    ahead = m.envelope(0.75 * attack, 0.8 * release)
    m.add("pelvis_y", rise * gate)
    m.add("pelvis_z", (0.1 + 0.45 * rise) * gate)
    lean = m.size(0.3, 0.55)
    m.add("lean", lean * ahead - 0.6 * lean * gate * min(1.0, rise / 0.3))
    m.add("head_pitch", -0.3 * lean * ahead)
    tuck = minimum_jerk(m.times / 0.4) * minimum_jerk((m.length - m.times) / 0.4)
    for leg in ("left", "right"):
        m.add(f"foot_z_{leg}", -m.between(0.02, 0.08) * tuck)
