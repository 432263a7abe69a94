"""A landmark model fitted to a laboratory's own examples: its last layers alone, held close to what they were.

The network below stays as it is; its features of each example are computed once. What is learnt is a shift of each
action's and body part's score (an offset, which is the same as moving its thresholds), and, where that helps more, a
change of the last layers' weights. Both are penalised by their squares. How strongly is chosen by cross-validation
inside each training part, and the whole is judged on examples that were left out (nested cross-validation).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.landmarks.recordings import ASSUMED_FPS, RealSequence
from engines.landmarks.steps import VALID
from engines.networks.contract import LandmarkNetwork
from engines.taxonomy import ACTIONS
from training.landmarks.losses import PART_OF, POOLED_STEPS, set_loss
from training.landmarks.windows import cut, gather

OUTER, INNER = 3, 3  # folds
STEPS = 15  # of L-BFGS
BATCH = 64
LEAST_EXAMPLES = 10

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly the fit is held: penalties on the squares of offsets and of changes of weights; None: no change."""

    offsets: float
    weights: float | None


STRENGTHS = (Strength(0.3, None), Strength(0.3, 3.0), Strength(0.1, 0.3), Strength(0.03, 0.03))  # strongest first


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """N labelled examples as the last layers see them."""

    features: Tensor  # (N, T, C)
    found: Tensor  # (N, T) 1 where there is a person
    sets: Tensor  # (N, 52) 1 for each action that would be right
    words: npt.NDArray[np.str_]  # (N,) what was performed: folds hold all of them alike
    sources: npt.NDArray[np.str_]  # (N,) session or person: with several, whole ones are left out

    def __len__(self) -> int:
        return len(self.words)

    def part(self, rows: IntArray) -> Examples:
        at = torch.from_numpy(rows)
        return Examples(self.features[at], self.found[at], self.sets[at], self.words[rows], self.sources[rows])


class Heads(nn.Module):
    """The last layers of a landmark network, on features."""

    def __init__(self, layers: Mapping[str, nn.Linear], temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.layers: dict[str, nn.Linear] = {name: _copy(layer) for name, layer in layers.items()}
        for name, layer in self.layers.items():
            self.add_module(name, layer)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Calibrated logits of actions (N, T, 52) and parts (N, T, 7)."""
        return {name: layer(features) / self.temperature for name, layer in self.layers.items()}


def _copy(layer: nn.Linear) -> nn.Linear:
    made = nn.Linear(layer.in_features, layer.out_features)
    made.load_state_dict(layer.state_dict())
    return made


def examples_of(network: LandmarkNetwork, sources: Mapping[str, Sequence[RealSequence]]) -> Examples:
    """What the last layers see of each sequence: its last window. By session or person."""
    sequences = [one for group in sources.values() for one in group]
    network.eval()
    seen: list[Tensor] = []
    hook = next(iter(network.heads().values())).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    found: list[Tensor] = []
    steps = network.spec.sampling.frames
    try:
        for at in range(0, len(sequences), BATCH):
            landmarks = windows(sequences[at : at + BATCH], steps)
            with torch.inference_mode():
                network(landmarks)
            found.append(landmarks[:, :, 0, VALID].clone())
    finally:
        hook.remove()
    sets = torch.zeros(len(sequences), len(ACTIONS))
    for row, one in enumerate(sequences):
        sets[row, list(one.labels)] = 1.0
    words = np.array([one.word for one in sequences])
    names = np.repeat(list(sources), [len(group) for group in sources.values()])
    return Examples(torch.cat(seen).clone(), torch.cat(found), sets, words, names)


def windows(sequences: Sequence[RealSequence], steps: int) -> Tensor:
    """(N, steps, points, channels): one window a sequence, which ends with it."""
    first = np.cumsum([0, *(len(one.frames) for one in sequences)])
    numbers = [np.arange(begin, end) for begin, end in itertools.pairwise(first)]
    cuts = [cut(np.arange(len(one)) / ASSUMED_FPS, one, steps) for one in numbers]
    frames = torch.from_numpy(np.concatenate([one.frames for one in sequences]))
    return gather(frames, cuts, [one.aspect for one in sequences])


def fitted(heads: Heads, examples: Examples, strength: Strength) -> Heads:
    """The last layers after a fit to the examples."""
    made = Heads(heads.layers, heads.temperature)
    named = dict(made.named_parameters())
    before = {name: one.detach().clone() for name, one in named.items()}
    penalties = {name: strength.offsets if name.endswith("bias") else strength.weights for name in named}
    learnt = {name: one for name, one in named.items() if penalties[name] is not None}
    optimiser = torch.optim.LBFGS(list(learnt.values()), max_iter=STEPS, line_search_fn="strong_wolfe")
    weights = torch.ones(len(examples))

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = set_loss(made(examples.features), examples.sets, weights, examples.found)
        for name, one in learnt.items():
            loss = loss + float(penalties[name] or 0.0) * (one - before[name]).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return made


def right(heads: Heads, examples: Examples) -> FloatArray:
    """(N, 3) whether top-1, top-3 and body part are right of each example."""
    pooled = {}
    with torch.inference_mode():
        for name, logits in heads(examples.features).items():
            scores = torch.sigmoid(logits) * examples.found[..., None]
            pooled[name] = scores.topk(min(POOLED_STEPS, scores.shape[1]), dim=1)[0].mean(1).numpy()
    order = np.argsort(-pooled["actions"], axis=1, kind="stable")
    sets = examples.sets.numpy() > 0.0
    best = np.take_along_axis(sets, order[:, :3], axis=1)
    parts = np.stack([sets[:, at == PART_OF].any(1) for at in range(pooled["parts"].shape[1])], axis=1)
    part = parts[np.arange(len(parts)), pooled["parts"].argmax(1)]
    return np.stack([best[:, 0], best.any(1), part], axis=1).astype(np.float64)


def folds(examples: Examples, count: int, seed: int) -> Iterator[tuple[IntArray, IntArray]]:
    """(rows to fit, rows left out): whole sessions or people where there are several, else each word spread alike."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(examples), np.int64)
    begin = 0
    several = len(np.unique(examples.sources)) > 1
    groups = examples.sources if several else examples.words
    for place, group in enumerate(rng.permutation(np.unique(groups))):
        rows = rng.permutation(np.flatnonzero(groups == group))
        fold[rows] = place % count if several else (np.arange(len(rows)) + begin) % count
        begin += len(rows)
    for at in range(count):
        if (fold == at).any() and (fold != at).any():
            yield np.flatnonzero(fold != at), np.flatnonzero(fold == at)


def chosen(heads: Heads, examples: Examples, seed: int = 0) -> Strength | None:
    """The strength with the best cross-validated top-1 and part; None where none is better than no fit at all."""
    parts = list(folds(examples, INNER, seed))
    best, least = None, _score(right(heads, examples))
    for strength in STRENGTHS:
        rows = [right(fitted(heads, examples.part(fit), strength), examples.part(out)) for fit, out in parts]
        score = _score(np.concatenate(rows)) if rows else 0.0
        if score > least:
            best, least = strength, score
    return best


def _score(rows: FloatArray) -> float:
    return float(rows[:, 0].mean() + rows[:, 2].mean())


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """What came of it: figures of examples that were left out, and the heads where they are better."""

    before: FloatArray  # (3,) top-1, top-3, part
    after: FloatArray  # (3,)
    heads: Heads | None  # None: not better, nothing is to be changed
    strength: Strength | None


def adapt(heads: Heads, examples: Examples, seed: int = 0) -> Adapted:
    """Fit, judge on what was left out, and keep the fit only where nothing got worse and something better."""
    before, after = right(heads, examples), np.zeros((len(examples), 3))
    for fit, out in folds(examples, OUTER, seed):
        strength = chosen(heads, examples.part(fit), seed + 1)
        used = heads if strength is None else fitted(heads, examples.part(fit), strength)
        after[out] = right(used, examples.part(out))
    strength = chosen(heads, examples, seed + 1)
    better = (after.mean(0) >= before.mean(0)).all() and after[:, ::2].sum() > before[:, ::2].sum()
    made = fitted(heads, examples, strength) if better and strength is not None else None
    return Adapted(before.mean(0), after.mean(0), made, strength if made is not None else None)
