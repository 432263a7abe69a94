"""A network's weights as a file of named tensors, beside the graph that was exported from them."""

from __future__ import annotations

import safetensors
import safetensors.torch
import torch

from engines.bundle import WEIGHTS_FILE, Bundle
from engines.common.errors import BadInput
from engines.networks.contract import Network
from engines.networks.registry import build
from engines.specs.base import Spec

UNSAVED = ".num_batches_tracked"  # matters to training alone


def weights_of(network: Network) -> bytes:
    """The state_dict as safetensors."""
    state = {name: value for name, value in network.state_dict().items() if not name.endswith(UNSAVED)}
    data: bytes = safetensors.torch.save({name: value.cpu().contiguous() for name, value in state.items()})
    return data


def read_network(bundle: Bundle, spec: Spec | None = None) -> Network:
    """A bundle's network in evaluation mode.

    Args:
        bundle: of any precision; its weights are those that it was made from.
        spec: of a network that needs no more than the bundle's weights; by default the bundle's own.

    Raises:
        BadInput: the bundle has no weights, or they do not fit.
    """
    path = bundle.weights_path
    if path is None:
        raise BadInput(
            f"a bundle with {WEIGHTS_FILE}",
            f"{bundle.path}, of an earlier version",
            "make it again to do more than run it",
        )
    try:
        weights = safetensors.torch.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise BadInput("a file of weights", f"{path} ({error})", "use an unchanged copy") from None
    with torch.random.fork_rng(devices=[]):
        network = build(spec or bundle.card.network)
    for name, value in network.state_dict().items():
        got = tuple(weights[name].shape) if name in weights else "nothing"
        if got != tuple(value.shape) and not name.endswith(UNSAVED):
            raise BadInput(f"weights {name} {tuple(value.shape)} in {path}", str(got), "make the bundle again")
    network.load_state_dict(weights, strict=False)
    return network.eval()
