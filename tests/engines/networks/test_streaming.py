"""A network that carries states sees of each frame what the clip of all frames so far shows it."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
import torch

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.export.weights import read_network
from engines.networks.manet import MANet
from engines.networks.registry import build, make_spec
from engines.patterns import moving_patterns
from engines.runtimes import RUNTIMES, Video, open_runtime
from engines.specs.manet import MANetSpec

RESETS = (0, 412, 700, 1000)  # where the states are zeros, and the end
SETTINGS = (("depth=18", "width=8"), ("depth=18", "width=8", "se_ratio=0", "embedding=false"), ("depth=50", "width=8"))


def of_clip(network: MANet, frames: np.ndarray) -> np.ndarray:
    """(n, S, S, 3) as one clip → (n, 52): the mean of the logits of each frame and the T - 1 before it."""
    length = network.spec.length
    for module in network.modules():
        if hasattr(module, "past"):
            module.length = len(frames)
    with torch.inference_mode():
        maps = network.backbone(network.pixels(torch.from_numpy(frames[None])).flatten(0, 1))
        logits = network.classifier(maps.mean(dim=(2, 3))).double().numpy()
    return np.stack([logits[max(0, at + 1 - length) : at + 1].mean(axis=0) for at in range(len(frames))])


def video(count: int, size: int) -> np.ndarray:
    """uint8 (count, size, size, 3)."""
    return moving_patterns(5, -(-count // 8), 8, size).reshape(-1, size, size, 3)[:count].copy()


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_clip_is_its_frames_one_after_the_other(settings: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    network = build(make_spec("manet", [*settings, "size=45", "shift=past"])).eval()
    clips = torch.from_numpy(moving_patterns(1, 2, 8, 45))
    states = {name: torch.zeros(2, *shape) for name, shape in network.spec.states.items()}
    with torch.inference_mode():
        want = network(clips)
        for at in range(8):
            found, states = network.predict(clips[:, at], states)
    assert found.keys() == want.keys()
    for name, values in want.items():
        torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-4 * float(values.abs().max()))
    assert {name: tuple(one.shape[1:]) for name, one in states.items()} == network.spec.states


def check_frames(network: MANet, bundle: Bundle, name: str, size: int, resets: tuple[int, ...]) -> None:
    frames = video(resets[-1], size)
    found, one_video = [], Video()
    with open_runtime(bundle, name, threads=1) as runtime:
        for at, frame in enumerate(frames):
            if at == resets[1]:
                further = [runtime.predict(one[None], [one_video])["logits"][0] for one in frames[at : at + 3]]
            if at in resets:
                one_video.begin()
            found.append(runtime.predict(frame[None], [one_video])["logits"][0])
    parts = [of_clip(network, frames[start:stop]) for start, stop in itertools.pairwise(resets)]
    want = np.concatenate(parts)
    assert np.abs(np.stack(found) - want).max() <= 1e-4 * np.abs(want).max()
    assert np.abs(want[resets[1] + 2] - further[-1]).max() > 1e-2 * np.abs(want).max()  # a reset shows


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_a_thousand_frames_with_two_resets_are_the_clips_since_the_resets(streaming_bundle: Bundle, name: str) -> None:
    network = read_network(streaming_bundle)
    assert isinstance(network, MANet)
    if not RUNTIMES[name].availability():
        pytest.skip(str(RUNTIMES[name].availability()))
    check_frames(network, streaming_bundle, name, 32, RESETS)


@pytest.mark.large
@pytest.mark.timeout(1200)
def test_two_hundred_frames_with_two_resets_at_full_size(
    official_weights: dict[str, torch.Tensor], tmp_path_factory
) -> None:
    """The official network's size and scale of weights, in the fastest of the CPU's runtimes."""
    from engines.card import ModelCard, Provenance
    from engines.export.onnx_export import write_bundle

    network = MANet(MANetSpec(shift="past", embedding=False)).eval()
    layout = network.pretrained_layouts()["official"]
    network.load_state_dict({name: official_weights[layout.theirs(name)[0]] for name in network.state_dict()})
    provenance = Provenance(trained=False, trained_on="nothing: untrained", seed=7)
    card = ModelCard(name="full", network=network.spec, intended_use="tests", provenance=provenance)
    bundle = write_bundle(network, card, tmp_path_factory.mktemp("full") / "full")
    check_frames(network, bundle, "onnxruntime", 224, (0, 60, 140, 200))  # a clip of more takes gigabytes


def test_no_score_depends_on_a_later_frame() -> None:
    torch.manual_seed(1)
    network = build(make_spec("manet", ["depth=18", "width=8", "size=32", "shift=past"])).eval()
    frames = video(12, 32)
    changed = frames.copy()
    changed[8:] = 255 - changed[8:]
    before, after = of_clip(network, frames), of_clip(network, changed)
    np.testing.assert_array_equal(before[:8], after[:8])
    assert np.abs(before[8:] - after[8:]).max(axis=1).min() > 1e-5


def test_the_state_of_the_published_network_takes_three_megabytes() -> None:
    spec = make_spec("manet", ["shift=past", "embedding=false"])
    assert list(spec.graph_inputs) == ["frames", *spec.states]
    assert len(spec.states) == 16 + 2
    assert spec.states["past.1.0"] == (8, 56, 56)
    assert spec.states["past.4.2"] == (256, 7, 7)
    assert 4 * sum(int(np.prod(shape)) for shape in spec.states.values()) == 2_811_316
    assert spec.title == "MANet-50, 8 x 224 x 224, streaming"


def test_a_shift_from_the_past_alone_is_written_where_it_is_so() -> None:
    assert b'shift"' not in msgspec.json.encode(make_spec("manet"))
    assert b'"shift":"past"' in msgspec.json.encode(make_spec("manet", ["shift=past"]))
    with pytest.raises(BadInput, match="got both"):
        make_spec("manet", ["shift=past", "mirrored=true"])
    with pytest.raises(BadInput, match="Invalid enum value 'future'"):
        make_spec("manet", ["shift=future"])
