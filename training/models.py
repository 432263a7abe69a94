"""Trained networks to evaluate or to start from, and the device they run on."""

from __future__ import annotations

from pathlib import Path

import torch

from engines.bundle import CARD_FILE, Bundle, find
from engines.common.errors import BadInput
from engines.networks.contract import Network
from training.state import network_of
from training.widening import widened


def open_network(model: str) -> tuple[Network, str]:
    """A network from a bundle (folder or name) or a training checkpoint, and what it was trained on.

    Raises:
        BadInput: neither, or a bundle whose weights cannot be read back.
    """
    path = Path(model)
    if path.is_file() and path.name != CARD_FILE:
        return network_of(path)
    from engines.export.weights import read_network

    bundle = Bundle.load(find(model))
    trained_on = bundle.card.provenance.trained_on
    bundle.card.need("actions")
    return read_network(bundle), trained_on


def start_from(network: Network, other: Network) -> None:
    """Take over another network's weights, widened where it is narrower; the embedding head only where both have one.

    Raises:
        BadInput: a tensor is missing or of a shape that does not widen: the networks differ in more than T, S, the
            embedding head and a whole multiple of the width.
    """
    mine, theirs = network.state_dict(), other.state_dict()
    for name, value in mine.items():
        try:
            mine[name] = widened(name, theirs, value.shape)
        except (KeyError, ValueError):
            if name.startswith("embedding."):
                continue
            got = tuple(theirs[name].shape) if name in theirs else "nothing"
            raise BadInput(
                f"a model to start from with {name} {tuple(value.shape)}",
                str(got),
                "give --depth and --no-se as it has them, and its --width or a multiple",
            ) from None
    network.load_state_dict(mine)


def pick_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one.

    Raises:
        BadInput: CUDA was asked for and there is none.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise BadInput("a CUDA device for --device cuda", "none that torch can use", "leave --device out")
    return torch.device("cuda" if there and name != "cpu" else "cpu")
