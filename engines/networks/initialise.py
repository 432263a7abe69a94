"""Seeded UNTRAINED weights that respond to their input, so that the whole pipeline can run before a model exists.

Random weights with default batch-norm statistics give nearly the same logits for every input. As in LSUV (Mishkin
and Matas, "All you need is a good init", ICLR 2016) the scale of every layer is measured on data: batch-norm
statistics take the part of LSUV's rescaling, and the classifier reads the directions in which the features vary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.networks.maenet import EmotionGraph, MAENet, mean_of_seen
from engines.networks.manet import InferenceGraph, MANet, PixelGraph, Trunk
from engines.patterns import moving_patterns
from engines.spec import EmotionSpec, NetworkSpec

LOGIT_STD = 3.0  # over the patterns, per class: posteriors then range from flat to nearly certain
STATISTICS_CLIPS = 8
SCENES, TAKES = 10, 5  # clips that the classifier is aimed with
COMPONENTS = 16  # leading components of the features that are whitened
DIRECTIONS = 8  # of those, what the classifier reads
STATISTICS_BATCH = 4  # clips at once: enough to vary, few enough for memory


def initialise(spec: NetworkSpec, seed: int) -> MANet:
    """An untrained network in evaluation mode; the same seed gives the same weights.

    The classifier reads eigenvectors, whose signs hang on the last bit: another machine, or another number of torch's
    threads, may give another one.

    Args:
        spec: what to build.
        seed: 0 or more.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = MANet(spec)
        graph = InferenceGraph(network)
        _aim(network.classifier, _trunk_features(graph, network, seed).mean(dim=1))
    return network.eval()


def initialise_emotion(spec: EmotionSpec, seed: int) -> MAENet:
    """The same for a MAENet; see `initialise`."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = MAENet(spec)
        graph = EmotionGraph(network)
        pooled = []
        if network.body is not None:
            body = _trunk_features(graph, network.body, seed)  # (K, T, C)
            seen = torch.ones(body.shape[:2])
            graph.eval()
            pooled.append(mean_of_seen(body if network.encoder is None else network.encoder(body, seen), seen))
        if network.face is not None:
            pooled.append(_trunk_features(graph, network.face, seed + 1).mean(dim=1))
        _aim(network.actions, pooled[0])
        _aim(network.emotion, torch.cat(pooled[::-1], dim=1))
    return network.eval()


def _trunk_features(graph: PixelGraph, trunk: Trunk, seed: int) -> Tensor:
    """Draw a trunk's weights, measure its statistics; what it then says of the patterns, (K, T, C)."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    spec = trunk.spec
    clips = torch.from_numpy(moving_patterns(seed, SCENES * TAKES, spec.length, spec.size, TAKES))
    _measure_statistics(graph, trunk, clips[:: len(clips) // STATISTICS_CLIPS])
    features = [trunk.features(graph.normalise(batch)) for batch in torch.split(clips, 1)]  # small is faster here
    return torch.cat(features).reshape(-1, spec.length, spec.features)


def _measure_statistics(graph: PixelGraph, trunk: Trunk, clips: Tensor) -> None:
    """Batch-norm running statistics from the clips, averaged over batches."""
    norms = [module for module in trunk.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # cumulative average
        norm.train()
    for batch in torch.split(clips, STATISTICS_BATCH):
        trunk.features(graph.normalise(batch))
    for norm in norms:
        norm.momentum = 0.1
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.zero_()
    graph.eval()


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
    deviations = (scales[:COMPONENTS] / len(features) ** 0.5).clamp_min(1e-6)
    whiten = components[:COMPONENTS] / deviations[:, None]  # (P, C)
    takes = ((features - mean) @ whiten.T).reshape(-1, TAKES, COMPONENTS)  # (S, takes, P)
    within = (takes - takes.mean(dim=1, keepdim=True)).flatten(0, 1)  # (K, P)
    directions = torch.linalg.eigh(within.T @ within).eigenvectors[:, -DIRECTIONS:]  # (P, D), ascending eigenvalues
    mix = torch.randn(head.out_features, DIRECTIONS, dtype=torch.float64)
    mix *= LOGIT_STD / mix.norm(dim=1, keepdim=True)
    weight = mix @ directions.T @ whiten  # (classes, C)
    head.weight.copy_(weight)
    head.bias.copy_(-(weight @ mean))
