"""How a hand that has arrived somewhere touches: still, rubbing, scratching, tapping."""

from __future__ import annotations

import numpy as np

from simulation.geometry import Array, minimum_jerk, unit
from simulation.motions.base import Motion

STILL, RUB, SCRATCH, TAP = range(4)


def bursts(m: Motion, on_s: tuple[float, float] = (0.6, 1.8), off_s: tuple[float, float] = (0.15, 0.7)) -> Array:
    """(count,) 0..1: strokes come in bursts with short pauses."""
    gate, at = np.zeros(m.count), 0.0
    while at < m.length:
        on = m.between(*on_s)
        gate = np.maximum(gate, minimum_jerk((m.times - at) / 0.12) * minimum_jerk((at + on - m.times) / 0.12))
        at += on + m.between(*off_s)
    return gate


def touch_path(
    m: Motion,
    kind: int,
    along: tuple[float, float, float],
    out: tuple[float, float, float],
    inside: Array,
    size: float = 1.0,
) -> Array:
    """(count, 3) metres in the anchor's axes: strokes `along` the surface, lifting `out` of it.

    inside: (count,) 1 while the hand is in contact.
    """
    surface, normal = unit(np.array(along)), unit(np.array(out))
    if kind == STILL:
        slow = 0.006 * size * m.wander(0.9)[:, 0]
        return np.asarray((inside * slow)[:, None] * surface)
    if kind == RUB:
        rubbing: Array = size * m.size(0.018, 0.035) * np.sin(m.cycle(m.between(0.9, 2.0), 0.15))
        return np.asarray((inside * rubbing)[:, None] * surface)
    if kind == SCRATCH:
        phase = m.cycle(m.between(2.6, 4.8), 0.12)
        active = inside * bursts(m)
        stroke = size * m.size(0.013, 0.026)
        path = (active * stroke * np.sin(phase))[:, None] * surface
        return np.asarray(path + (active * 0.35 * stroke * (1 + np.cos(phase)))[:, None] * normal)
    phase = m.cycle(m.between(1.3, 2.8), 0.12)
    return np.asarray((inside * size * m.size(0.02, 0.05) * 0.5 * (1 - np.cos(phase)))[:, None] * normal)


def scratching_fingers(m: Motion, hand: int, kind: int, inside: Array) -> None:
    """Fingers bend with the strokes, or twitch a little."""
    bend: Array = 0.05 * m.wander(0.5)[:, 0] * inside
    if kind == SCRATCH:
        bend = bend + 0.13 * inside * np.sin(m.cycle(m.between(2.6, 4.8), 0.12))
    m.fingers(hand, bend[:, None] * np.array([0.2, 1.0, 1.0, 0.9, 0.8, 0.0]))
