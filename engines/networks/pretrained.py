"""The official MANet checkpoint: read safely, mapped to our names and back.

Its layout ("official checkpoint" here and elsewhere): 404 tensors under `state_dict`; 48 of them (`action_p2_*`) are
never used in any forward pass, four (`fc_emb*`) serve training and the label embedding.
"""

from __future__ import annotations

import pickle
import re
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engines.bundle import digest_file
from engines.common.errors import BadInput
from engines.networks.manet import MANet
from engines.spec import NetworkSpec

OFFICIAL = NetworkSpec()

# Ours → official: first inside the blocks, then at the start of the name.
_INSIDE = {
    ".conv1.conv.weight": ".conv1.conv.net.weight",
    ".gate.squeeze.": ".conv1.conv.fcce.0.",
    ".gate.expand.": ".conv1.conv.fcce.2.",
}
_STARTS = {
    "stem.": "backbone.conv1.",
    "layer": "backbone.layer",
    "classifier.": "cls_head.fc_cls.",
    "embedding.hidden.": "cls_head.fc_emb.",
    "embedding.output.": "cls_head.fc_emb_t.",
}
_META = "manet_live"  # our note inside a checkpoint that we wrote

# What NumPy scalars in a checkpoint need to be unpickled; all of it is inert data.
_SCALAR = np.float64(0).__reduce__()[0]  # its module's name differs between NumPy versions
_NUMPY_SCALARS: list[Any] = [
    np.dtype,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    *{type(np.dtype(code)) for code in "?bhilqBHILQefd"},
]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights by official name, checked against nothing yet."""

    weights: dict[str, Tensor]
    sha256: str
    trained: bool  # False where the file says that we wrote it from untrained weights


def official_name(name: str) -> str:
    """Our state_dict name → the official checkpoint's."""
    for ours, theirs in _INSIDE.items():
        name = name.replace(ours, theirs)
    start = next(start for start in _STARTS if name.startswith(start))
    return _STARTS[start] + name.removeprefix(start)


def dead_shapes(spec: NetworkSpec = OFFICIAL) -> dict[str, tuple[int, ...]]:
    """The official checkpoint's tensors that no forward pass uses, with their shapes."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in _skeleton(spec).items():
        if name.endswith(".gate.squeeze.weight"):
            squeezed, channels = value.shape
            stem = official_name(name).removesuffix("fcce.0.weight") + "action_p2_"
            shapes[stem + "squeeze.weight"] = (squeezed, channels, 1, 1)
            shapes[stem + "conv1.weight"] = (squeezed, squeezed, 3)
            shapes[stem + "expand.weight"] = (channels, squeezed, 1, 1)
    return shapes


def official_shapes() -> dict[str, tuple[int, ...]]:
    """All 404 tensors of the official checkpoint with their shapes."""
    live = {official_name(name): tuple(value.shape) for name, value in _skeleton(OFFICIAL).items()}
    return live | dead_shapes()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a .pth file without running anything it contains.

    Raises:
        BadInput: not a checkpoint, one that holds more than tensors and plain values, or one without `state_dict`.
    """
    try:
        digest = digest_file(path)
        with torch.serialization.safe_globals(_NUMPY_SCALARS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on pickle protocols; what matters is an error
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInput("a checkpoint file", f"{path} ({error.strerror or error})", "check the path") from None
    except pickle.UnpicklingError as error:
        raise BadInput(
            "a checkpoint of tensors and plain values",
            f"{path}, refused: {_culprit(error)}",
            "get the checkpoint from its publisher",
        ) from None
    except (
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        zipfile.BadZipFile,
    ) as error:
        raise BadInput(
            "a whole torch checkpoint", f"{path} ({type(error).__name__})", "it may be cut short; fetch it again"
        ) from None
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise BadInput(
            "tensors by name under `state_dict`", f"{path} without them", "give the official MANet checkpoint"
        )
    note = content.get(_META)
    trained = not (isinstance(note, dict) and note.get("trained") is False)
    return Checkpoint(dict(weights), digest, trained)


def network_from_official(weights: Mapping[str, Tensor], spec: NetworkSpec = OFFICIAL) -> MANet:
    """A MANet with the official checkpoint's weights, in evaluation mode.

    Args:
        weights: all 404 tensors by official name.
        spec: the official network, of any length, with or without the embedding head.

    Raises:
        BadInput: the first tensor that is missing, unexpected or of another shape.
    """
    _check_fits(weights)
    network = MANet(spec)
    network.load_state_dict({name: weights[official_name(name)] for name in network.state_dict()})
    return network.eval()


def to_official(network: MANet) -> dict[str, Tensor]:
    """All 404 tensors of the official layout; the dead ones, and a missing embedding head, are zero.

    Raises:
        BadInput: the network is not the official one.
    """
    state = {official_name(name): value for name, value in network.state_dict().items()}
    full = {name: state.get(name, torch.zeros(shape)) for name, shape in official_shapes().items()}
    if state.keys() - full.keys() or any(full[name].shape != shape for name, shape in official_shapes().items()):
        spec = network.spec
        raise BadInput(
            "a MANet-50 of width 64, which the official layout is for",
            f"MANet-{spec.depth} of width {spec.width}",
            "export it as a bundle instead",
        )
    return full


def write_official(network: MANet, path: Path, *, trained: bool, overwrite: bool = False) -> None:
    """Write an official-layout checkpoint; untrained weights carry a note that `read_checkpoint` heeds.

    Raises:
        BadInput: the file exists, cannot be written, or the network is not the official one.
    """
    if path.exists() and not (overwrite and path.is_file()):
        raise BadInput("a new file", f"{path}, which exists", "choose another, or pass --overwrite")
    content = {"state_dict": to_official(network), _META: {"trained": trained}}
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as stream:
            part = Path(stream.name)
            torch.save(content, stream)
        part.replace(path)
    except OSError as error:
        raise BadInput(
            "a file that can be written", f"{path} ({error.strerror or error})", "choose another folder"
        ) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _check_fits(weights: Mapping[str, Tensor]) -> None:
    """Name the first tensor that does not fit: in the official order, then what is left over."""
    mend = "give the official MANet checkpoint, whole"
    shapes = official_shapes()
    for name, shape in shapes.items():
        if name not in weights:
            raise BadInput(f"{name} {shape}", "a checkpoint without it", mend)
        if tuple(weights[name].shape) != shape:
            raise BadInput(f"{name} {shape}", str(tuple(weights[name].shape)), mend)
    for name in weights:
        if name not in shapes:
            raise BadInput("only the official checkpoint's tensors", name, mend)


def _skeleton(spec: NetworkSpec) -> dict[str, Tensor]:
    """Names and shapes without memory."""
    with torch.device("meta"):
        return MANet(spec).state_dict()


def _culprit(error: Exception) -> str:
    """What torch's long refusal complains of, in a word or two."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f"it asks for {found[1]}" if found else "not a checkpoint"
