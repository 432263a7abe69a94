"""Who sits there: bodily proportions and manners, drawn at random, fixed for a session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHILD_SHARE = 0.08  # MA-52 has 7.8 % children (MANet paper, Section III-B)


@dataclass(frozen=True, slots=True)
class Subject:
    """Lengths in metres: shares of the stature (Drillis and Contini 1966), each varied on its own."""

    stature: float
    shoulder_width: float  # between the shoulder joints
    hip_width: float  # between the hip joints
    torso: float  # hips to shoulders, upright
    neck: float  # base of the neck to the pivot of the head
    head: float  # scale of the head; 1: the canonical adult face
    face_width: float  # scale of the face across
    upper_arm: float
    forearm: float
    hand: float  # wrist to the tip of the middle finger
    thigh: float
    shank: float
    foot: float
    ankle: float  # height of the ankle above the sole
    girth: float  # 0.8 lean .. 1.35 stout: how far the belly, chest and thighs stand out
    seat: float  # height of the hip joints above the floor
    right_handed: bool
    tempo: float  # 1: average speed of movement
    vigour: float  # 1: average amplitude of movement
    glasses: bool

    @property
    def scale(self) -> float:
        """Stature relative to 1.7 m: scales distances that belong to the body."""
        return self.stature / 1.7


def draw_subject(rng: np.random.Generator) -> Subject:
    """A person at random."""
    child = rng.random() < CHILD_SHARE
    stature = float(rng.uniform(1.15, 1.5)) if child else float(np.clip(rng.normal(1.68, 0.1), 1.45, 1.98))

    def part(share: float, spread: float = 0.05) -> float:
        return float(share * stature * np.exp(np.clip(rng.normal(0.0, spread), -2.5 * spread, 2.5 * spread)))

    shank, ankle = part(0.246, 0.04), part(0.039, 0.08)
    return Subject(
        stature=stature,
        shoulder_width=part(0.225, 0.075),
        hip_width=part(0.13, 0.12),
        torso=part(0.288, 0.06),
        neck=part(0.078, 0.12),
        head=float(np.clip(rng.normal(0.95 if child else 1.0, 0.05), 0.85, 1.12)),
        face_width=float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.12)),
        upper_arm=part(0.18),
        forearm=part(0.15),
        hand=part(0.106, 0.06),
        thigh=part(0.245),
        shank=shank,
        foot=part(0.145, 0.06),
        ankle=ankle,
        girth=float(np.clip(rng.normal(1.0, 0.13), 0.8, 1.35)),
        seat=float((shank + ankle) * rng.uniform(0.92, 1.14)),
        right_handed=bool(rng.random() < 0.88),
        tempo=float(np.clip(np.exp(rng.normal(0.0, 0.18)), 0.65, 1.5)),
        vigour=float(np.clip(np.exp(rng.normal(0.0, 0.22)), 0.6, 1.6)),
        glasses=bool(rng.random() < 0.4),
    )
