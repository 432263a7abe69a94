"""Windows of packed landmark sequences, many at once: from int16 pictures to what a landmark network takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.landmarks.points import POSE_POINTS
from engines.landmarks.steps import CHANNELS, POINTS, STEP_S, VALID, VISIBILITY, neighbours
from engines.landmarks.tracks import MISSING, SCALE

_POSE_VALUES = 4 * POSE_POINTS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Cut(NamedTuple):
    """One window: for each of its T steps two pictures and where between them it lies."""

    before: IntArray  # (T,) numbers of pictures
    after: IntArray
    share: npt.NDArray[np.float32]  # of the later one
    there: npt.NDArray[np.float32]  # 0 where no picture stands for the step
    times_s: FloatArray  # of the steps, on the clock of `cut`'s times


def cut(times_s: FloatArray, pictures: IntArray, steps: int) -> Cut:
    """The window that ends with the last of these pictures.

    Args:
        times_s: (F,) ascending.
        pictures: (F,) their numbers among all frames.
        steps: T.
    """
    moments = times_s[-1] - STEP_S * np.arange(steps - 1, -1, -1)
    before, after, share, there = neighbours(times_s, moments)
    return Cut(pictures[before], pictures[after], share, there, moments)


def gather(frames: Tensor, cuts: list[Cut], aspects: list[float]) -> Tensor:
    """Landmarks float32 (N, T, POINTS, CHANNELS) as of `engines.landmarks.steps.at_steps`.

    Args:
        frames: int16 (F, VALUES), all pictures.
        cuts: N windows of equal length.
        aspects: width / height of their pictures.
    """
    share, there = (torch.from_numpy(np.concatenate([one[at] for one in cuts]))[:, None] for at in (2, 3))
    pictures = [frames[torch.from_numpy(np.concatenate([one[at] for one in cuts]))] for at in (0, 1)]
    found = [_found(one) for one in pictures]
    near = (share > 0.5).float()
    zero = torch.zeros(())
    first = torch.where(found[0], torch.where(found[1], 1.0 - share, 1.0 - near), zero) * there
    second = torch.where(found[1], torch.where(found[0], share, near), zero) * there
    landmarks = torch.zeros(len(share), POINTS, CHANNELS)
    for picture, weight in zip(pictures, (first, second), strict=True):
        values = picture.float()
        pose, others = values[:, :_POSE_VALUES].view(-1, POSE_POINTS, 4), values[:, _POSE_VALUES:]
        landmarks[:, :POSE_POINTS, :4] += pose * weight[:, :POSE_POINTS, None]
        landmarks[:, POSE_POINTS:, :3] += others.view(-1, POINTS - POSE_POINTS, 3) * weight[:, POSE_POINTS:, None]
    landmarks[..., :4] /= SCALE
    steps = len(cuts[0].share)
    aspect = torch.tensor(aspects, dtype=torch.float32).repeat_interleave(steps)[:, None]
    landmarks[..., 0] *= aspect
    landmarks[..., 2] *= aspect
    valid = ((first + second) > 0.0).float()
    landmarks[..., VALID] = valid
    landmarks[:, POSE_POINTS:, VISIBILITY] = valid[:, POSE_POINTS:]
    return landmarks.view(len(cuts), steps, POINTS, CHANNELS)


def _found(frames: Tensor) -> Tensor:
    """(F, POINTS) which points were found."""
    return torch.cat([frames[:, :_POSE_VALUES:4] != MISSING, frames[:, _POSE_VALUES::3] != MISSING], dim=1)
