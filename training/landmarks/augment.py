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
from engines.taxonomy import ACTIONS, BODY_PARTS

HANDS = tuple(slice(POSE_POINTS + side * HAND_POINTS, POSE_POINTS + (side + 1) * HAND_POINTS) for side in (0, 1))
FACE = slice(POSE_POINTS + 2 * HAND_POINTS, None)
SHOULDERS, HIPS, LEGS, WRISTS = (11, 12), (23, 24), slice(25, 33), (15, 16)
LEGS_HIDDEN, CLOSE_UP = 0.15, 0.15  # shares of simulated windows
CLOSE_UP_ENDS = (-0.4, 0.6)  # where the picture ends: below the shoulders, in lengths from nose to shoulders
GUESS = 0.15  # std of how far points outside the picture are misplaced, shoulder widths; they wander half as far
_PARTS = {name: [action.index for action in ACTIONS if action.body_part == name] for name in BODY_PARTS}
OF_LEGS = _PARTS["lower limb"] + _PARTS["leg-hand"]
OF_ARMS = _PARTS["upper limb"] + _PARTS["body-hand"]


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
    mirror: float = 0.5


SIMULATED = Spread(shoulders=(0.78, 1.05), hips=(0.75, 1.1), bias=0.02, hand_lost=0.15, face_lost=0.06)
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
    x *= (x[..., VALID:] > 0.0).float()
    return torch.where(uniform(count, 1, 1, 1) < spread.mirror, mirrored(x), x)


def framed(landmarks: Tensor, targets: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Hide what some cameras do not show: the legs, or all but head and shoulders.

    Args:
        landmarks: (N, T, POINTS, CHANNELS).
        targets: (N, T, 52) as in `training.landmarks.losses.step_loss`; what can no longer be seen becomes unknown.
        generator: decides which windows, and how much.

    Returns:
        Both, changed copies.
    """
    count, steps = landmarks.shape[:2]
    x, wanted = landmarks.clone(), targets.clone()
    chance = torch.rand(count, generator=generator)
    close = torch.nonzero(chance < CLOSE_UP)[:, 0]
    hidden = torch.nonzero(chance < CLOSE_UP + LEGS_HIDDEN)[:, 0]
    if len(hidden):
        x[hidden, :, LEGS, VISIBILITY] *= 0.2
        wanted[hidden] = _unknown(wanted[hidden], OF_LEGS, torch.ones(len(hidden), steps))
    if len(close):
        x[close], outside = _close_up(x[close], generator)
        wanted[close] = _unknown(wanted[close], OF_ARMS, outside[:, :, WRISTS].amin(-1))
    return x, wanted


def _unknown(targets: Tensor, actions: list[int], where: Tensor) -> Tensor:
    """What runs of these actions cannot be told at the steps (N, T) that are 1."""
    some = torch.zeros(targets.shape[-1])
    some[actions] = 1.0
    return torch.where((targets > 0.0) & (where[..., None] * some > 0.0), -1.0, targets)


def _close_up(landmarks: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Points below the picture's end are guessed, hands there not found; and which body points those are (N, T, 33)."""
    count, steps = landmarks.shape[:2]
    found = landmarks[:, :, 0, VALID]
    nose, shoulders = (
        (landmarks[:, :, at, 1].mean(-1) * found).sum(1) / found.sum(1).clamp(min=1.0) for at in ((0,), SHOULDERS)
    )
    least, most = CLOSE_UP_ENDS
    below = least + (most - least) * torch.rand(count, generator=generator)
    end = (shoulders + below * (shoulders - nose).abs())[:, None, None]
    outside = (landmarks[:, :, :POSE_POINTS, 1] > end).float()
    x, width = landmarks.clone(), _shoulder_width(landmarks)[:, None, None, None]
    normal = torch.randn(2, count, 1, POSE_POINTS, 2, generator=generator)
    turns = torch.arange(steps)[:, None, None] * 0.4 * torch.rand(count, 1, POSE_POINTS, 1, generator=generator)
    guess = GUESS * width * (normal[0] + 0.5 * normal[1] * torch.sin(turns + normal[0]))
    x[:, :, :POSE_POINTS, :2] += guess * outside[..., None] * x[:, :, :POSE_POINTS, VALID:]
    x[:, :, :POSE_POINTS, VISIBILITY] *= 1.0 - 0.9 * outside
    for part in HANDS:
        x[:, :, part] *= (landmarks[:, :, part, 1].mean(-1) <= end[..., 0]).float()[..., None, None]
    return x, outside


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
