"""What holds for every video and emotion network: it runs elsewhere, comes back from a checkpoint, and learns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pytest
import torch

from engines.__main__ import main
from engines.bundle import Bundle
from engines.export.onnx_export import to_onnx
from engines.networks.contract import Network
from engines.networks.cost import cost_of
from engines.networks.pretrained import write_checkpoint
from engines.networks.registry import build, make_spec
from engines.patterns import example_inputs
from realtime.cli import main as live
from simulation.session import Settings, simulate
from simulation.windows import draw
from tests.engines.networks.oracle import filled
from tests.realtime.sessions import LEAVE, Terminal

pytestmark = pytest.mark.slow

SMALL = {
    "tsn": "depth=18 width=16 size=64",
    "tsm": "depth=18 width=16 size=64",
    "tin": "depth=18 width=16 size=64",
    "c3d": "width=8 hidden=64 size=32",
    "i3d": "width=8 length=16 size=64",
    "slowfast": "width=32 length=16 slow_length=2 size=64",
    "video_swin": "width=24 depths=[2,2,2,2] size=64",
    "timesformer": "width=48 heads=4 layers=2 size=64",
    "uniformer": "depths=[1,1,1,1] widths=[16,32,64,64] head_width=16 size=64",
    "videomae": "width=48 heads=4 layers=2 size=64",
    "emotion_fan": "width=16 length=4 size=64",
    "vaanet": "depth=18 width=8 hidden=32 snippets=2 size=64",
}
# One network of each kind of layer: convolutions over time, attention.
QUICK = ("c3d", "videomae")
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.large) for name in SMALL]


def small(name: str) -> Network:
    """A network with weights by the oracle's rule."""
    network = build(make_spec(name, SMALL[name].split())).eval()
    state = network.state_dict().items()
    network.load_state_dict(
        {key: filled(key, tuple(value.shape)) if value.is_floating_point() else value for key, value in state}
    )
    return network


def scores(network: Network, inputs: dict[str, np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        outputs = network(*(torch.from_numpy(array) for array in inputs.values()))
    return outputs[next(iter(network.spec.outputs))].numpy()


@pytest.mark.parametrize("name", EVERY)
def test_other_runtimes_give_what_torch_gives(name: str) -> None:
    network = small(name)
    graph = to_onnx(network)
    inputs = dict(example_inputs(network.spec, 1, 3))
    output = next(iter(network.spec.outputs))
    wanted = scores(network, inputs)
    allowed = 1e-3 * np.abs(wanted).max()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 3):
        some = {key: array[:count] for key, array in inputs.items()}
        assert np.abs(session.run([output], some)[0] - wanted[:count]).max() <= allowed
        assert np.abs(compiled(some)[output] - wanted[:count]).max() <= allowed


@pytest.mark.parametrize("name", EVERY)
def test_a_published_checkpoint_becomes_a_bundle(name: str, tmp_path: Path) -> None:
    network = small(name)
    layout = next(iter(network.pretrained_layouts()))
    write_checkpoint(network, layout, tmp_path / "published.pth")
    settings = [f"--set={setting}" for setting in SMALL[name].split()]
    arguments = ["import", str(tmp_path / "published.pth"), "--network", name, "--out", str(tmp_path / "bundle")]
    assert main([*arguments, *settings]) == 0
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.card.trained
    inputs = dict(example_inputs(network.spec, 1, 2))
    wanted = scores(network, inputs)
    session = onnxruntime.InferenceSession(str(bundle.onnx_path), providers=["CPUExecutionProvider"])
    got = session.run([next(iter(network.spec.outputs))], inputs)[0]
    assert np.abs(got - wanted).max() <= 1e-3 * np.abs(wanted).max()


# Small enough to learn in seconds; the large transformers with fewer layers.
LEARNING = {
    "manet": "depth=18 width=8 size=32 length=4 embedding=false",
    "tsn": "depth=18 width=8 size=32 length=2",
    "tsm": "depth=18 width=8 size=32 length=4",
    "tin": "depth=18 width=16 size=32 length=4",
    "c3d": "width=8 hidden=64 size=32",
    "i3d": "width=8 length=8 size=32",
    "slowfast": "width=32 length=8 slow_length=2 size=32",
    "video_swin": "width=24 depths=[2,2,2,2] size=32 length=8",
    "timesformer": "width=48 heads=4 layers=2 size=32 length=4",
    "uniformer": "depths=[1,1,1,1] widths=[16,32,64,64] head_width=16 size=32 length=8",
    "videomae": "width=48 heads=4 layers=1 size=32 length=8",
    "maenet": "face=null layers=1 body.depth=18 body.width=16 body.size=32 lower_limb=false",
    "emotion_fan": "width=16 length=3 size=32",
    "vaanet": "depth=18 width=8 hidden=32 snippets=2 size=32",
}
MOST_STEPS, JUDGED_EVERY = 1500, 20


def simulated_windows(length: int, size: int) -> np.ndarray:
    """32 windows of a simulated interview's drawings, uint8 (32, T, S, S, 3)."""
    session = simulate(3, 20.0, 15.0, Settings())
    first = np.linspace(0, len(session) - 30, 32).astype(np.int64)
    return draw(session, first[:, None] + np.linspace(0, 28, length).astype(np.int64), size)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ("tsn", "videomae") else pytest.mark.large) for name in LEARNING]
)
def test_learns_32_windows_of_simulated_drawings_by_heart(name: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = build(make_spec(name, LEARNING[name].split()))
    output = next(iter(network.spec.outputs))
    classes = network.spec.outputs[output][0]
    pictures = next(shape for shape in network.spec.inputs.values() if len(shape) > 1)
    clips = torch.from_numpy(simulated_windows(*pictures[:2]))
    seen = [torch.ones(32, *shape, dtype=torch.uint8) for shape in network.spec.inputs.values() if len(shape) == 1]
    labels = torch.arange(32) % classes
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.0)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for step in range(1, MOST_STEPS + 1):
        network.train()
        loss = torch.nn.functional.cross_entropy(network(clips, *seen)[output], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % JUDGED_EVERY == 0 and right(network, [clips, *seen], output, labels):
            return
    raise AssertionError(f"{name}: not all of 32 windows after {MOST_STEPS} steps, loss {loss.item():.3g}")


def right(network: Network, inputs: list[torch.Tensor], output: str, labels: torch.Tensor) -> bool:
    network.eval()
    with torch.inference_mode():
        return network(*inputs)[output].argmax(dim=1).equal(labels)


# Moments of a clip that the small networks have, and whether the classifier reads their mean.
MOMENTS = {"tsn": (8, True), "tsm": (8, True), "tin": (8, True), "c3d": (2, False), "i3d": (2, True)}
MOMENTS |= {"slowfast": (2, False), "video_swin": (16, True), "timesformer": (8, False), "uniformer": (8, True)}
MOMENTS |= {"videomae": (8, False)}


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.large if one in ("slowfast", "video_swin") else ()) for one in MOMENTS]
)
def test_moments_are_those_of_the_clip_in_their_order(name: str) -> None:
    count, averaged = MOMENTS[name]
    network, seen = small(name), []
    layer = network.get_submodule(network.moment_layer)
    layer.register_forward_hook(lambda _module, _inputs, output: seen.append(network.moments(output)))
    clips = torch.from_numpy(example_inputs(network.spec, 1, 2)["clips"]).clone()
    with torch.inference_mode():
        features = network.features(clips)
        clips[:, -len(clips[0]) // count :] //= 2  # the last moment's pictures
        network.features(clips)
    first, second = seen
    assert first.shape[:2] == (2, count)
    if averaged:
        torch.testing.assert_close(first.mean(dim=1), features, atol=1e-5, rtol=1e-4)
    changes = (first - second).abs().amax(dim=(0, 2))
    assert changes.argmax() >= count - 2, changes


@pytest.mark.parametrize("name", ["tsn", "timesformer", "vaanet"])
def test_gradients_reach_every_weight_that_is_not_fixed(name: str) -> None:
    network = small(name).train()
    outputs = network(*(torch.from_numpy(array) for array in example_inputs(network.spec, 1, 2).values()))
    sum(output.square().mean() for output in outputs.values()).backward()
    silent = {
        key for key, one in network.named_parameters() if one.requires_grad and (one.grad is None or not one.grad.any())
    }
    assert silent == set()
    assert any(not one.requires_grad for one in network.parameters()) == (name == "vaanet")


def test_cost_is_counted() -> None:
    parameters, multiplications = cost_of(make_spec("emotion_fan", ["length=1"]))
    assert parameters == 11_183_175
    assert multiplications / 1e9 == pytest.approx(1.81, abs=0.01)


@pytest.mark.large
@pytest.mark.parametrize("name", [name for name in SMALL if make_spec(name).task == "actions"])
def test_a_real_clip_is_replayed_headless_and_in_the_overlay(
    name: str, clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = [f"--set={setting}" for setting in SMALL[name].split()]
    assert main(["init", "--network", name, "--out", str(tmp_path / "bundle"), *settings]) == 0
    capfd.readouterr()
    command = ["replay", str(clips / "seated_B2_shaking_head.mp4"), "--model", str(tmp_path / "bundle")]
    command += ["--no-emotion", "--speed", "max"]
    assert live([*command, "--headless"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines[-1]["state"] == "ended"
    stats = [line for line in lines if line["kind"] == "stats"]
    assert stats[-1]["windows"] == stats[-1]["windows_due"] > 0
    terminal = Terminal(*command)
    try:
        terminal.read_until(re.escape(LEAVE) + rb"[^$]*UNTRAINED WEIGHTS", seconds=120.0)  # the last state
        assert terminal.process.wait(30) == 0
        assert "▀".encode() in terminal.seen, "the person's picture"
        assert b"Traceback" not in terminal.seen
    finally:
        terminal.close()
