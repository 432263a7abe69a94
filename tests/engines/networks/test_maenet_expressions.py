"""MAENet on expression numbers and landmark steps: Eq. 7 by hand, its flags, its bundle in the runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.__main__ import main
from engines.bundle import Bundle
from engines.expressions import NUMBERS
from engines.networks.maenet import MAENet
from engines.patterns import example_inputs
from engines.runtimes import open_runtime
from engines.specs.landmark_manet import LandmarkMANetSpec
from engines.specs.maenet import ExpressionsSpec, MAENetSpec
from engines.specs.manet import MANetSpec

BODY = MANetSpec(depth=18, width=8, length=16, size=32, embedding=False)
SPEC = MAENetSpec(BODY, ExpressionsSpec(features=16))


@pytest.fixture
def network() -> MAENet:
    torch.manual_seed(0)
    return MAENet(SPEC).eval()


def given(count: int = 2) -> dict[str, torch.Tensor]:
    inputs = {name: torch.from_numpy(array) for name, array in example_inputs(SPEC, 3, count).items()}
    inputs["body_seen"][:], inputs["face_seen"][:] = 1, 1
    return inputs


def test_its_inputs_are_bytes_and_flags_and_no_picture_of_a_face() -> None:
    wanted = {"body": (16, 32, 32, 3), "body_seen": (16,), "expressions": (16, NUMBERS), "face_seen": (16,)}
    assert SPEC.inputs == wanted
    assert (SPEC.face_size, SPEC.reads_expressions, SPEC.title) == (
        0,
        True,
        "MAENet-18, 16 x (body 32 x 32, 15 expression numbers)",
    )
    alone = MAENetSpec(None, ExpressionsSpec())
    assert alone.inputs == {"expressions": (16, NUMBERS), "face_seen": (16,)}
    assert alone.branches[0].features == 48


def test_eq_7_by_hand(network: MAENet) -> None:
    inputs = given()
    with torch.inference_mode():
        numbers = (inputs["expressions"].float() - 128.0) / 8.0
        x = torch.cat((numbers / 4.0, torch.ones(2, 16, 1)), dim=2).transpose(1, 2)
        first = torch.relu(network.expressions.first(x))
        face = torch.relu(first + network.expressions.second(first)).transpose(1, 2)
        acted = network.encoder(network.body_features(inputs["body"], inputs["body_seen"]), torch.ones(2, 16))
        together = torch.cat((face, acted), dim=2).mean(dim=1)
        got = network(*inputs.values())
        torch.testing.assert_close(got["emotion"], network.emotion(together))
        torch.testing.assert_close(got["actions"], network.actions(acted.mean(dim=1)))


def test_numbers_of_no_face_have_no_influence(network: MAENet) -> None:
    inputs = given()
    inputs["face_seen"][:, 4:9] = 0
    with torch.inference_mode():
        before = network(*inputs.values())["emotion"]
        inputs["expressions"][:, 4:9] = 255 - inputs["expressions"][:, 4:9]
        assert torch.equal(network(*inputs.values())["emotion"], before)
        inputs["expressions"][:, 0] = 255 - inputs["expressions"][:, 0]
        assert not torch.equal(network(*inputs.values())["emotion"], before)


STEPS = MAENetSpec(LandmarkMANetSpec(steps=64, width=16, dilations=(1, 2)), ExpressionsSpec(features=16))


@pytest.fixture
def reader() -> MAENet:
    torch.manual_seed(0)
    return MAENet(STEPS).eval()


def steps_given() -> list[torch.Tensor]:
    """Two windows in which all is seen."""
    inputs = {name: torch.from_numpy(array) for name, array in example_inputs(STEPS, 3, 2).items()}
    inputs["landmarks"][..., 3:] = 1.0
    inputs["body_seen"][:], inputs["face_seen"][:] = 1.0, 1.0
    return list(inputs.values())


def test_landmark_steps_are_in_place_of_the_body_and_all_inputs_of_one_type() -> None:
    assert STEPS.inputs == {
        "landmarks": (64, 155, 5),
        "body_seen": (16,),
        "expressions": (16, NUMBERS),
        "face_seen": (16,),
    }
    assert (STEPS.picture_size, STEPS.steps, STEPS.span_s, STEPS.input_dtype) == (0, 64, 4.0, "float32")
    assert STEPS.views == ("landmarks",)
    with pytest.raises(ValueError, match="multiple of 4"):
        MAENetSpec(LandmarkMANetSpec(steps=66), ExpressionsSpec())
    with pytest.raises(ValueError, match="as many frames"):
        MAENetSpec(LandmarkMANetSpec(steps=48), ExpressionsSpec())


def test_four_steps_of_the_landmark_network_are_a_frame_of_eq_7(reader: MAENet) -> None:
    landmarks, seen, expressions, face_seen = steps_given()
    with torch.inference_mode():
        steps = reader.body.step_features(reader.body.features(landmarks))
        frames = torch.stack([steps[:, 4 * at : 4 * at + 4].mean(dim=1) for at in range(16)], dim=1)
        acted = reader.encoder(frames, seen)
        together = torch.cat((reader.expressions(expressions, face_seen), acted), dim=2).mean(dim=1)
        got = reader(landmarks, seen, expressions, face_seen)
        torch.testing.assert_close(got["emotion"], reader.emotion(together))
        torch.testing.assert_close(got["actions"], reader.actions(acted.mean(dim=1)))


def test_landmarks_of_an_unseen_body_have_no_influence(reader: MAENet) -> None:
    landmarks, seen, expressions, face_seen = steps_given()
    seen[:, 5:9] = 0.0
    with torch.inference_mode():
        before = reader(landmarks, seen, expressions, face_seen)["actions"]
        landmarks[:, 20:36] += 1.0
        assert torch.equal(reader(landmarks, seen, expressions, face_seen)["actions"], before)
        landmarks[:, 0, :, 0] *= 2.0
        assert not torch.equal(reader(landmarks, seen, expressions, face_seen)["actions"], before)


@pytest.mark.slow
def test_a_bundle_of_it_gives_the_same_in_every_runtime(tmp_path: Path) -> None:
    fields = ("body.depth=18", "body.width=8", "body.size=32", 'face={"architecture": "expressions", "features": 16}')
    words = ("init", "--network", "maenet", "--view", "landmarks", *(f"--set={field}" for field in fields))
    assert main([*words, "--seed", "5", "--out", str(tmp_path / "made")]) == 0
    bundle = Bundle.load(tmp_path / "made")
    assert bundle.card.network == SPEC
    inputs = {name: array[:1] for name, array in bundle.reference_arrays().inputs.items()}
    answers = []
    for runtime in ("onnxruntime", "openvino"):
        with open_runtime(bundle, runtime) as opened:
            answers.append(opened.run(inputs)["emotion"])
    assert np.abs(answers[0] - answers[1]).max() < 1e-4 * max(1.0, float(np.abs(answers[0]).max()))
