"""One program for each of the 52 micro-actions, by body part. Importing the rooms registers their programs."""

from __future__ import annotations

import simulation.motions.arms
import simulation.motions.body_hand
import simulation.motions.hands
import simulation.motions.head
import simulation.motions.head_hand
import simulation.motions.leg_hand
import simulation.motions.legs
import simulation.motions.torso  # noqa: F401
from simulation.motions.base import PROGRAMS, Entry, Motion, State

__all__ = ["PROGRAMS", "Entry", "Motion", "State"]
