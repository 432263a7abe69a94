"""What makes one recorded or simulated window many: camera, bones, tracker and framing, drawn anew each time.

The spreads for simulated people were chosen so that quantiles of what the features see (projected forearm, hips and
head over shoulder width, depth, hands never found) cover those of tracked real people.
"""

from __future__ import annotations

import msgspec
import torch
from torch import Generator, Tensor

from engines.landmarks.points import HAND_POINTS, POSE_POINTS
from engines.landmarks.steps import VALID, VISIBILITY
from engines.networks.landmark_features import mirrored

HANDS = tuple(slice(POSE_POINTS + side * HAND_POINTS, POSE_POINTS + (side + 1) * HAND_POINTS) for side in (0, 1))
FACE = slice(POSE_POINTS + 2 * HAND_POINTS, None)
SHOULDERS, HIPS, LEGS = (11, 12), (23, 24), slice(25, 33)


class Spread(msgspec.Struct, frozen=True):
    """How far a window may be changed. Lengths in shoulder widths."""

    roll: float = 0.06  # std, rad
    stretch: float = 0.05  # std of the logarithm of width and height
    depth: float = 0.4  # the same of depth
    shoulders: tuple[float, float] = (1.0, 1.0)  # width between the points, relative
    hips: tuple[float, float] = (1.0, 1.0)
    bias: float = 0.01  # std of each body point's constant misplacement
    noise: float = 0.004  # largest std of all points at each step
    hand_lost: float = 0.05  # chance that a hand is never found
    spell: float = 0.5  # chance that it is lost for a moment
    face_lost: float = 0.15
    legs_hidden: float = 0.15
    mirror: float = 0.5


SIMULATED = Spread(shoulders=(0.78, 1.05), hips=(0.75, 1.1), bias=0.02, hand_lost=0.18)
REAL = Spread()


def augment(landmarks: Tensor, spread: Spread, generator: Generator) -> Tensor:
    """Change windows float32 (N, T, POINTS, CHANNELS), each in its own way."""
    count, steps = landmarks.shape[:2]

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    x = _camera(landmarks, spread, normal(4, count))
    width = _shoulder_width(x)[:, None, None, None]
    for (left, right), (least, most) in ((SHOULDERS, spread.shoulders), (HIPS, spread.hips)):
        factor = (least + (most - least) * uniform(count))[:, None, None]
        half = 0.5 * (factor - 1.0) * (x[:, :, left, :2] - x[:, :, right, :2])
        x[:, :, left, :2] += half
        x[:, :, right, :2] -= half
    x[:, :, :POSE_POINTS, :2] += spread.bias * width * normal(count, 1, POSE_POINTS, 2)
    x[..., :2] += spread.noise * uniform(count, 1, 1, 1) * width * normal(*x.shape[:3], 2)
    moments = torch.arange(steps)[None]
    for part in HANDS:
        begin, length = (uniform(count, 1) * steps / spread.spell).long(), (uniform(count, 1) * steps / 4).long()
        gone = ((moments >= begin) & (moments < begin + length)) | (uniform(count, 1) < spread.hand_lost)
        x[:, :, part] *= (~gone).float()[..., None, None]
    x[:, :, FACE] *= (uniform(count, 1, 1, 1) >= spread.face_lost).float()
    x[:, :, LEGS, VISIBILITY] *= torch.where(uniform(count, 1, 1) < spread.legs_hidden, 0.2, 1.0)
    x *= (x[..., VALID:] > 0.0).float()
    return torch.where(uniform(count, 1, 1, 1) < spread.mirror, mirrored(x), x)


def _camera(landmarks: Tensor, spread: Spread, drawn: Tensor) -> Tensor:
    """Rolled, stretched and deepened; a copy. `drawn` (4, N), of standard deviation 1."""
    roll, wide, high, deep = (one[:, None, None] for one in drawn)
    across = landmarks[..., 0] * torch.exp(spread.stretch * wide)
    down = landmarks[..., 1] * torch.exp(spread.stretch * high)
    cosine, sine = torch.cos(spread.roll * roll), torch.sin(spread.roll * roll)
    depth = landmarks[..., 2] * torch.exp(spread.depth * deep)
    places = (across * cosine - down * sine, across * sine + down * cosine, depth)
    return torch.cat([torch.stack(places, dim=-1), landmarks[..., 3:]], dim=-1)


def _shoulder_width(landmarks: Tensor) -> Tensor:
    """(N,) mean over the steps with a person."""
    found = landmarks[:, :, SHOULDERS[0], VALID]
    apart = (landmarks[:, :, SHOULDERS[0], :2] - landmarks[:, :, SHOULDERS[1], :2]).norm(dim=-1)
    width: Tensor = (apart * found).sum(1) / found.sum(1).clamp(min=1.0)
    return width
