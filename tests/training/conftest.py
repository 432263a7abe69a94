"""A data set in MA-52's format, small enough to train on in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from engines.networks.contract import Network
from training.__main__ import main
from training.loop import Options, train
from training.machine import Machine
from training.recipe import read_recipe
from training.tasks import open_task

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


# The network of an emotion recipe: as small as it may be.
TINY_MAENET = """[network]
architecture = "maenet"
[network.body]
architecture = "manet"
depth = 18
width = 8
length = 16
size = 32
embedding = false
[network.face]
architecture = "manet"
depth = 18
width = 8
length = 16
size = 32
embedding = false
"""

# A recipe that trains in seconds.
TINY = """
name = "tiny"
task = "clips"

[network]
architecture = "manet"
depth = 18
width = 8
size = 32
length = 4
embedding = false

[data]
train_list = "train.txt"

[optimiser]
epochs = 3
batch_size = 4
learning_rate = 3e-3
weight_decay = 0.02
clip_norm = 5.0
dropout = 0.1
mixed_precision = true
"""


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(TINY)
    return path


def run_command(recipe: Path | str, out: Path, *changes: str, data: Path | None = None) -> list[str]:
    """`python -m training run` with changes to the recipe."""
    words = ["run", str(recipe), "--out", str(out), "--threads", "1", "--draw-workers", "0"]
    words += ["--data", str(data)] if data is not None else []
    return [*words, *(word for change in changes for word in ("--set", change))]


def train_recipe(
    recipe: Path | str, out: Path, *changes: str, data: Path | None = None, cache: Path | None = None, **options: Any
) -> Network:
    """Train without the export, which takes longest."""
    made = read_recipe(str(recipe), changes, data)
    torch.set_num_threads(1)
    task = open_task(made, Machine(out, cache or out / "cache", draw_workers=0, threads=1))
    return train(made, task, out, Options(**options))[0]


@pytest.fixture(scope="session")
def trained(data: DataSet, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run: curves, checkpoint, bundle, report."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    np.save(data.folder / "vectors.npy", np.random.default_rng(0).normal(size=(52, 300)).astype(np.float32))
    changes = (
        'data.val_list="val.txt"',
        'data.label_vectors="vectors.npy"',
        "network.embedding=true",
        "losses.alpha=1.0",
        "losses.auxiliary=0.1",
        "losses.moments=0.1",
        'losses.embedding="mean_square"',
        "optimiser.epochs=6",
        "optimiser.batch_size=6",
        "optimiser.average=0.5",
        'selection.keep="best"',
        'selection.score="f1_mean"',
    )
    assert main(run_command(recipe, out, *changes, data=data.folder)) == 0
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
