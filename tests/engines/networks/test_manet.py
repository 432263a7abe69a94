from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from engines.networks.blocks import temporal_shift
from engines.networks.initialise import initialise
from engines.networks.manet import MANet
from engines.networks.pretrained import Checkpoint, load_checkpoint
from engines.patterns import moving_patterns
from engines.specs.manet import MANetSpec
from tests.engines.conftest import SMALL
from tests.engines.networks.official_reference import official_forward, shift_frame_by_frame

pytestmark = pytest.mark.slow


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_the_official_ones() -> None:
    with torch.device("meta"):
        network = MANet(MANetSpec())
        bare = MANet(MANetSpec(embedding=False))
        unused = network.unused_tensors("official")
    dead = sum(value.numel() for value in unused.values())
    gates = sum(parameters(m) for name, m in network.named_modules() if name.endswith("mix"))
    assert parameters(bare) == 31_579_252
    assert parameters(network) - parameters(bare) == 705_000
    assert dead == 10_951_424
    assert parameters(network) + dead == 43_235_676
    assert (gates, parameters(network.classifier)) == (7_964_672, 106_548)


def test_answers_as_the_official_description_says(official_weights: dict[str, torch.Tensor]) -> None:
    network = MANet(MANetSpec(size=96)).eval()
    load_checkpoint(network, Checkpoint(official_weights, "", True))
    clips = torch.from_numpy(moving_patterns(5, 2, 8, 96))
    with torch.inference_mode():
        outputs = network(clips)
        want_logits, want_embedding = official_forward(official_weights, clips)
    assert want_logits.std() > 0.1  # the comparison means something
    for got, want in ((outputs["logits"], want_logits), (outputs["embedding"], want_embedding)):
        assert (got - want).abs().max() <= 1e-5 * want.abs().max()


@pytest.mark.parametrize("length", [4, 8, 16])
def test_shift_moves_eighths_and_stays_inside_the_clip(length: int) -> None:
    frames = torch.randn(3 * length, 20, 2, 3)  # 20 channels: the fold is rounded down
    shifted = temporal_shift(frames, length, 8)
    fold_of_16 = frames[:, :16]
    np.testing.assert_array_equal(temporal_shift(fold_of_16, length, 8), shift_frame_by_frame(fold_of_16, length))
    np.testing.assert_array_equal(shifted[:, 4:], frames[:, 4:])
    assert not shifted[length - 1 :: length, :2].any()
    assert not shifted[::length, 2:4].any()


@pytest.mark.parametrize(
    "spec",
    [
        MANetSpec(depth=18, width=8, size=48, length=4, embedding=False),
        MANetSpec(depth=34, width=16, size=33, length=16, shift_fraction=4, se_ratio=2),
        MANetSpec(depth=50, width=8, size=64),
    ],
)
def test_every_shape_of_network_runs(spec: MANetSpec) -> None:
    clips = torch.zeros(2, *spec.clip_shape, dtype=torch.uint8)
    outputs = MANet(spec).eval()(clips)
    assert {name: tuple(o.shape[1:]) for name, o in outputs.items()} == spec.outputs


def test_without_squeeze_and_excitation_only_the_gates_are_gone() -> None:
    """MANet paper, Table V, "w/o SE"."""
    with torch.device("meta"):
        full, plain = MANet(MANetSpec()).state_dict(), MANet(MANetSpec(se_ratio=0)).state_dict()
    assert {name for name in full if ".mix." not in name} == plain.keys()
    clips = torch.zeros(2, 8, 32, 32, 3, dtype=torch.uint8)
    spec = MANetSpec(depth=18, width=8, size=32, se_ratio=0, embedding=False)
    assert MANet(spec).eval()(clips)["logits"].shape == (2, 52)


def test_clips_do_not_see_each_other() -> None:
    network = initialise(SMALL, 0)
    clips = torch.from_numpy(moving_patterns(8, 3, 8, 64))
    with torch.inference_mode():
        together = network(clips)["logits"]
        alone = torch.cat([network(clip[None])["logits"] for clip in clips])
    assert torch.allclose(together, alone, atol=1e-5)


def test_order_of_frames_matters() -> None:
    network = initialise(SMALL, 0)
    clips = torch.from_numpy(moving_patterns(8, 1, 8, 64))
    with torch.inference_mode():
        assert (network(clips)["logits"] - network(clips.flip(1))["logits"]).abs().max() > 0.01


def test_training_mode_learns() -> None:
    """Gradients reach every parameter: nothing is cut off, gates and embedding head included."""
    torch.manual_seed(0)
    network = MANet(MANetSpec(depth=18, width=64, size=32)).train()
    heads = network(torch.randint(0, 256, (2, 8, 32, 32, 3), dtype=torch.uint8))
    (heads["logits"].square().mean() + heads["embedding"].square().mean()).backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize(
    "fields", [{"depth": 101}, {"width": 12}, {"length": 5}, {"size": 8}, {"num_classes": 51}, {"layers": 3}]
)
def test_impossible_networks_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, MANetSpec)
