from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from training.data.label_vectors import SHIPPED, read_label_vectors, words_of

WORDS = sorted({word for action in ACTIONS for word in action.name.split()})


def vector(word: str) -> np.ndarray:
    return np.random.default_rng(WORDS.index(word)).normal(size=300).round(4)


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    """All words of the labels between others, as GloVe's files have them."""
    path = tmp_path / "glove.txt"
    lines = [f"{word} " + " ".join(f"{value:g}" for value in vector(word)) for word in WORDS]
    other = " ".join(["0.5"] * 300)
    path.write_text("\n".join([f"the {other}", *lines, f"zebra {other}"]) + "\n")
    return path


def test_words_that_are_averaged() -> None:
    assert words_of("nodding") == ("nodding",)
    assert words_of("scratching or touching neck") == ("scratching", "touching", "neck")
    assert words_of("arms akimbo") == ("akimbo",)
    assert words_of("scratching arms") == ("scratching", "arms")


def test_label_vectors_are_plain_averages_of_words(glove: Path) -> None:
    vectors = read_label_vectors(glove)
    assert (vectors.shape, vectors.dtype) == ((52, 300), np.float32)
    by_name = {action.name: vectors[action.index] for action in ACTIONS}
    np.testing.assert_allclose(by_name["nodding"], vector("nodding"), rtol=1e-6)
    mean = (vector("scratching") + vector("touching") + vector("neck")) / 3
    np.testing.assert_allclose(by_name["scratching or touching neck"], mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(by_name["arms akimbo"], vector("akimbo"), rtol=1e-6)
    np.save(glove.with_suffix(".npy"), vectors)
    np.testing.assert_array_equal(read_label_vectors(glove.with_suffix(".npy")), vectors)


def test_the_shipped_vectors_are_averages_of_the_same_words() -> None:
    """Labels that share words give equations, which the rows satisfy."""
    rows = dict(zip((action.name for action in ACTIONS), read_label_vectors(SHIPPED), strict=True))
    words = sorted({word for label in rows for word in words_of(label)})
    mixing = np.array([[words_of(label).count(word) / len(words_of(label)) for word in words] for label in rows])
    labels = np.stack(list(rows.values())).astype(np.float64)
    assert np.linalg.matrix_rank(mixing) < len(rows)  # so that not every set of rows would do
    np.testing.assert_allclose(mixing @ np.linalg.lstsq(mixing, labels)[0], labels, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace("\nakimbo ", "\nakimbos "), "no word 'akimbo'"),
        (lambda text: text.replace("\nnodding ", "\nnodding 1 "), "301 numbers at line "),
        (lambda text: text.replace("\nnodding ", "\nnodding x"), "could not convert"),
    ],
)
def test_faulty_glove_files_are_refused(spoil, words: str, glove: Path) -> None:
    glove.write_text(spoil(glove.read_text()))
    with pytest.raises(BadInput, match=words):
        read_label_vectors(glove)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((52, 299), np.float32),
        np.zeros((51, 300), np.float32),
        np.zeros((52, 300), np.int64),
        np.full((52, 300), np.nan, np.float32),
    ],
)
def test_arrays_of_the_wrong_shape_are_refused(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", array)
    with pytest.raises(BadInput, match=r"finite floats \(52, 300\)"):
        read_label_vectors(tmp_path / "vectors.npy")


def test_files_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vectors.npy").write_bytes(b"nonsense")
    with pytest.raises(BadInput, match="which is no such file"):
        read_label_vectors(tmp_path / "vectors.npy")
    with pytest.raises(BadInput, match="No such file"):
        read_label_vectors(tmp_path / "missing.txt")
