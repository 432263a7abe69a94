"""Actions of the head (5-10)."""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array, minimum_jerk
from simulation.motions.base import Motion, motion
from simulation.motions.legs import swing_knees

LOOSE_SHARE = 0.5  # of moving heads, that move the rest of the body a little
FAR = 0.3  # rad: a head that rests turned aside further turns to the front, not to behind
BRIEF_SHARE = 0.3  # of turned heads, that look aside briefly
ASIDE_SHARE = 0.4  # of shaken heads, whose middle is not straight ahead


def _carry(m: Motion, angle: Array) -> None:
    """A head that moves by `angle` (rad) does not always move alone: trunk, shoulders and knees may give a little."""
    if m.rng.random() >= LOOSE_SHARE:
        return
    m.add("twist", m.between(-0.05, 0.15) * angle)
    m.add("side", m.between(-0.06, 0.06) * angle)
    swing_knees(m, m.between(-0.4, 0.4) * angle)


@motion(5, "head", shortest_s=0.6)
def bowing_head(m: Motion) -> None:
    """The chin sinks towards the chest and stays down; a later head-up may bring it back."""
    depth = m.size(0.28, 0.62)
    down = m.ease(0.4, 0.9)
    yaw, roll = m.between(-0.12, 0.12), m.between(-0.1, 0.1)
    if m.stay:
        curve = m.arrive(min(down, m.length))
        m.shift("head_pitch", curve, depth)
        m.shift("head_forward", curve, 0.015)
        m.state.bowed += depth
    else:
        curve = m.envelope(down, m.ease(0.4, 0.8), 0.04)
        m.add("head_pitch", depth * curve)
        m.add("head_forward", 0.015 * curve)
        m.add("head_yaw", yaw * curve)
        m.add("head_roll", roll * curve)
    m.add("slouch", m.between(0.0, 0.25) * (m.envelope(down, 0.4)))
    m.add("blink", m.between(0.0, 0.35) * m.envelope(down, 0.3))
    _carry(m, depth * m.envelope(down, 0.4))


@motion(6, "head", shortest_s=0.6)
def head_up(m: Motion) -> None:
    """The head rises: back from a bow, or the chin goes up to look above."""
    if m.state.bowed > 0.05:
        curve = m.arrive(min(m.length, m.ease(0.4, 0.9)))
        m.shift("head_pitch", curve, -m.state.bowed)
        m.shift("head_forward", curve, -0.015)
        m.state.bowed = 0.0
        m.add("head_pitch", -m.size(0.04, 0.16) * m.envelope(0.5 * m.length, 0.5 * m.length))
        return
    curve = m.envelope(m.ease(0.35, 0.8), m.ease(0.4, 0.8), 0.04)
    m.add("head_pitch", -m.size(0.24, 0.5) * curve)
    m.add("head_yaw", m.between(-0.15, 0.15) * curve)
    m.add("head_roll", m.between(-0.08, 0.08) * curve)
    m.add("brow", m.between(0.0, 0.7) * curve)
    _carry(m, 0.3 * curve)


@motion(7, "head", shortest_s=0.7)
def tilting_head(m: Motion) -> None:
    """The ear goes towards the shoulder, held; sometimes to the other side after."""
    curve = m.envelope(m.ease(0.35, 0.8), m.ease(0.4, 0.8), 0.05)
    roll = m.sign * m.size(0.2, 0.45)
    if m.length > 2.2 and m.rng.random() < 0.25:  # over to the other side half-way
        curve = curve * (1.0 - 1.85 * minimum_jerk((m.times / m.length - 0.45) / 0.22))
    m.add("head_roll", roll * curve)
    m.add("head_yaw", roll * m.between(-0.35, 0.35) * curve)
    m.add("head_pitch", m.between(-0.06, 0.12) * curve)
    m.add("side", -roll * m.between(0.0, 0.15) * curve)
    _carry(m, roll * curve)


def _brief_glances(m: Motion) -> Array:
    """(count,) looks of half a second, again and again; 1 while the face is turned."""
    gate, start = np.zeros(m.count), 0.0
    while start < m.length - 0.35:
        there, back = m.ease(0.12, 0.3), m.ease(0.12, 0.3)
        until = min(start + there + m.between(0.1, 0.6), m.length - back)
        gate += minimum_jerk((m.times - start) / there) - minimum_jerk((m.times - until) / back)
        start = until + back + m.between(0.2, 1.0)
    return np.clip(gate, 0.0, 1.0)


@motion(8, "head", shortest_s=0.5)
def turning_head(m: Motion) -> None:
    """The face turns to one side and stays there a moment, once or again and again, or looks to both sides."""
    briefly = m.rng.random() < BRIEF_SHARE
    gate = _brief_glances(m) if briefly else m.envelope(m.ease(0.15, 0.7), m.ease(0.15, 0.7), 0.05)
    sign = m.sign if abs(m.state.aside) < FAR else -float(np.sign(m.state.aside))
    yaw = sign * m.size(0.33, 1.05)
    if m.length > 2.5 and m.rng.random() < 0.3:  # to one side, then slowly to the other
        turn_over = minimum_jerk((m.times / m.length - 0.42) / 0.2)
        gate = gate * (1.0 - m.between(1.4, 2.0) * turn_over)
    m.add("head_yaw", yaw * gate)
    m.add("head_pitch", m.between(-0.2, 0.25) * np.abs(gate))
    slowly = m.envelope(m.ease(0.2, 0.5), m.ease(0.2, 0.5))
    m.add("head_pitch", slowly * (m.between(-0.1, 0.1) + m.between(0.0, 0.08) * m.wander(0.3)[:, 0]))
    m.add("head_roll", 0.12 * m.between(-1.0, 1.0) * gate)
    m.add("twist", yaw * m.between(0.0, 0.15) * gate)
    _carry(m, 0.5 * yaw * gate)


def _swing(m: Motion, hertz: float, fade: float) -> Array:
    """An oscillation that starts and ends at rest and grows fainter by `fade`."""
    gate = m.envelope(min(0.22, 0.3 / hertz), min(0.3, 0.4 / hertz))
    return np.asarray(gate * (1.0 - fade * m.times / m.length))


@motion(9, "head", shortest_s=0.7)
def nodding(m: Motion) -> None:
    """Down and up again, at least once and mostly several times; each nod starts downwards."""
    hertz = max(m.between(1.2, 3.2) * m.subject.tempo**0.5, 1.3 / m.length)
    gate = _swing(m, hertz, m.between(0.0, 0.6))
    depth = m.size(0.13, 0.34) * min(1.0, 2.6 / hertz)
    phase = m.cycle(hertz, 0.1)
    wave = 0.5 * (1.0 - np.cos(phase)) - m.between(0.0, 0.3) * 0.5
    m.add("head_pitch", depth * gate * wave)
    m.add("head_yaw", 0.12 * depth * gate * np.sin(phase + m.between(0.0, 6.0)))
    m.add("head_forward", 0.02 * depth * gate * wave)
    m.add("lean", m.between(0.0, 0.06) * depth * gate * wave)
    _carry(m, 0.5 * depth * gate * wave)


@motion(10, "head", shortest_s=0.8)
def shaking_head(m: Motion) -> None:
    """The face swings left and right about its middle, again and again, smoothly or with a rest at either side.

    More or less evenly; the middle may be turned aside.
    """
    hertz = max(m.between(0.8, 2.8) * m.subject.tempo**0.5, 1.3 / m.length)
    gate = _swing(m, hertz, m.between(0.0, 0.6))
    depth = min(m.size(0.14, 0.5), 0.9 / hertz)
    phase = m.cycle(hertz, m.between(0.05, 0.35))
    if m.rng.random() < ASIDE_SHARE:
        m.add("head_yaw", m.between(-1.0, 1.0) * depth * m.envelope(m.ease(0.22, 0.5), m.ease(0.22, 0.5)))
    rest = m.between(0.1, 3.0)
    wave = np.tanh(rest * np.sin(phase)) / np.tanh(rest)
    m.add("head_yaw", m.sign * depth * gate * wave)
    m.add("head_roll", m.between(-0.3, 0.3) * depth * gate * wave)
    m.add("head_pitch", m.between(-0.15, 0.2) * gate)
    m.add("head_pitch", m.between(0.0, 0.08) * gate * m.wander(0.3)[:, 0])
    if m.rng.random() < 0.3:
        m.add("brow", m.between(-0.6, 0.2) * gate)
    _carry(m, depth * gate * wave)
