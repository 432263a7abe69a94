"""Checkpoint files: read safely into a network, and written in a published layout."""

from __future__ import annotations

import pickle
import re
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engines.common.digest import digest_file
from engines.common.errors import BadInput
from engines.networks.contract import Network
from engines.networks.layouts import Layout, Loaded, best_layout, load_pretrained

# Where publishers keep the weights: mmaction2 and others, TimeSformer, Swin and UniFormer, VideoMAE.
_NESTS = ("state_dict", "model_state", "model", "module")
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
    """Weights by the names in the file, checked against nothing yet."""

    weights: dict[str, Tensor]
    sha256: str
    trained: bool  # False where the file says that we wrote it from untrained weights


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
    weights = _weights(content)
    if weights is None:
        raise BadInput(
            f"tensors by name, or under one of {', '.join(_NESTS)}",
            f"{path} without them",
            "get the checkpoint from its publisher",
        )
    note = content.get(_META)
    trained = not (isinstance(note, dict) and note.get("trained") is False)
    return Checkpoint(weights, digest, trained)


def _weights(content: object) -> dict[str, Tensor] | None:
    """Tensors by name in what a file holds: alone, or beside an optimiser's state."""
    if not isinstance(content, dict):
        return None
    found = next((content[nest] for nest in _NESTS if nest in content), content)
    named = isinstance(found, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    )
    return dict(found) if named and found else None


def load_checkpoint(network: Network, checkpoint: Checkpoint) -> tuple[str, Loaded]:
    """Read a checkpoint into a network, in place; the layout that fits best, and what came of it.

    Raises:
        BadInput: no layout is known, or the first tensor that is missing, unexpected or of another shape.
    """
    layouts = network.pretrained_layouts()
    if not layouts:
        raise BadInput("a network with published checkpoints", network.spec.title, "give another with --network")
    name = best_layout(network, checkpoint.weights, layouts)
    return name, load_pretrained(network, checkpoint.weights, layouts[name])


def write_checkpoint(
    network: Network, layout: str, path: Path, *, trained: bool = True, overwrite: bool = False
) -> None:
    """Write a checkpoint in a published layout; untrained weights carry a note that `read_checkpoint` heeds.

    Raises:
        BadInput: the network has no such layout, or the file exists or cannot be written.
    """
    layouts = network.pretrained_layouts()
    if layout not in layouts:
        raise BadInput(f"a layout of {', '.join(layouts) or 'none'}", repr(layout), "give another with --layout")
    if path.exists() and not (overwrite and path.is_file()):
        raise BadInput("a new file", f"{path}, which exists", "choose another, or pass --overwrite")
    content = {"state_dict": _published(network, layout, layouts[layout]), _META: {"trained": trained}}
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


def _published(network: Network, name: str, layout: Layout) -> dict[str, Tensor]:
    state = network.unused_tensors(name)
    for ours, value in network.state_dict().items():
        theirs = layout.theirs(ours)
        state |= zip(theirs, torch.chunk(value, len(theirs)) if len(theirs) > 1 else (value,), strict=True)
    return state


def _culprit(error: Exception) -> str:
    """What torch's long refusal complains of, in a word or two."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f"it asks for {found[1]}" if found else "not a checkpoint"
