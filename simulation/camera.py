"""Cameras that look at the seated person, and what of the person they show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.geometry import Array, rotation
from simulation.subject import Subject

RESOLUTIONS = ((1280, 720), (1920, 1080), (640, 480), (960, 540), (1080, 1296), (720, 1280), (640, 360), (800, 600))
RESOLUTION_SHARES = (0.26, 0.16, 0.16, 0.08, 0.18, 0.06, 0.06, 0.04)
WHOLE_BODY, UPPER_BODY = "whole body", "upper body"


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera. Position in metres in the person's world (see geometry), angles in radians."""

    width: int
    height: int
    focal: float  # pixels
    center_x: float
    center_y: float
    position: tuple[float, float, float]
    yaw: float  # 0: looks straight at the person's front; positive: from the person's left
    pitch: float  # positive: looks down
    roll: float
    framing: str

    def depth(self, points: Array) -> Array:
        """Distance along the line of sight, metres; points (..., 3)."""
        return np.asarray(self._seen(points)[..., 2])

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and depth in metres (...) of points in space (..., 3)."""
        seen = self._seen(points)
        depth = np.maximum(seen[..., 2], 0.05)
        pixels = np.stack(
            (self.center_x + self.focal * seen[..., 0] / depth, self.center_y + self.focal * seen[..., 1] / depth),
            axis=-1,
        )
        return pixels, depth

    def _seen(self, points: Array) -> Array:
        """Camera axes: x right, y down, z away from the camera."""
        axes = rotation(np.array([self.yaw]), np.array([-self.pitch]), np.array([self.roll]))[0]
        local = (points - np.array(self.position)) @ axes
        return np.asarray(local * np.array([1.0, -1.0, -1.0]))


def draw_camera(rng: np.random.Generator, subject: Subject, framing: str | None = None) -> Camera:
    """A camera at random: a webcam close by, or a room camera that shows the whole body."""
    framing = framing or (WHOLE_BODY if rng.random() < 0.6 else UPPER_BODY)
    whole = framing == WHOLE_BODY
    width, height = RESOLUTIONS[int(rng.choice(len(RESOLUTIONS), p=RESOLUTION_SHARES))]
    top = subject.torso + 0.19 * subject.scale + 0.13 * subject.head
    bottom = -subject.seat - 0.02 if whole else float(rng.uniform(-0.22, 0.22)) * subject.scale
    view = float(np.clip(rng.normal(0.0, 0.3), -0.85, 0.85))
    if rng.random() < 0.35:
        view *= 0.2  # straight on, as a webcam on the screen in front
    distance = float(rng.uniform(2.0, 4.2) if whole else rng.uniform(0.6, 1.7)) * max(subject.scale, 0.8)
    fill = float(rng.uniform(0.5, 0.92) if whole else rng.uniform(0.72, 1.12))
    pitch = float(rng.normal(0.13 if whole else 0.04, 0.1))
    middle = np.array([0.0, 0.5 * (top + bottom), 0.18 if whole else 0.05])
    focal = fill * height * distance / (top - bottom)
    # Wide enough for arms and knees: a portrait picture may not cut them off.
    focal = min(focal, float(rng.uniform(0.85, 1.1)) * width * distance / ((1.0 if whole else 0.75) * subject.scale))
    axes = rotation(np.array([view]), np.array([-pitch]), np.array([0.0]))[0]
    position = middle + axes @ np.array([0.0, 0.0, distance])
    shift_x = float(rng.normal(0.0, 0.05)) * width
    shift_y = float(rng.normal(0.0, 0.03)) * height
    return Camera(
        width=width,
        height=height,
        focal=float(focal),
        center_x=0.5 * width + shift_x,
        center_y=0.5 * height + shift_y,
        position=(float(position[0]), float(position[1]), float(position[2])),
        yaw=view,
        pitch=pitch,
        roll=float(rng.normal(0.0, 0.025)),
        framing=framing,
    )
