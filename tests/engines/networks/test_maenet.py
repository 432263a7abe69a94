"""The emotion network: Eq. 7, its losses' paths, its masks, and its bundle in every runtime."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch

from engines.__main__ import main
from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.compare import compare_bundles
from engines.export.onnx_export import TOLERANCES, half_bundle
from engines.export.weights import read_network
from engines.networks.initialise import initialise
from engines.networks.maenet import MAENet, mean_of_seen
from engines.networks.manet import MANet
from engines.patterns import example_inputs
from engines.runtimes import RUNTIMES, check_parity, open_runtime
from engines.specs.maenet import MAENetSpec
from engines.specs.manet import MANetSpec
from engines.taxonomy import ACTIONS, EMOTIONS
from tests.conftest import Kept

pytestmark = pytest.mark.slow

BODY = MANetSpec(depth=18, width=8, length=16, size=48, embedding=False)
FACE = MANetSpec(depth=18, width=16, length=16, size=32, embedding=False)
SPECS = {"full": MAENetSpec(BODY, FACE), "face": MAENetSpec(None, FACE), "action": MAENetSpec(BODY, None)}
BRANCHES = {"full": (), "face": ("--set", "body=null"), "action": ("--set", "face=null")}
FIELDS = ("body.depth=18", "body.width=8", "body.size=48", "face.depth=18", "face.width=16", "face.size=32")
COMMON = ("--network", "maenet", "--view", "landmarks", "--seed", "5", *(f"--set={field}" for field in FIELDS))


@pytest.fixture(
    scope="module", params=["full", *(pytest.param(one, marks=pytest.mark.long) for one in ("face", "action"))]
)
def spec(request: pytest.FixtureRequest) -> MAENetSpec:
    return SPECS[request.param]


@pytest.fixture(scope="module")
def network(spec: MAENetSpec) -> MAENet:
    torch.manual_seed(1)
    return MAENet(spec).eval()


@pytest.fixture(scope="module")
def made(kept: Kept) -> Callable[[str], Bundle]:
    """A bundle with these branches, made once."""
    paths: dict[str, Path] = {}

    def of(branches: str) -> Bundle:
        def make(path: Path) -> None:
            assert main(["init", *COMMON, *BRANCHES[branches], "--out", str(path)]) == 0

        if branches not in paths:
            paths[branches] = kept(f"maenet-{branches}", make)
        return Bundle.load(paths[branches])

    return of


@pytest.fixture(scope="module")
def bundle(spec: MAENetSpec, made: Callable[[str], Bundle]) -> Bundle:
    return made(next(name for name, each in SPECS.items() if each == spec))


def inputs_of(spec: MAENetSpec, seed: int = 3, count: int = 2) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in example_inputs(spec, seed, count).items()}


def answer(network: MAENet, inputs: dict[str, torch.Tensor]) -> SimpleNamespace:
    with torch.inference_mode():
        return SimpleNamespace(**network.eval()(*inputs.values()))


def test_shapes_are_those_of_eq_7(spec: MAENetSpec, network: MAENet) -> None:
    """A in R^(N_A), E in R^(N_E) from [X_face; X_act], T = 16."""
    got = answer(network, inputs_of(spec))
    assert got.emotion.shape == (2, len(EMOTIONS))
    assert got.actions.shape == (2, len(ACTIONS))
    assert network.emotion.in_features == sum(branch.features for branch in spec.branches)
    assert network.actions.in_features == spec.branches[0].features
    assert spec.length == 16


def test_eq_7_by_hand() -> None:
    """With every frame seen: A = FC(mean X_act), E = FC(mean [X_face; X_act])."""
    torch.manual_seed(2)
    network = MAENet(SPECS["full"]).eval()
    inputs = inputs_of(SPECS["full"])
    inputs["body_seen"][:], inputs["face_seen"][:] = 1, 1
    got = answer(network, inputs)
    with torch.inference_mode():
        face = network.face.frame_features(inputs["face"], torch.ones(2, 16))
        body = network.body.frame_features(inputs["body"], torch.ones(2, 16))
        acted = network.encoder(body, torch.ones(2, 16))
        together = torch.cat((face, acted), dim=2).mean(dim=1)  # AvgPool([X_face; X_act])
        torch.testing.assert_close(got.emotion, network.emotion(together))
        torch.testing.assert_close(got.actions, network.actions(acted.mean(dim=1)))


def test_parameters_are_two_manets_without_heads_an_encoder_and_two_classifiers() -> None:
    network = MAENet(SPECS["full"])

    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    d = BODY.features
    layer = 4 * d * d + 4 * d + 2 * 4 * d * d + 5 * d + 4 * d  # attention, feed-forward, two norms
    trunks = sum(count(MANet(branch)) - branch.features * 52 - 52 for branch in (BODY, FACE))
    heads = d * 52 + 52 + (d + FACE.features) * 5 + 5
    assert count(network) == trunks + 2 * layer + 16 * d + 2 * d + heads
    assert len(network.encoder.layers) == 2  # "a two-layer transformer encoder"


def test_the_encoder_is_the_library_s(network: MAENet) -> None:
    """The same as torch's own pre-norm layer with the same weights."""
    if network.encoder is None:
        pytest.skip("no micro-action branch")
    mine, d = network.encoder.layers[0], BODY.features
    theirs = torch.nn.TransformerEncoderLayer(d, mine.attention.heads, 4 * d, batch_first=True, norm_first=True).eval()
    pairs = {
        "self_attn.in_proj_": mine.attention.qkv,
        "self_attn.out_proj.": mine.attention.output,
        "linear1.": mine.hidden,
        "linear2.": mine.output,
        "norm1.": mine.attention_norm,
        "norm2.": mine.feed_norm,
    }
    theirs.load_state_dict(
        {f"{name}{kind}": getattr(module, kind) for name, module in pairs.items() for kind in ("weight", "bias")}
    )
    x = torch.randn(3, 16, d)
    seen = torch.ones(3, 16)
    seen[1, 4:9] = 0
    with torch.inference_mode():
        want = theirs(x, src_key_padding_mask=seen == 0)
        got = mine(x, seen)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_weight_of_both_branches() -> None:
    network = MAENet(SPECS["full"]).train()
    got = network(*inputs_of(SPECS["full"], count=3).values())
    (got["emotion"].logsumexp(1).sum() + got["actions"].square().sum()).backward()
    still = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert [name for name in still if ".mix." not in name] == []  # a gate of 2 units may be dead at first
    network.zero_grad()
    network(*inputs_of(SPECS["full"], count=3).values())["actions"].sum().backward()
    assert all(parameter.grad is None for parameter in network.face.parameters()), "A is of X_act alone"


@pytest.mark.parametrize("branch", ["body", "face"])
def test_what_was_not_seen_has_no_influence(branch: str) -> None:
    torch.manual_seed(3)
    network = MAENet(SPECS["full"]).eval()
    inputs = inputs_of(SPECS["full"])
    inputs[f"{branch}_seen"][:, 5:9] = 0
    before = answer(network, inputs)
    inputs[branch][:, 5:9] = torch.randint(0, 256, inputs[branch][:, 5:9].shape, dtype=torch.uint8)
    after = answer(network, inputs)
    assert torch.equal(before.emotion, after.emotion)
    assert torch.equal(before.actions, after.actions)
    inputs[branch][:, 4] = 255 - inputs[branch][:, 4]  # a seen one has
    assert not torch.equal(answer(network, inputs).emotion, after.emotion)


def test_a_full_model_works_with_the_face_alone_the_body_alone_and_nothing() -> None:
    torch.manual_seed(4)
    network = MAENet(SPECS["full"]).eval()
    inputs = inputs_of(SPECS["full"])
    inputs["body_seen"][:], inputs["face_seen"][:] = 1, 0
    body_alone = answer(network, inputs)
    inputs["body_seen"][:], inputs["face_seen"][:] = 0, 1
    face_alone = answer(network, inputs)
    inputs["face_seen"][:] = 0
    nothing = answer(network, inputs)
    for got in (body_alone, face_alone, nothing):
        assert torch.isfinite(got.emotion).all()
        assert torch.isfinite(got.actions).all()
    torch.testing.assert_close(nothing.emotion, network.emotion.bias.expand(2, -1))  # whatever the pixels
    torch.testing.assert_close(face_alone.actions, network.actions.bias.expand(2, -1))
    assert not torch.allclose(body_alone.emotion, face_alone.emotion)


def test_the_mean_is_over_the_seen_frames() -> None:
    x = torch.tensor([[[1.0, 10.0], [3.0, 30.0], [5.0, 50.0]]])
    torch.testing.assert_close(mean_of_seen(x, torch.tensor([[1.0, 0.0, 1.0]])), torch.tensor([[3.0, 30.0]]))
    torch.testing.assert_close(mean_of_seen(x, torch.zeros(1, 3)), torch.zeros(1, 2))


def test_without_lower_limb_labels_d_and_g_are_gone() -> None:
    """Table VII: 8 actions of the lower limbs and 4 of legs and hands."""
    spec = msgspec.structs.replace(SPECS["full"], lower_limb=False)
    assert len(spec.actions) == 40
    assert {ACTIONS[index].code[0] for index in spec.actions} == set("ABCEF")
    assert answer(MAENet(spec).eval(), inputs_of(spec)).actions.shape == (2, 40)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"body": None, "face": None}, "got neither"),
        ({"body": {"length": 8, "embedding": False}, "face": {"length": 16, "embedding": False}}, "of as many frames"),
        ({"body": {"length": 16}, "face": None}, "without the label-embedding head"),
        ({"body": {"length": 16, "embedding": False}, "face": None, "heads": 7}, "heads that divide"),
        ({"body": None, "face": {"length": 16, "embedding": False}, "emotions": ["joy"]}, "expected joy, sadness"),
    ],
)
def test_networks_that_cannot_be_are_refused(fields: dict, match: str) -> None:
    for name in ("body", "face"):
        if fields[name] is not None:
            fields[name]["architecture"] = "manet"
    with pytest.raises(msgspec.ValidationError, match=match):
        msgspec.convert(fields, MAENetSpec)


def test_the_bundle_keeps_the_network(bundle: Bundle, spec: MAENetSpec) -> None:
    card = bundle.card
    assert (card.network, card.length, card.size, card.emotion.face_size) == (
        spec,
        16,
        spec.picture_size,
        spec.face_size,
    )
    assert card.span_s == pytest.approx(3.8)
    assert not card.trained
    inputs = bundle.reference_arrays().inputs
    assert {name: array.shape[1:] for name, array in inputs.items()} == spec.inputs
    with torch.inference_mode():
        outputs = read_network(bundle)(*map(torch.from_numpy, inputs.values()))
    for name, want in bundle.reference_arrays().outputs.items():
        np.testing.assert_allclose(want, outputs[name].numpy(), rtol=1e-5, atol=1e-5)


def test_untrained_weights_respond_to_their_input(bundle: Bundle, spec: MAENetSpec) -> None:
    network = initialise(spec, 5)
    got = answer(network, inputs_of(spec, seed=20, count=8))
    assert got.emotion.std(dim=0).mean() > 0.5
    assert got.actions.std(dim=0).mean() > 0.5


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_every_runtime_gives_the_reference(bundle: Bundle, name: str) -> None:
    if not RUNTIMES[name].availability():
        pytest.skip(f"{name} is not installed")
    with open_runtime(bundle, name, threads=1) as runtime:
        assert check_parity(runtime) >= 0.0
        reference = bundle.reference_arrays()
        whole = runtime.run(reference.inputs)
        for index in range(len(reference)):  # a window's answer does not depend on the others of its batch
            single = runtime.run({key: array[index : index + 1] for key, array in reference.inputs.items()})
            np.testing.assert_allclose(single["emotion"][0], whole["emotion"][index], rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_other_inputs_are_refused(made: Callable[[str], Bundle], tmp_path: Path) -> None:
    bundle = made("full")
    inputs = dict(bundle.reference_arrays().inputs)
    with open_runtime(bundle, "onnxruntime", threads=1) as runtime:
        with pytest.raises(ValueError, match="expected body, body_seen, face, face_seen, got clips"):
            runtime.infer(inputs["body"])
        with pytest.raises(ValueError, match=r"face_seen: expected C-contiguous uint8 \(2, 16\), got float32"):
            runtime.run(inputs | {"face_seen": inputs["face_seen"].astype(np.float32)})
        with pytest.raises(ValueError, match=r"face: expected C-contiguous uint8 \(2, 16, 32, 32, 3\)"):
            runtime.run(inputs | {"face": inputs["face"][:1]})
    assert bundle.card.emotion == SPECS["full"]
    with pytest.raises(BadInput, match=r"expected a micro-action model, got maenet-full, an emotion model"):
        bundle.reference()
    compared = compare_bundles(
        bundle, bundle, ["onnxruntime", "torch"], videos=(), count=2, seed=1, threads=1, write=lambda _: None
    )
    assert compared[0].max_difference <= 1e-3 * compared[0].largest_logit
    half = half_bundle(bundle, tmp_path / "half", "half")
    with open_runtime(half, "onnxruntime", threads=1) as runtime:
        assert half.card.precision == "fp16"
        largest = max(float(np.abs(values).max()) for values in bundle.reference_arrays().outputs.values())
        assert check_parity(runtime) <= TOLERANCES["fp16"] * largest


def test_a_plan_is_built_ahead_of_time(
    made: Callable[[str], Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT-RTX reads and builds every input and output, without a GPU."""
    pytest.importorskip("tensorrt_rtx")
    from engines.runtimes.nvidia import command
    from engines.runtimes.nvidia.gpu import NoGpu

    def no_gpu() -> None:
        raise NoGpu("none")

    monkeypatch.setattr(command, "find_gpu", no_gpu)
    path = shutil.copytree(made("full").path, tmp_path / "full")
    assert main(["build", str(path), "--runtime", "tensorrt-rtx", "--batch", "2"]) == 0
    assert (path / "engines" / "tensorrt-rtx.plan").stat().st_size > 100_000
