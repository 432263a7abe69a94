"""The networks for emotions give what their originals give, from the originals' layouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.networks.contract import EmotionNetwork
from engines.networks.emotion_fan import EmotionFAN, weighted_mean
from engines.networks.layouts import best_layout, load_pretrained
from engines.networks.vaanet import VAANet
from engines.specs.base import NUM_EMOTIONS
from engines.specs.emotion import EmotionFANSpec, VAANetSpec
from tests.engines.networks import oracle

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
PUBLISHED_EMOTIONS = 7  # of Emotion-FAN


def load(network: EmotionNetwork, weights: dict[str, Tensor], layout: str) -> None:
    layouts = network.pretrained_layouts()
    assert best_layout(network, weights, layouts) == layout
    assert load_pretrained(network.eval(), weights, layouts[layout]).fresh == ()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def fan(relation: bool, length: int, size: int) -> EmotionFAN:
    """Emotion-FAN with the oracle's weights and its seven emotions."""
    network = EmotionFAN(EmotionFANSpec(length=length, size=size, relation=relation))
    network.emotion = nn.Linear(network.emotion.in_features, PUBLISHED_EMOTIONS)
    load(network, oracle.weights("emotion_fan"), "authors")
    return network


def emotion(network: EmotionNetwork, pictures: Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network(pictures, torch.ones(pictures.shape[:2], dtype=torch.uint8))["emotion"].numpy()


@pytest.mark.parametrize("relation", [True, False])
def test_emotion_fan(relation: bool) -> None:
    recorded = oracle.recorded()
    kind = "relation" if relation else "self"
    network = fan(relation, 3, 64)
    for blocks, clips in (("", oracle.clips(2, 3, 64, 64, 3)), ("coarse/", oracle.coarse_clips(2, 3, 64, 64))):
        wanted = recorded[f"emotion_fan/{blocks}{kind}/train_form_logits"]
        assert np.abs(emotion(network, clips) - wanted).max() <= TOLERANCE


def test_features_and_attention_of_emotion_fan() -> None:
    recorded = oracle.recorded()
    network = fan(False, 5, 64)
    with torch.inference_mode():
        features = network.frame_features(oracle.clips(2, 5, 64, 64, 3))
        alphas = torch.sigmoid(network.alpha(features))
        mean = weighted_mean(features, alphas)
    for name, got in (("frame_features", features.flatten(0, 1)), ("alphas", alphas.flatten(0, 1)), ("vm", mean)):
        assert np.abs(got.numpy() - recorded[f"emotion_fan/{name}"]).max() <= TOLERANCE


def test_traces_of_emotion_fan() -> None:
    recorded = oracle.recorded()
    network = fan(True, 3, 64)
    modules = {"conv1": "stem.conv", "maxpool": "pool"} | {f"layer{n}": f"layer{n}" for n in (1, 2, 3, 4)}
    traces: dict[str, Tensor] = {}
    for theirs, ours in modules.items():
        module = network.backbone.get_submodule(ours)
        module.register_forward_hook(lambda _module, _inputs, output, name=theirs: traces.update({name: output}))
    emotion(network, oracle.clips(2, 3, 64, 64, 3))
    for name, got in traces.items():
        wanted = recorded[f"emotion_fan/trace/{name}"]
        assert tuple(recorded[f"emotion_fan/trace/{name}@shape"]) == got.shape
        assert np.abs(oracle.summary(got) - wanted).max() <= TOLERANCE * max(1.0, np.abs(wanted).max()), name


def test_parameters_of_emotion_fan() -> None:
    """The published network keeps the classifier of either kind of attention; ours has the one that it uses."""
    with torch.device("meta"):
        network = EmotionFAN(EmotionFANSpec())
    other_head = NUM_EMOTIONS * (512 + 1)
    assert parameters(network) + other_head == 11_185_740


@pytest.mark.large
def test_emotion_fan_at_full_size() -> None:
    for relation, name in ((True, "logits"), (False, "self_logits")):
        got = emotion(fan(relation, 3, 224), oracle.clips(1, 3, 224, 224, 3))
        assert np.abs(got - oracle.recorded()[f"emotion_fan/full/{name}"]).max() <= TOLERANCE


def test_a_face_that_is_not_seen_has_no_influence() -> None:
    torch.manual_seed(0)
    network = EmotionFAN(EmotionFANSpec(length=4, size=32, width=8)).eval()
    faces = oracle.clips(1, 4, 32, 32, 3)
    seen = torch.tensor([[1, 0, 1, 1]], dtype=torch.uint8)
    other = faces.clone()
    other[:, 1] = 255 - other[:, 1]
    with torch.inference_mode():
        assert torch.equal(network(faces, seen)["emotion"], network(other, seen)["emotion"])
        assert not torch.equal(network(faces, 1 - seen)["emotion"], network(other, 1 - seen)["emotion"])
        nothing = network(faces, torch.zeros_like(seen))["emotion"]
    assert torch.allclose(nothing, network.emotion.bias, atol=1e-6)


@pytest.fixture(scope="module")
def vaanet() -> VAANet:
    network = VAANet(VAANetSpec())
    load(network, oracle.weights("vaanet_visual"), "authors")
    return network


def snippets(count: int) -> Tensor:
    """The oracle's clips, (N, T, S, S, 3)."""
    return oracle.clips(count * 12, 16, 112, 112, 3).reshape(count, 192, 112, 112, 3)


def test_first_snippet_of_vaanet(vaanet: VAANet) -> None:
    recorded = oracle.recorded()
    with torch.inference_mode():
        maps = vaanet.maps(vaanet.pixels(snippets(2)[:1, :16]))
        places = vaanet.place_weights(maps)
        channels = vaanet.channel_weights(maps * places[:, None])
    assert np.abs(places[0].numpy() - recorded["vaanet_visual/alpha"][0, 0]).max() <= TOLERANCE
    assert np.abs(channels[0].numpy() - recorded["vaanet_visual/beta"][0, 0]).max() <= TOLERANCE


@pytest.mark.large
def test_vaanet(vaanet: VAANet) -> None:
    recorded = oracle.recorded()
    weights: list[Tensor] = []
    attention = vaanet.snippet_attention.register_forward_hook(lambda *found: weights.append(found[2].relu()))
    assert np.abs(emotion(vaanet, snippets(2)) - recorded["vaanet_visual/logits"]).max() <= TOLERANCE
    assert np.abs(weights[0].numpy() - recorded["vaanet_visual/gamma"]).max() <= TOLERANCE
    attention.remove()
    blocks = oracle.coarse_clips(12, 16, 112, 112).reshape(1, 192, 112, 112, 3)
    assert np.abs(emotion(vaanet, blocks) - recorded["vaanet_visual/coarse/logits"]).max() <= TOLERANCE


def test_parameters_of_vaanet() -> None:
    with torch.device("meta"):
        network = VAANet(VAANetSpec())
    assert parameters(network) == 86_561_399
    fixed = sum(parameter.numel() for parameter in network.parameters() if not parameter.requires_grad)
    assert fixed == parameters(network.backbone) == 85_245_120


def test_a_snippet_that_is_not_seen_has_no_influence() -> None:
    torch.manual_seed(0)
    network = VAANet(VAANetSpec(snippets=2, size=32, depth=18, width=8, hidden=16)).eval()
    nn.init.normal_(network.snippet_attention.linear.weight)
    pictures = oracle.clips(1, 32, 32, 32, 3)
    seen = torch.ones(1, 32, dtype=torch.uint8)
    seen[:, 16:] = 0
    other = pictures.clone()
    other[:, 16:] = 255 - other[:, 16:]
    with torch.inference_mode():
        assert torch.equal(network(pictures, seen)["emotion"], network(other, seen)["emotion"])
        assert not torch.equal(network(pictures, 1 - seen)["emotion"], network(other, 1 - seen)["emotion"])


def test_starts_of_the_emotion_networks() -> None:
    """Backbones alone, as the authors begin with them."""
    shapes = oracle.shapes("resnet101_3d_kinetics400")
    weights = {f"module.{key}": torch.ones(shape) for key, shape in shapes.items()}
    network = VAANet(VAANetSpec())
    layouts = network.pretrained_layouts()
    assert best_layout(network, weights, layouts) == "ResNet on Kinetics"
    loaded = load_pretrained(network, weights, layouts["ResNet on Kinetics"])
    assert loaded.count == len(shapes) - 2
    assert not any(name.startswith("backbone.") for name in loaded.fresh)
    assert network.backbone.layer4[2].conv3.conv.weight.eq(1).all()
    faces = {
        key: value for key, value in oracle.weights("emotion_fan").items() if key[0] in "bcl" and key[:4] != "beta"
    }
    faces |= {"fc.weight": torch.zeros(8, 512), "fc.bias": torch.zeros(8)}
    face_network = EmotionFAN(EmotionFANSpec())
    given = {f"module.{key}": value for key, value in faces.items()}
    layouts = face_network.pretrained_layouts()
    assert best_layout(face_network, given, layouts) == "authors' ResNet"
    assert load_pretrained(face_network, given, layouts["authors' ResNet"]).count == len(faces) - 2
