"""Seeded UNTRAINED weights that respond to their input, so that the whole pipeline can run before a model exists.

Random weights with default batch-norm statistics give nearly the same logits for every input. As in LSUV (Mishkin
and Matas, "All you need is a good init", ICLR 2016) the scale of every layer is measured on data: batch-norm
statistics take the part of LSUV's rescaling, and the heads read the directions in which their inputs vary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engines.networks.contract import Network
from engines.networks.registry import build
from engines.patterns import example_inputs
from engines.specs.base import Spec

LOGIT_STD = 3.0  # over the patterns, per class: posteriors then range from flat to nearly certain
STATISTICS_INPUTS = 8
SCENES, TAKES = 10, 5  # inputs that the heads are aimed with
COMPONENTS = 16  # leading components of the features that are whitened
DIRECTIONS = 8  # of those, what a head reads
STATISTICS_BATCH = 4  # inputs at once: enough to vary, few enough for memory

Inputs = Mapping[str, Tensor]


def initialise(spec: Spec, seed: int) -> Network:
    """An untrained network in evaluation mode; the same seed gives the same weights.

    The heads read eigenvectors, whose signs hang on the last bit: another machine, or another number of torch's
    threads, may give another one.

    Args:
        spec: what to build.
        seed: 0 or more.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = build(spec).eval()
        arrays = example_inputs(spec, seed, SCENES * TAKES, TAKES)
        inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
        step = SCENES * TAKES // STATISTICS_INPUTS
        _measure_statistics(network, {name: tensor[::step] for name, tensor in inputs.items()})
        for head, features in _head_inputs(network, inputs):
            _aim(head, features)
    return network


def _split(inputs: Inputs, size: int) -> Iterator[tuple[Tensor, ...]]:
    yield from zip(*(torch.split(tensor, size) for tensor in inputs.values()), strict=True)


def _measure_statistics(network: Network, inputs: Inputs) -> None:
    """Batch-norm running statistics from the inputs, averaged over batches."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.momentum = None  # cumulative average
        norm.train()
    for batch in _split(inputs, STATISTICS_BATCH) if norms else ():
        network(*batch)
    for norm in norms:
        norm.momentum = 0.1
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.zero_()
    network.eval()


def _head_inputs(network: Network, inputs: Inputs) -> list[tuple[nn.Linear, Tensor]]:
    """What reaches each head, (K, C): of several rows of an input, their mean."""
    seen: dict[str, list[Tensor]] = {name: [] for name in network.heads()}

    def keep(rows: list[Tensor], _: nn.Module, given: tuple[Tensor, ...]) -> None:
        rows.append(given[0].flatten(0, -2).mean(dim=0))

    hooks = [head.register_forward_pre_hook(partial(keep, seen[name])) for name, head in network.heads().items()]
    for one in _split(inputs, 1):  # small is faster here
        network(*one)
    for hook in hooks:
        hook.remove()
    return [(head, torch.stack(seen[name])) for name, head in network.heads().items()]


def _aim(head: nn.Linear, features: Tensor) -> None:
    """Logits with zero mean and a standard deviation of `LOGIT_STD` over features (K, C): S scenes of `TAKES` each.

    Features of an untrained network differ mostly by scene: a plain random classifier would give one person the same
    class whatever they do. So the features are whitened (their leading components; the rest is noise of the
    measurement), and the classifier reads the directions in which the takes of a scene differ most: Fisher's
    discriminant with motion as the signal and the scene as the nuisance.
    """
    features = features.double()
    mean = features.mean(dim=0)
    _, scales, components = torch.linalg.svd(features - mean, full_matrices=False)  # (r,), (r, C)
    components = components[:COMPONENTS]
    deviations = (scales[:COMPONENTS] / len(features) ** 0.5).clamp_min(1e-6)
    whiten = components / deviations[:, None]  # (P, C)
    takes = ((features - mean) @ whiten.T).reshape(-1, TAKES, len(components))  # (S, takes, P)
    within = (takes - takes.mean(dim=1, keepdim=True)).flatten(0, 1)  # (K, P)
    directions = torch.linalg.eigh(within.T @ within).eigenvectors[:, -DIRECTIONS:]  # (P, D), ascending eigenvalues
    mix = torch.randn(head.out_features, directions.shape[1], dtype=torch.float64)
    mix *= LOGIT_STD / mix.norm(dim=1, keepdim=True)
    weight = mix @ directions.T @ whiten  # (classes, C)
    head.weight.copy_(weight)
    head.bias.copy_(-(weight @ mean))
