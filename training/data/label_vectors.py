"""The 52 labels as vectors X_q in GloVe's word space (MANet paper, section IV-C)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engines.common.errors import BadInput
from engines.specs.manet import EMBEDDING_SIZE
from engines.taxonomy import ACTIONS
from training.data.examples import Float32Array

SHIPPED = Path(__file__).with_name("label_vectors.npy")  # GloVe's, as in the released code
SHAPE = (len(ACTIONS), EMBEDDING_SIZE)
DROPPED = frozenset({"or"})
WORDS_OF = {"arms akimbo": ("akimbo",)}  # as in the released code
WANTED = f"label vectors: a .npy of finite floats {SHAPE}, one row per action, or GloVe's 300-dimensional text file"


def words_of(label: str) -> tuple[str, ...]:
    """The words whose vectors are averaged: all but "or"; of "arms akimbo" the second alone."""
    return WORDS_OF.get(label) or tuple(word for word in label.split() if word not in DROPPED)


def read_label_vectors(path: Path) -> Float32Array:
    """Label vectors from a `.npy` array, or from a GloVe text file (`word v1 … v300` a line).

    Returns:
        float32 (52, 300), in the official order, not normalised.

    Raises:
        BadInput: the file cannot be read, is of the wrong shape or not finite, or lacks a word.
    """
    try:
        vectors = np.load(path, allow_pickle=False) if path.suffix == ".npy" else _from_glove(path)
    except OSError as error:
        raise _refused(f"{path} ({error.strerror})") from None
    except (ValueError, EOFError) as error:
        raise _refused(f"{path}, which is no such file ({error})") from None
    if vectors.shape != SHAPE or vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
        raise _refused(f"{vectors.dtype} {vectors.shape} in {path}")
    return np.asarray(vectors, np.float32)


def _from_glove(path: Path) -> Float32Array:
    wanted = {word for action in ACTIONS for word in words_of(action.name)}
    found = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            word, _, numbers = line.rstrip().partition(" ")
            if word in wanted:
                found[word] = np.array(numbers.split(), np.float64)
                if len(found[word]) != EMBEDDING_SIZE:
                    raise ValueError(f"{len(found[word])} numbers at line {number}")
    missing = sorted(wanted - found.keys())
    if missing:
        raise ValueError(f"no word {missing[0]!r}")
    return np.stack([np.mean([found[word] for word in words_of(action.name)], axis=0) for action in ACTIONS])


def _refused(got: str) -> BadInput:
    return BadInput(WANTED, got, "check data.label_vectors")
