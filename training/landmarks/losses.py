"""Losses of landmark networks: every step of simulated people, whole sequences of real ones with sets of labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engines.taxonomy import ACTIONS, BODY_PARTS

POOLED_STEPS = 8  # half a second: a sequence's score is the mean of as many best steps
JUDGED = slice(-20, -3)  # steps that the live path asks, at look-aheads of 0.2 to 0.95 s and a hop of 0.25 s
JUDGED_WEIGHT = 2.0
LEAST = 1e-6
PART_OF = np.array([action.part_index for action in ACTIONS])
_MEMBERS = [torch.from_numpy(np.flatnonzero(part == PART_OF)) for part in range(len(BODY_PARTS))]


def of_parts(actions: Tensor) -> Tensor:
    """(..., 52) → (..., 7): whether any action of each body part is on."""
    return torch.stack([actions.index_select(-1, members).amax(-1) for members in _MEMBERS], dim=-1)


def step_loss(outputs: dict[str, Tensor], targets: Tensor, found: Tensor) -> Tensor:
    """Binary cross-entropy of actions and parts, summed over classes, mean over the steps with a person.

    The steps that the live path asks count more than others: those a look-ahead and a hop before the window's end.

    Args:
        outputs: logits (N, T, 52) and (N, T, 7).
        targets: (N, T, 52): 1 runs, 0 does not, -1 cannot be told.
        found: (N, T) 1 where there is a person.
    """
    known = (targets >= 0.0).float()
    on = targets.clamp(min=0.0)
    actions = functional.binary_cross_entropy_with_logits(outputs["actions"], on, known, reduction="none").sum(-1)
    busy = of_parts(on)
    known_parts = torch.maximum(
        busy, 1.0 - of_parts(1.0 - known)
    )  # another action of the part is seen, or none is unseen
    parts = functional.binary_cross_entropy_with_logits(outputs["parts"], busy, known_parts, reduction="none").sum(-1)
    weights = found.clone()
    weights[:, JUDGED] *= JUDGED_WEIGHT
    total: Tensor = ((actions + parts) * weights).sum() / weights.sum().clamp(min=1.0)
    return total


def set_loss(outputs: dict[str, Tensor], sets: Tensor, weights: Tensor, found: Tensor) -> Tensor:
    """Partial-label loss of sequences: any action of the set happens in it, none of the others; the same of parts.

    -log(1 - prod(1 - p)) over the set, -log(1 - p) elsewhere, p pooled over the best `POOLED_STEPS`.

    Args:
        outputs: logits (N, T, 52) and (N, T, 7).
        sets: (N, 52), 1 for each action that would be right; none: nothing happens.
        weights: (N,) how sure the labels are.
        found: (N, T) 1 where there is a person.
    """
    each = torch.zeros(len(sets))
    for logits, right in ((outputs["actions"], sets), (outputs["parts"], of_parts(sets))):
        best = (torch.sigmoid(logits) * found[..., None]).topk(min(POOLED_STEPS, logits.shape[1]), dim=1)[0].mean(1)
        absent = torch.log1p(-best.clamp(LEAST, 1.0 - LEAST))  # (N, C)
        any_right = -torch.log((1.0 - torch.exp((absent * right).sum(-1))).clamp(min=LEAST))
        each = each + torch.where(right.sum(-1) > 0.0, any_right, 0.0) - (absent * (1.0 - right)).sum(-1)
    total: Tensor = (each * weights).sum() / weights.sum().clamp(min=LEAST)
    return total
