"""A data set in MA-52's format, small enough to train on in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from training.__main__ import main

COLORS = {5: (200, 40, 40), 24: (40, 200, 40), 43: (40, 40, 200)}  # action index → colour of its clips
FRAMES, HEIGHT, WIDTH = 12, 60, 50
THREADS = torch.get_num_threads()  # before any command has set them


@pytest.fixture(autouse=True, scope="module")
def threads_as_found() -> Iterator[None]:
    """Commands set how many threads the whole process computes with, and rounding depends on it."""
    yield
    torch.set_num_threads(THREADS)


def write_clip(path: Path, color: tuple[int, int, int], seed: int) -> None:
    """A square of the colour that moves over noise."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FRAMES):
            picture = noise.copy()
            picture[15 + index : 45 + index, 10:40] = color
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@dataclass(frozen=True)
class DataSet:
    folder: Path
    train: Path
    val: Path
    test: Path  # labels withheld


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    folder = tmp_path_factory.mktemp("ma52")
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    seed = 0
    for split, count in (("train", 6), ("val", 2), ("test", 1)):
        for index, color in COLORS.items():
            for _ in range(count):
                seed += 1
                name = f"{seed:04d}_01.mp4"
                write_clip(folder / name, color, seed)
                lists[split].append(f"{name} {0 if split == 'test' else index}")
    for split, lines in lists.items():
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return DataSet(folder, folder / "train.txt", folder / "val.txt", folder / "test.txt")


TINY = ("--depth", "18", "--width", "8", "--size", "32", "--length", "4", "--threads", "1", "--workers", "0")


def train_command(data: DataSet, out: Path, *more: str | Path) -> list[str]:
    words = ("train", "--data", data.folder, "--train-list", data.train, "--out", out, *TINY, *more)
    return [str(word) for word in words]


@pytest.fixture(scope="session")
def trained(data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with curves, checkpoint and bundle."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    vectors = out.parent / "vectors.npy"
    np.save(vectors, np.random.default_rng(0).normal(size=(52, 300)).astype(np.float32))
    assert (
        main(
            train_command(
                data,
                out,
                "--val-list",
                data.val,
                "--recipe",
                "small",
                "--epochs",
                "6",
                "--batch-size",
                "6",
                "--label-vectors",
                vectors,
            )
        )
        == 0
    )
    return out


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must be refused as bad input; returns its one line."""

    def run(*arguments: str | Path) -> str:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert (code, captured.out) == (2, "")
        assert captured.err.startswith("manet-live: error: expected ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err
        return captured.err

    return run
