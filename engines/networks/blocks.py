"""What MANet puts before the branch of every residual block: squeeze-and-excitation, then a shift in time.

The released network differs from the paper: Eq. 1 has a 3×3 convolution inside the shift step, the official checkpoint
has SE → shift → conv1 of 1×1, all on the residual branch, and leaves the identity path untouched. We follow the
checkpoint, unless a spec has `shift_kernel = 3`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def temporal_shift(frames: Tensor, length: int, fraction: int) -> Tensor:
    """Temporal shift (TSM, Lin et al. 2019; MANet paper, Eq. 1), zeros beyond the ends.

    The first C//fraction channels take frame t+1, the next C//fraction take frame t−1, the others stay.

    Args:
        frames: (N·T, C, H, W), the T frames of a clip following each other.
        length: T.
        fraction: one in this many channels is shifted each way.

    Returns:
        (N·T, C, H, W).
    """
    _, channels, height, width = frames.shape
    fold = channels // fraction
    clips = frames.reshape(-1, length, channels, height, width)  # (N, T, C, H, W)
    # Split, pad and concatenation only: exporters freeze an in-place slice assignment into a constant.
    first, second, rest = torch.split(clips, [fold, fold, channels - 2 * fold], dim=2)
    later = functional.pad(first[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))  # a zero frame after the last
    earlier = functional.pad(second[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))  # a zero frame before the first
    return torch.cat((later, earlier, rest), dim=2).reshape(-1, channels, height, width)


def scaled_shift(frames: Tensor, scales: Tensor, length: int, fraction: int) -> Tensor:
    """`temporal_shift` of `frames` times `scales`, in the order that runtimes are fastest at.

    Frames and scales are shifted each by itself. The frames stay (N·T, C, H, W), because a detour over five dimensions
    costs runtimes a change of layout and back. They are rolled, whatever then comes in beyond the ends of a clip: there
    the shifted scales are zero.

    Args:
        frames: (N·T, C, H, W), the T frames of a clip following each other.
        scales: (N·T, C).
        length: T.
        fraction: as for `temporal_shift`.

    Returns:
        (N·T, C, H, W).
    """
    channels = frames.shape[1]
    fold = channels // fraction
    first, second, rest = torch.split(frames, [fold, fold, channels - 2 * fold], dim=1)
    later = torch.cat((first[1:], first[:1]))
    earlier = torch.cat((second[-1:], second[:-1]))
    return torch.cat((later, earlier, rest), dim=1) * temporal_shift(scales[:, :, None, None], length, fraction)


def past_shift(frames: Tensor, length: int, fraction: int) -> Tensor:
    """TSM's online mode (Lin et al. 2019, section 3.3): `temporal_shift` without the channels that take frame t+1."""
    fold = frames.shape[1] // fraction
    first, second, rest = torch.split(frames, [fold, fold, frames.shape[1] - 2 * fold], dim=1)
    clips = second.reshape(-1, length, *second.shape[1:])
    earlier = functional.pad(clips[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0)).reshape(second.shape)
    return torch.cat((first, earlier, rest), dim=1)


class Shift(nn.Module):
    """`temporal_shift` of T frames that follow each other, or `past_shift`."""

    def __init__(self, length: int, fraction: int, past: bool = False) -> None:
        super().__init__()
        self.length, self.fraction, self.past = length, fraction, past

    def forward(self, frames: Tensor) -> Tensor:
        """(N·T, C, H, W) → (N·T, C, H, W)."""
        shift = past_shift if self.past else temporal_shift
        return shift(frames, self.length, self.fraction)

    def step(self, frames: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """`past_shift` of one frame of N clips.

        Args:
            frames: (N, C, H, W).
            before: (N, C//fraction, H, W), what the last call gave as the second; zeros at first.

        Returns:
            The shifted frames (N, C, H, W), and what the next frame takes over.
        """
        fold = before.shape[1]
        first, second, rest = torch.split(frames, [fold, fold, frames.shape[1] - 2 * fold], dim=1)
        return torch.cat((first, before, rest), dim=1), second


class SqueezeExciteShift(Shift):
    """Squeeze-and-excitation per frame (Hu et al. 2018), as in the official checkpoint without biases; then a shift."""

    def __init__(self, channels: int, ratio: int, length: int, fraction: int, past: bool = False) -> None:
        super().__init__(length, fraction, past)
        squeezed = max(1, channels // ratio)
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.expand = nn.Linear(squeezed, channels, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(N·T, C, H, W) → (N·T, C, H, W)."""
        scales = self._scales(frames)
        if self.past:
            return super().forward(frames * scales[:, :, None, None])
        return scaled_shift(frames, scales, self.length, self.fraction)

    def step(self, frames: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The same for one frame of N clips; see `Shift.step`."""
        return super().step(frames * self._scales(frames)[:, :, None, None], before)

    def _scales(self, frames: Tensor) -> Tensor:
        """(N·T, C, H, W) → (N·T, C)."""
        scales: Tensor = torch.sigmoid(self.expand(functional.relu(self.squeeze(frames.mean(dim=(2, 3))))))
        return scales
