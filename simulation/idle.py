"""Life without actions: breath, sway, blinks, speech, glances, small readjustments.

These are the movements that a monitor must not report. Their amplitudes stay below those of the actions they resemble.
"""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array, minimum_jerk
from simulation.motions.base import Motion
from simulation.motions.legs import SIDES, swing_knees

KNEES_SWING_SHARE = 0.3  # of people


def live(m: Motion) -> None:
    """Write a whole session's idle life (`m` spans the session)."""
    restless = m.between(0.5, 1.5)
    _breath(m)
    _sway(m, restless)
    _knees(m)
    speech = _speech(m)
    _blinks(m)
    _glances(m, restless)
    _readjust(m, restless)
    m.add("smile", 0.5 * np.clip(m.wander(3.0)[:, 0] - 0.9, 0.0, 1.0))
    m.add("brow", 0.22 * speech * m.wander(0.5)[:, 0] + 0.08 * m.wander(2.0)[:, 0])
    m.add("squint", 0.1 * np.clip(m.wander(2.0)[:, 0], 0.0, 1.0))


def _breath(m: Motion) -> None:
    wave = np.sin(m.cycle(m.between(0.2, 0.33), 0.15))
    m.add("lean", -0.006 * wave)
    m.add("shrug_left", 0.003 * wave)
    m.add("shrug_right", 0.003 * wave)
    for hand in (0, 1):
        m.move_hand(hand, (0.0015 * wave)[:, None] * np.array([0.0, 1.0, 0.3]))


def _sway(m: Motion, restless: float) -> None:
    for channel, slow, quick in (
        ("lean", 0.022, 0.004),
        ("side", 0.014, 0.004),
        ("twist", 0.02, 0.005),
        ("head_yaw", 0.045, 0.012),
        ("head_pitch", 0.03, 0.009),
        ("head_roll", 0.024, 0.007),
    ):
        m.add(channel, restless * (slow * m.wander(3.5)[:, 0] + quick * m.wander(0.7)[:, 0]))
    m.add("slouch", 0.07 * restless * m.wander(7.0)[:, 0])
    for side in SIDES:
        m.add(f"knee_out_{side}", 0.02 * restless * m.wander(3.0)[:, 0])
        m.add(f"shrug_{side}", 0.002 * restless * m.wander(1.5)[:, 0])
    for hand in (0, 1):
        m.move_hand(hand, 0.0035 * restless * m.wander(2.5, 3) + 0.001 * m.wander(0.5, 3))
        m.fingers(hand, 0.035 * restless * m.wander(1.6, 6) + 0.012 * m.wander(0.35, 6))


def _knees(m: Motion) -> None:
    """Some people swing both knees slowly over to a side and back; hands that rest there go with them."""
    if m.rng.random() < KNEES_SWING_SHARE:
        swing_knees(m, m.between(0.015, 0.06) * m.wander(m.between(0.6, 1.6))[:, 0])


def _speech(m: Motion) -> Array:
    """(count,) 1 while speaking; moves the mouth and lets the head beat."""
    talkative = m.between(-0.6, 0.9)
    gate = np.clip(2.5 * (m.wander(3.0)[:, 0] + talkative), 0.0, 1.0)
    syllables = np.clip(0.5 + 0.5 * np.sin(m.cycle(m.between(3.2, 5.0), 0.3)) + 0.35 * m.wander(0.25)[:, 0], 0.0, 1.2)
    m.add("mouth_open", gate * m.between(0.25, 0.55) * syllables)
    m.add("pout", 0.4 * gate * m.wander(0.3)[:, 0])
    lively = m.between(0.3, 1.0)
    m.add("head_pitch", gate * lively * 0.022 * m.wander(0.32)[:, 0])
    m.add("head_yaw", gate * lively * 0.03 * m.wander(0.45)[:, 0])
    m.add("head_roll", gate * lively * 0.02 * m.wander(0.5)[:, 0])
    m.add("lean", gate * lively * 0.006 * m.wander(0.6)[:, 0])
    for hand in (0, 1):  # hands that almost begin a gesture
        m.move_hand(hand, (gate * lively)[:, None] * 0.004 * m.wander(0.4, 3))
    return np.asarray(gate)


def _blinks(m: Motion) -> None:
    at, pace = m.between(0.0, 3.0), m.between(2.0, 5.5)
    curve = np.zeros(m.count)
    while at < m.length:
        curve = np.maximum(curve, np.exp(-0.5 * ((m.times - at) / 0.055) ** 2))
        at += 0.35 + float(m.rng.exponential(pace))
    m.add("blink", curve)


def _glances(m: Motion, restless: float) -> None:
    """The head follows the eyes a little: far less than turning or bowing it."""
    at = float(m.rng.exponential(4.0))
    while at < m.length:
        hold = m.between(0.4, 2.5)
        rise = m.between(0.25, 0.5)
        curve = minimum_jerk((m.times - at) / rise) * minimum_jerk((at + rise + hold - m.times) / rise)
        m.add("head_yaw", float(np.clip(m.rng.normal(0.0, 0.075), -0.16, 0.16)) * curve)
        m.add("head_pitch", float(np.clip(m.rng.normal(0.0, 0.04), -0.07, 0.07)) * curve)
        m.add("head_roll", float(np.clip(m.rng.normal(0.0, 0.025), -0.06, 0.06)) * curve)
        at += hold + float(m.rng.exponential(5.0 / restless))


def _readjust(m: Motion, restless: float) -> None:
    """Something small shifts and stays: weight, trunk, one hand, a foot."""
    at = float(m.rng.exponential(5.0))
    while at < m.length:
        curve = minimum_jerk((m.times - at) / m.between(0.5, 1.6))
        kind = m.pick(0.22, 0.22, 0.36, 0.2)
        if kind == 0:
            m.add("side", m.rng.normal(0.0, 0.018) * curve)
            m.add("pelvis_x", m.rng.normal(0.0, 0.006) * curve)
        elif kind == 1:
            m.add("lean", m.rng.normal(0.0, 0.02) * curve)
            m.add("twist", m.rng.normal(0.0, 0.02) * curve)
        elif kind == 2:
            hand = m.pick(0.5, 0.5)
            stays = 1.0 if m.rng.random() < 0.3 else 0.0  # or comes back: a hand that lifts and settles
            back = 1.0 - (1.0 - stays) * minimum_jerk((m.times - at - 1.0) / 0.8)
            shift = m.rng.normal(0.0, 1.0, 3) * np.array([0.008, 0.003, 0.01]) + np.array(
                [0.0, abs(m.rng.normal(0.0, 0.007)), 0.0]
            )
            m.move_hand(hand, (curve * back)[:, None] * shift)
        else:
            leg = SIDES[m.pick(0.5, 0.5)]
            bump = curve * (1.0 - curve) * 4.0
            m.add(f"foot_z_{leg}", m.rng.normal(0.0, 0.012) * curve)
            m.add(f"heel_{leg}", abs(m.rng.normal(0.0, 0.06)) * bump)
        at += float(m.rng.exponential(6.0 / restless))


def slump(m: Motion, amount: float) -> None:
    """Sink slowly back into a slouch: no action."""
    m.shift("slouch", m.arrive(), amount)
    m.state.slouch += amount
