"""Every video network gives what its original gives, from the original's own checkpoint layout."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from engines.__main__ import main
from engines.bundle import Bundle
from engines.networks.contract import VideoNetwork
from engines.networks.cost import cost_of
from engines.networks.layouts import best_layout, load_pretrained
from engines.runtimes import open_runtime
from engines.specs.base import VideoSpec
from tests.engines.networks import oracle
from tests.engines.networks.cases import CASES, Case

pytestmark = pytest.mark.slow


def loaded(case: Case, spec: VideoSpec, table: float = 0.02) -> VideoNetwork:
    """The network with the oracle's weights, read from mmaction2's layout."""
    network = case.network(spec).eval()
    replaced = case.replaced if spec is case.small else {}
    weights = oracle.weights(case.name, table, **replaced)
    layouts = network.pretrained_layouts()
    assert best_layout(network, weights, layouts) == "mmaction2"
    report = load_pretrained(network, weights, layouts["mmaction2"])
    assert report.fresh == ()
    assert report.foreign_head == ""
    return network


def logits(network: VideoNetwork, clips: Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network(clips)["logits"].numpy()


def features(network: VideoNetwork, clips: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """As the oracle has them: of every frame where the original scores every frame."""
    with torch.inference_mode():
        found = network.features(clips)
        if found.shape[0] != shape[0]:
            frames = network.frame_features(clips)
            assert torch.allclose(frames.mean(dim=1), found, atol=1e-6)
            found = frames.flatten(0, 1)
    return found.numpy()


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    oracle.need_oracle()
    return request.param


@pytest.fixture(scope="module")
def network(case: Case) -> VideoNetwork:
    torch.set_num_threads(1)
    return loaded(case, case.small)


@pytest.fixture(scope="module")
def small(case: Case) -> Tensor:
    return oracle.clips(2, *case.small.clip_shape)


@pytest.fixture(scope="module")
def right(case: Case, network: VideoNetwork, small: Tensor) -> np.ndarray:
    """Logits of the small clips, (2, 52), the oracle's."""
    got = logits(network, small)
    for name in ("logits", "logits64"):
        assert np.abs(got - oracle.recorded()[f"{case.name}/{name}"]).max() <= case.tolerance
    return got


def test_logits_features_and_traces(case: Case, network: VideoNetwork, small: Tensor, right: np.ndarray) -> None:
    recorded = oracle.recorded()
    outputs: dict[str, Tensor] = {}

    def keep(name: str):
        return lambda _module, _inputs, output: outputs.update({name: output})

    hooks = [network.get_submodule(ours).register_forward_hook(keep(name)) for name, ours in case.traces.items()]
    wanted = recorded[f"{case.name}/feature"]
    got = features(network, small, wanted.shape)
    for hook in hooks:
        hook.remove()
    assert np.abs(got - wanted).max() <= case.tolerance
    for name, output in outputs.items():
        wanted = recorded[f"{case.name}/trace/{name}"]
        if isinstance(output, tuple):  # TimeSformer's class token and patches, whose order is (place, time) there
            token, patches = output
            output = torch.cat((token, patches.transpose(1, 2).flatten(1, 2)), dim=1)
        shape = tuple(recorded[f"{case.name}/trace/{name}@shape"])
        if output.shape != shape:
            output = output.permute(0, 4, 1, 2, 3)  # features last in ours
        assert output.shape == shape, name
        scale = max(1.0, float(np.abs(wanted).max()))
        assert np.abs(oracle.summary(output) - wanted).max() <= case.tolerance * scale, name


def test_blocks_of_pixels(case: Case, network: VideoNetwork) -> None:
    length, size, _, _ = case.small.clip_shape
    got = logits(network, oracle.coarse_clips(2, length, size, size))
    assert np.abs(got - oracle.recorded()[f"{case.name}/coarse/logits"]).max() <= case.tolerance


def test_mistakes_show(case: Case, network: VideoNetwork, small: Tensor, right: np.ndarray) -> None:
    """Each changes the logits by what the oracle's authors found: these tests would see it."""
    state = {key: value.clone() for key, value in network.state_dict().items()}
    strong = with_tables(network, 25.0)
    enlarged = None  # logits with larger tables
    for name, mistake in case.mistakes.items():
        network.load_state_dict(strong if mistake.strong else state)
        if mistake.strong and enlarged is None:
            enlarged = logits(network, small)
            assert np.abs(enlarged - oracle.recorded()[f"{case.name}/strong/logits"]).max() <= case.tolerance
        base = enlarged if mistake.strong else right
        with pytest.MonkeyPatch.context() as patch:
            mistake.make(network, patch)
            changed = np.abs(logits(network, small) - base).max()
        network.load_state_dict(state)
        assert changed > 2 * case.tolerance, name
        assert changed == pytest.approx(mistake.change, rel=0.15), name


def with_tables(network: VideoNetwork, factor: float) -> dict[str, Tensor]:
    tables = ("table", "token", "places", "times")
    return {
        key: value * factor if key.rpartition(".")[2] in tables else value
        for key, value in network.state_dict().items()
    }


@pytest.mark.parametrize("case", CASES, ids=str, scope="function")
def test_parameters_and_multiplications(case: Case) -> None:
    cost = cost_of(case.full)
    assert cost.parameters == case.parameters
    assert cost.multiplications / 1e9 == pytest.approx(case.gmac, abs=0.006)


@pytest.mark.large
@pytest.mark.parametrize("case", CASES, ids=str, scope="function")
def test_an_imported_checkpoint_gives_the_oracles_logits_in_every_runtime(case: Case, tmp_path: Path) -> None:
    """mmaction2's layout, written as a file, through `engines import` into ONNX Runtime and OpenVINO."""
    recorded = oracle.recorded()
    torch.save({"state_dict": oracle.weights(case.name, **case.replaced)}, tmp_path / "published.pth")
    fields = msgspec.to_builtins(case.small)
    settings = [f"--set={key}={fields[key]}" for key in ("size", "slow_length") if key in fields]
    arguments = ["import", str(tmp_path / "published.pth"), "--network", fields["architecture"]]
    assert main([*arguments, *settings, "--out", str(tmp_path / "bundle")]) == 0
    clips, wanted = oracle.clips(2, *case.small.clip_shape).numpy(), recorded[f"{case.name}/logits"]
    for name in ("onnxruntime", "openvino"):
        with open_runtime(Bundle.load(tmp_path / "bundle"), name, threads=1) as runtime:
            got = runtime.infer(clips).logits
        assert np.abs(got - wanted).max() <= 1e-3 * np.abs(wanted).max(), name


@pytest.mark.large
@pytest.mark.parametrize("case", CASES, ids=str, scope="function")
def test_full_size(case: Case) -> None:
    recorded = oracle.recorded()
    network = loaded(case, case.full)
    clips = oracle.clips(1, *case.full.clip_shape)
    assert np.abs(logits(network, clips) - recorded[f"{case.name}/full/logits"]).max() <= case.tolerance
    wanted = recorded[f"{case.name}/full/feature"]
    assert np.abs(features(network, clips, wanted.shape) - wanted).max() <= case.tolerance
