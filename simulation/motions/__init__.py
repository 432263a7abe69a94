"""One program for each of the 52 micro-actions, by body part."""

from __future__ import annotations

from simulation.motions import arms, body_hand, hands, head, head_hand, leg_hand, legs, torso
from simulation.motions.base import PROGRAMS, Entry, Motion, State

__all__ = ["PROGRAMS", "Entry", "Motion", "State", "arms", "body_hand", "hands", "head", "head_hand", "leg_hand", "legs",
           "torso"]  # fmt: skip
