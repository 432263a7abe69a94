"""The 52 labels as vectors X_q in GloVe's word space (MANet paper, section IV-C)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.common.errors import BadInput
from engines.specs.manet import EMBEDDING_SIZE
from engines.taxonomy import ACTIONS

Float32Array = npt.NDArray[np.float32]

SHAPE = (len(ACTIONS), EMBEDDING_SIZE)
DROPPED = frozenset({"or"})
WORDS_OF = {"arms akimbo": ("akimbo",)}  # as in the released code


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
        return _from_array(path) if path.suffix == ".npy" else _from_glove(path)
    except OSError as error:
        raise BadInput(
            "label vectors (.npy) or a GloVe text file", f"{path} ({error.strerror})", "check --label-vectors"
        ) from None


def _from_array(path: Path) -> Float32Array:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise BadInput(
            f"an array {SHAPE}", f"{path}, which is no .npy array of numbers", "check --label-vectors"
        ) from None
    if vectors.shape != SHAPE or vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
        raise BadInput(
            f"finite floats {SHAPE}, one row per action",
            f"{vectors.dtype} {vectors.shape} in {path}",
            "make it from GloVe's 300-dimensional vectors",
        )
    return np.asarray(vectors, np.float32)


def _from_glove(path: Path) -> Float32Array:
    wanted = {word for action in ACTIONS for word in words_of(action.name)}
    found: dict[str, npt.NDArray[np.float64]] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            word, _, numbers = line.rstrip().partition(" ")
            if word in wanted:
                found[word] = _vector(numbers, f"{path}:{number}")
    missing = sorted(wanted - found.keys())
    if missing:
        raise BadInput(
            f"GloVe vectors of {len(wanted)} words",
            f"{path} without {missing[0]!r}",
            "give the whole file, lower-case words",
        )
    means = [np.mean([found[word] for word in words_of(action.name)], axis=0) for action in ACTIONS]
    return np.stack(means).astype(np.float32)


def _vector(numbers: str, where: str) -> npt.NDArray[np.float64]:
    try:
        vector = np.array(numbers.split(), np.float64)
    except ValueError:
        vector = np.empty(0)
    if vector.shape != (EMBEDDING_SIZE,) or not np.isfinite(vector).all():
        raise BadInput(
            f"{EMBEDDING_SIZE} numbers behind a word",
            f"{len(numbers.split())} at {where}",
            "give GloVe's 300-dimensional file",
        )
    return vector
