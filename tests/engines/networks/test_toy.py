"""A network that is registered in one file goes through everything without another line about it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks import runtimes as benchmark
from calibration.quantize import Settings, quantize
from calibration.windows import Windows
from engines.__main__ import main
from engines.bundle import Bundle
from engines.card import ModelCard, Provenance
from engines.compare import compare_bundles
from engines.export.onnx_export import write_bundle
from engines.export.weights import read_network
from engines.networks.registry import build
from engines.patterns import example_inputs
from engines.runtimes import RUNTIMES, open_runtime
from realtime.cli import main as live
from tests.conftest import write_numbered
from tests.engines.networks.toy import ToySpec

RECIPE = SimpleNamespace(weight_decay=1e-4, undecayed=(), bias_rate=2.0, head_rate=1.0, layer_decay=None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Eight patterns learnt by heart."""
    spec = ToySpec()
    torch.manual_seed(0)
    network = build(spec).train()
    clips = torch.from_numpy(example_inputs(spec, 1, 8)["clips"])
    groups = [{**group, "lr": 0.02 * group.pop("scale")} for group in network.parameter_groups(RECIPE)]
    optimiser = torch.optim.AdamW(groups)
    for _ in range(60):
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(clips)["logits"], torch.arange(8))
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
    provenance = Provenance(trained=True, trained_on="eight patterns")
    card = ModelCard(name="toy", network=spec, provenance=provenance, intended_use="tests")
    return write_bundle(network, card, tmp_path_factory.mktemp("toys") / "toy")


def test_its_bundle_is_read_and_runs_in_every_runtime(trained: Bundle) -> None:
    again = Bundle.load(trained.path)
    assert (again.card.network, again.card.task, again.card.length) == (ToySpec(), "actions", 4)
    clips = example_inputs(ToySpec(), 1, 8)["clips"]
    with torch.inference_mode():
        want = read_network(trained)(torch.from_numpy(clips))["logits"].numpy()
    assert want.argmax(axis=1).tolist() == list(range(8))
    for name in ("openvino", "onnxruntime", "torch"):
        if RUNTIMES[name].availability():
            with open_runtime(again, name, threads=1) as runtime:
                np.testing.assert_allclose(runtime.infer(clips).logits, want, atol=1e-3 * abs(want).max())


def test_it_is_initialised_listed_exported_and_compared(
    trained: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--network", "toy", "--set", "width=16", "--out", str(tmp_path / "fresh")]) == 0
    assert Bundle.load(tmp_path / "fresh").card.network == ToySpec(width=16)
    assert main(["list"]) == 0
    assert "toy           actions: Toy, clips 4 x 32 x 32 x 3" in capsys.readouterr().out
    assert main(["export", str(trained.path), "--precision", "fp16", "--out", str(tmp_path / "half")]) == 0
    half = Bundle.load(tmp_path / "half")
    result = compare_bundles(
        trained, half, ["onnxruntime"], videos=(), count=2, seed=1, threads=1, write=lambda _: None
    )[0]
    assert 0 < result.max_difference < 1e-2 * result.largest_logit
    assert half.card.provenance.trained


def test_it_is_quantised(trained: Bundle, tmp_path: Path) -> None:
    parts = [Windows(example_inputs(ToySpec(), 1, 8), None) for _ in range(4)]
    windows = Windows({"clips": np.concatenate([part.inputs["clips"] for part in parts])}, None)
    made = quantize(trained, tmp_path / "int8", windows, windows, Settings("toy-int8", "minmax", 0.0, 1))
    assert made.bundle.card.precision == "int8"
    assert made.judgement.agreement == 1.0
    assert [one.layer.name for one in made.tried] == ["stem", "layers.0"]


def test_it_is_benchmarked() -> None:
    assert "Toy, clips 4 x 32 x 32 x 3" in benchmark.run(ToySpec()).compared


def test_it_is_replayed(trained: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recording = write_numbered(tmp_path / "numbers.mp4", range(0, 4000, 33))
    command = ["replay", str(recording), "--model", str(trained.path), "--no-emotion", "--headless", "--speed", "max"]
    assert live(command) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines[-1]["kind"] == "session"
    assert lines[-1]["state"] == "ended"
