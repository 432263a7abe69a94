"""The oracle: weights and inputs that anyone rebuilds from numpy, and what the original code makes of them."""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

ORACLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "oracle"
TABLES = ("relative_position_bias_table", "pos_embed", "time_embed", "cls_token")
AS_BUILT = ("num_batches_tracked", "relative_position_index")  # integers, which the rule leaves alone


def need_oracle() -> None:
    if not ORACLE.is_dir():
        pytest.skip("the oracle is not on this machine")


@lru_cache(maxsize=1)
def recorded() -> np.lib.npyio.NpzFile:
    need_oracle()
    return np.load(ORACLE / "oracle.npz")


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Keys of a checkpoint with their shapes."""
    need_oracle()
    lines = (line.split("\t") for line in (ORACLE / f"{name}.keys.txt").read_text().splitlines())
    return {key: tuple(json.loads(shape)) for key, shape in lines}


def filled(key: str, shape: tuple[int, ...], table: float = 0.02) -> Tensor:
    """One tensor by the rule of weights, float32."""
    leaf = key.rpartition(".")[2]
    if leaf in AS_BUILT:
        return torch.zeros(shape, dtype=torch.int64)
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)
    if leaf == "running_mean":
        value = 0.1 * drawn
    elif leaf == "running_var":
        value = 1 + 0.1 * np.abs(drawn)
    elif leaf in TABLES:
        value = table * drawn
    elif len(shape) >= 2:
        value = drawn / math.sqrt(math.prod(shape[1:]))
    elif leaf.endswith("weight"):
        value = 1 + 0.1 * drawn
    else:
        value = 0.1 * drawn
    return torch.from_numpy(np.asarray(value, np.float32))


def weights(name: str, table: float = 0.02, **replaced: tuple[int, ...]) -> dict[str, Tensor]:
    """A whole checkpoint by the rule; `replaced` gives other shapes to keys that end so."""
    found = {}
    for key, shape in shapes(name).items():
        shape = replaced.get(key.rpartition(".")[2], shape)
        found[key] = filled(key, shape, table)
    return found


def clips(*shape: int) -> Tensor:
    """Random pixels, uint8 (N, T, H, W, 3)."""
    return torch.from_numpy(np.random.Generator(np.random.PCG64(0)).integers(0, 256, shape, np.uint8))


def coarse_clips(count: int, length: int, height: int, width: int) -> Tensor:
    """Random blocks of 16 x 16 pixels, uint8 (N, T, H, W, 3)."""
    shape = (count, length, height // 16, width // 16, 3)
    blocks = np.random.Generator(np.random.PCG64(1)).integers(0, 256, shape, np.uint8)
    return torch.from_numpy(blocks.repeat(16, axis=2).repeat(16, axis=3))


def summary(values: Tensor) -> np.ndarray:
    """Mean, deviation and eight values, as the oracle records a module's output."""
    flat = values.double().flatten()
    places = torch.from_numpy(np.floor(np.linspace(0, len(flat) - 1, 8)).astype(np.int64))
    return torch.cat((flat.mean()[None], flat.std(correction=0)[None], flat[places])).numpy()
