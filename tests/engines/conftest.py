"""One small bundle and one official-layout checkpoint for all tests of the engines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engines.__main__ import main
from engines.bundle import Bundle
from engines.card import ModelCard, Provenance
from engines.export.onnx_export import write_bundle
from engines.networks.initialise import initialise
from engines.networks.manet import MANet
from engines.specs.manet import MANetSpec
from tests.conftest import Kept

SMALL = MANetSpec(depth=18, width=8, size=64)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the official network at full size is large."""
    for item in items:
        if "official_bundle" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.large)


@pytest.fixture(scope="session")
def small_bundle(kept: Kept) -> Bundle:
    """MANet-18, width 8, 64 pixels, with the embedding head; untrained."""
    card = ModelCard(
        name="small",
        network=SMALL,
        intended_use="tests",
        provenance=Provenance(trained=False, trained_on="nothing: untrained", seed=3),
    )
    return Bundle.load(kept("small", lambda path: write_bundle(initialise(SMALL, 3), card, path)))


@pytest.fixture
def copied(small_bundle: Bundle, tmp_path: Path) -> Callable[[], Path]:
    """Makes fresh copies of the small bundle to spoil."""

    def copy() -> Path:
        target = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        shutil.copytree(small_bundle.path, target, ignore=shutil.ignore_patterns("engines"))
        return target

    return copy


def official_shapes() -> dict[str, tuple[int, ...]]:
    """All 404 tensors of the official checkpoint with their shapes."""
    with torch.device("meta"):
        network = MANet(MANetSpec())
        layout = network.pretrained_layouts()["official"]
        state = {layout.theirs(name)[0]: value for name, value in network.state_dict().items()}
        return {name: tuple(value.shape) for name, value in (state | network.unused_tensors("official")).items()}


@pytest.fixture(scope="session")
def official_weights() -> dict[str, torch.Tensor]:
    """Seeded weights in the official layout, scaled so that signals survive 50 layers."""
    generator = torch.Generator().manual_seed(7)
    weights = {}
    for name, shape in official_shapes().items():
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(1234)
        elif name.endswith(("running_var", "bn.weight")):
            weights[name] = torch.rand(shape, generator=generator) * 0.5 + 0.75
        elif len(shape) == 1:
            weights[name] = torch.randn(shape, generator=generator) * 0.1
        else:
            fan_in = int(torch.tensor(shape[1:]).prod())
            weights[name] = torch.randn(shape, generator=generator) * (1.5 / fan_in) ** 0.5
    return weights


@pytest.fixture(scope="session")
def official_file(official_weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("official") / "official.pth"
    torch.save({"state_dict": official_weights, "meta": {"epoch": 80}}, path)
    return path


@pytest.fixture(scope="session")
def official_bundle(official_file: Path, kept: Kept) -> Bundle:
    """MANet-50 at 224 pixels, as `import` makes it; without the embedding head."""

    def make(path: Path) -> None:
        assert main(["import", str(official_file), "--out", str(path), "--set", "embedding=false"]) == 0

    return Bundle.load(kept("official", make))
