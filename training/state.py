"""A training run on disk: plain tensors and plain values, replaced in one step; a kill at any time costs little."""

from __future__ import annotations

import os
import pickle
import tempfile
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch

from engines.common.errors import BadInput
from engines.networks.contract import Network
from engines.networks.registry import build, read_spec
from training.curves import CSV_FILE, PICTURE_FILE

FORMAT = 1
STATE_FILE = "state.pt"
RUN_FILES = (STATE_FILE, CSV_FILE, PICTURE_FILE)  # of a training run in its folder
KEYS = {
    "format",
    "run",
    "trained_on",
    "network",
    "model",
    "optimiser",
    "rng",
    "cuda_rng",
    "epoch",
    "position",
    "sums",
    "history",
}


@dataclass(slots=True)
class State:
    """Where a run stands."""

    epoch: int = 0  # the one under way, from 0
    position: int = 0  # batches of it that are done
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # of the losses over those batches
    history: list[dict[str, float]] = field(default_factory=list)  # one row per finished epoch


def save(
    path: Path, run: str, trained_on: str, network: Network, optimiser: torch.optim.Optimizer, state: State
) -> None:
    """Write a checkpoint, all or nothing.

    Args:
        path: file to write or replace.
        run: what the run is, as one text; `resume` refuses another.
        trained_on: for the model card.
        network, optimiser, state: what to write; with them goes the state of torch's random numbers.

    Raises:
        BadInput: it cannot be written.
    """
    content = {
        "format": FORMAT,
        "run": run,
        "trained_on": trained_on,
        "network": msgspec.to_builtins(network.spec),
        "model": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "epoch": state.epoch,
        "position": state.position,
        "sums": list(state.sums),
        "history": state.history,
    }
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as stream:
            part = Path(stream.name)
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise BadInput("a folder that can be written", f"{path.parent} ({error.strerror})", "check --out") from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's content; nothing in the file is run.

    Raises:
        BadInput: not one of ours.
    """
    mend = "give a state.pt that training wrote"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on pickle protocols; what matters is an error
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInput("a training checkpoint", f"{path} ({error.strerror})", mend) from None
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        zipfile.BadZipFile,
    ) as error:
        raise BadInput("a training checkpoint", f"{path} ({type(error).__name__})", mend) from None
    if not isinstance(content, dict) or not content.keys() >= KEYS or content["format"] != FORMAT:
        raise BadInput(f"a training checkpoint of format {FORMAT}", f"{path}, which is none", mend)
    return content


def resume(path: Path, run: str, network: Network, optimiser: torch.optim.Optimizer) -> State:
    """Continue from a checkpoint: loads weights, optimiser and random numbers.

    Raises:
        BadInput: not a checkpoint, or one of another run.
    """
    content = read(path)
    if content["run"] != run:
        raise BadInput(
            "the same settings and data as before",
            _difference(content["run"], run),
            "repeat the first command with --resume, or choose another --out",
        )
    network.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    torch.set_rng_state(content["rng"])
    if content["cuda_rng"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(content["cuda_rng"])
    return State(content["epoch"], content["position"], content["sums"], content["history"])


def network_of(path: Path) -> tuple[Network, str]:
    """The network in a checkpoint, in evaluation mode, and what it was trained on.

    Raises:
        BadInput: not a checkpoint.
    """
    content = read(path)
    try:
        network = build(read_spec(content["network"]))
        network.load_state_dict(content["model"])
    except (msgspec.ValidationError, RuntimeError) as error:
        raise BadInput(
            "a training checkpoint", f"{path} ({type(error).__name__})", "give a state.pt that training wrote"
        ) from None
    return network.eval(), str(content["trained_on"])


def _difference(before: str, now: str) -> str:
    """The first setting that differs, of two JSON texts."""
    try:
        first, second = msgspec.json.decode(before), msgspec.json.decode(now)
        name = next(name for name in second if first.get(name) != second[name])
    except (msgspec.DecodeError, StopIteration, AttributeError):
        return "another run"
    return f"{name} {_short(second[name])} instead of {_short(first.get(name))}"


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else text[:39] + "…"
