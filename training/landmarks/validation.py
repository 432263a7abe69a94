"""How good a landmark network is: on real sequences that nothing was trained on, and on other simulated people."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from engines.landmarks.recordings import ASSUMED_FPS, RealSequence
from engines.landmarks.steps import VALID
from engines.taxonomy import ACTIONS
from training.landmarks.batches import SimulatedWindows
from training.landmarks.losses import JUDGED, PART_OF, POOLED_STEPS, of_parts
from training.landmarks.windows import cut, gather
from training.metrics import mean_average_precision

BATCH = 128


class Validation:
    """Windows that stay the same.

    Args:
        files: real sequences by file.
        simulated: windows of other people; `count` of them.
        steps: T.
    """

    def __init__(
        self, files: Mapping[str, Sequence[RealSequence]], simulated: SimulatedWindows, count: int, steps: int
    ) -> None:
        counted = [(name, one) for name, sequences in files.items() for one in sequences if one.counted]
        self._files = np.array([name for name, _ in counted])
        self._right = np.zeros((len(counted), len(ACTIONS)), np.bool_)
        for row, (_, one) in enumerate(counted):
            self._right[row, list(one.labels)] = True
        self._real = _whole([one for _, one in counted], steps) if counted else None
        rng = np.random.default_rng(0)
        batches = [simulated.batch(rng, min(BATCH, count - done)) for done in range(0, count, BATCH)]
        self._simulated = torch.cat([one for one, _ in batches])
        self._targets = torch.cat([one for _, one in batches])

    def scores(self, network: nn.Module) -> dict[str, float]:
        """top1, top3 and part of the real sequences, means over files; map and part_map of simulated steps; score."""
        network.eval()
        actions, parts = _run(network, self._simulated)
        found = self._simulated[:, :, 0, VALID] > 0.0
        known = np.zeros(found.shape, np.bool_)
        known[:, JUDGED] = found[:, JUDGED].numpy()
        targets = self._targets.numpy()[known]
        precision = mean_average_precision(actions.numpy()[known], targets > 0.0)
        of_part = mean_average_precision(parts.numpy()[known], of_parts(self._targets).numpy()[known] > 0.0)
        scores = {"map": precision, "part_map": of_part}
        if self._real is not None:
            scores |= self._of_real(network, self._real)
        return {"score": float(np.mean(list(scores.values())))} | scores

    def _of_real(self, network: nn.Module, landmarks: Tensor) -> dict[str, float]:
        actions, parts = (torch.sigmoid(one) for one in _run(network, landmarks))
        found = landmarks[:, :, 0, VALID, None]
        best, part = (_pooled(one * found).numpy() for one in (actions, parts))
        order = np.argsort(-best, axis=1, kind="stable")
        first = np.take_along_axis(self._right, order[:, :3], axis=1)
        parts_right = np.stack([self._right[:, at == PART_OF].any(1) for at in range(part.shape[1])], axis=1)
        rows = np.stack([first[:, 0], first.any(1), parts_right[np.arange(len(part)), part.argmax(1)]], axis=1)
        means = np.mean([rows[self._files == name].mean(0) for name in np.unique(self._files)], axis=0)
        return dict(zip(("top1", "top3", "part"), means.tolist(), strict=True))


def _whole(sequences: Sequence[RealSequence], steps: int) -> Tensor:
    """One window a sequence, which ends with it."""
    first = np.cumsum([0, *(len(one.frames) for one in sequences)])
    numbers = [np.arange(a, b) for a, b in itertools.pairwise(first)]
    cuts = [cut(np.arange(len(one)) / ASSUMED_FPS, one, steps) for one in numbers]
    frames = torch.from_numpy(np.concatenate([one.frames for one in sequences]))
    return gather(frames, cuts, [one.aspect for one in sequences])


def _run(network: nn.Module, landmarks: Tensor) -> tuple[Tensor, Tensor]:
    device = next(network.parameters()).device
    with torch.inference_mode():
        outputs = [network(landmarks[at : at + BATCH].to(device)) for at in range(0, len(landmarks), BATCH)]
    actions, parts = (torch.cat([one[name] for one in outputs]).cpu() for name in ("actions", "parts"))
    return actions, parts


def _pooled(scores: Tensor) -> Tensor:
    """(N, T, C) → (N, C): the highest mean over half a second."""
    sums = torch.cat([torch.zeros_like(scores[:, :1]), scores.cumsum(1)], dim=1)
    return (sums[:, POOLED_STEPS:] - sums[:, :-POOLED_STEPS]).amax(1) / POOLED_STEPS
