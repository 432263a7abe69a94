"""Trained networks: to evaluate, and to start from."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from engines.bundle import CARD_FILE, Bundle, find
from engines.common.digest import digest_file
from engines.common.errors import BadInput
from engines.networks.contract import Network
from engines.networks.pretrained import load_checkpoint, read_checkpoint
from training.checkpoint import Opened, network_of
from training.recipe import Recipe


def open_network(model: str) -> Opened:
    """A network from a bundle (folder or name) or a training checkpoint, and what it is trained on.

    Raises:
        BadInput: neither, or a bundle without weights.
    """
    path = Path(model)
    if path.is_file() and path.name != CARD_FILE:
        return network_of(path)
    from engines.export.weights import read_network

    bundle = Bundle.load(find(model))
    return Opened(read_network(bundle), bundle.card.provenance.trained_on)


def digest_of_start(recipe: Recipe) -> str:
    """What decides the first weights. Raises BadInput: the model is not there."""
    start = recipe.start
    if start is None:
        return ""
    path = Path(start.model) if start.model else published(recipe)
    return digest_file(path) if path.is_file() else Bundle.load(find(str(path))).card.seal


def begin(network: Network, recipe: Recipe) -> list[nn.Module]:
    """Take over the weights of another model or of a published checkpoint; the parts that stay as they are.

    A part's weights are found by their names within the other network, whatever its own name is there.

    Raises:
        BadInput: no such part, or a tensor is missing or of another shape.
    """
    start = recipe.start
    if start is None:
        return []
    if start.model is None:
        load_checkpoint(network, read_checkpoint(published(recipe)))
        return []
    part: nn.Module | None = network if start.part is None else getattr(network, start.part, None)
    if not isinstance(part, nn.Module):
        known = ", ".join(name for name, _ in network.named_children())
        raise BadInput("a part of the network for start.part", repr(start.part), f"it has {known}")
    other = open_network(start.model).network
    part.load_state_dict(_matching(part, other, optional=network.spec.outputs.keys() - other.spec.outputs.keys()))
    if start.freeze:
        part.requires_grad_(False)
    return [part] if start.freeze else []


def published(recipe: Recipe) -> Path:
    """The published checkpoint that a recipe starts from. Raises BadInput: it is not there."""
    name = recipe.start.checkpoint if recipe.start else None
    path = recipe.folder / (name or "")
    if not path.is_file():
        raise BadInput(
            f"{name} in the data's folder, to start from",
            f"{recipe.folder} without it",
            "put it there, or give --set start=null: random weights, which learn less",
        )
    return path


def _matching(part: nn.Module, other: Network, optional: set[str]) -> dict[str, Tensor]:
    """The other network's tensors by the names of a part's; those of `optional` heads stay where it has none."""
    mine, theirs = part.state_dict(), other.state_dict()
    first = next(iter(mine))
    prefix = next((name.removesuffix(first) for name in theirs if name == first or name.endswith(f".{first}")), "")
    for name, value in mine.items():
        found = theirs.get(prefix + name)
        if found is not None and found.shape == value.shape:
            mine[name] = found
        elif found is not None or name.partition(".")[0] not in optional:
            raise BadInput(
                f"a model to start from with {name} {tuple(value.shape)}",
                "nothing" if found is None else str(tuple(found.shape)),
                "change [network] to its depth, width and parts",
            )
    return mine
