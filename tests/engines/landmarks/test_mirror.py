"""The mirrored drawing is the drawing of the mirrored person."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from engines.card import ModelCard, Provenance
from engines.export.onnx_export import write_bundle
from engines.landmarks.drawing import draw_window
from engines.landmarks.mirror import mirror
from engines.landmarks.scene import BODY, HAND_PANELS, HEAD
from engines.networks.initialise import initialise
from engines.networks.manet import MANet
from engines.runtimes import open_runtime
from engines.specs.manet import MANetSpec
from simulation.session import Session, Settings, simulate
from simulation.tracker_noise import NOISELESS

pytestmark = pytest.mark.slow

SWAPPED = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(at + 1 if at % 2 else at - 1 for at in range(11, 33))]  # of the pose


@pytest.fixture(scope="module")
def session() -> Session:
    return simulate(3, 4.0, settings=Settings("balanced", "test", noise=NOISELESS, framing="whole body"))


def draw(session: Session, mirrored: bool) -> np.ndarray:
    pose, hands, face = session.pose, session.hands, session.face
    if mirrored:
        pose, hands = pose[:, SWAPPED].copy(), hands[:, ::-1].copy()
        pose[..., 0] = session.camera.width - pose[..., 0]
        hands[..., 0] = session.camera.width - hands[..., 0]
    face = np.full_like(face, np.nan)  # the mesh's points have no simple mirror images
    return draw_window(
        112, pose, hands, face, session.times_ns.tolist(), [30, 60, 90], (session.camera.height, session.camera.width)
    )


def test_body_and_head_are_those_of_the_mirrored_person(session: Session) -> None:
    ours, true = mirror(draw(session, False)).astype(int), draw(session, True).astype(int)
    for panel in (BODY, HEAD):
        rows, columns = panel.slices(112)
        difference = np.abs(ours - true)[:, rows, columns]
        assert (difference > 60).mean() < 0.004  # a few pixels of antialiased lines
        assert true[:, rows, columns].any()


def test_hands_change_places(session: Session) -> None:
    ours, true, before = (
        array.astype(float) for array in (mirror(draw(session, False)), draw(session, True), draw(session, False))
    )
    for panel in HAND_PANELS:
        rows, columns = panel.slices(112)
        error = np.abs(ours - true)[:, rows, columns].mean()
        assert error < 0.5 * np.abs(before - true)[:, rows, columns].mean()


def test_twice_is_the_same_again(session: Session) -> None:
    drawings = draw(session, False)
    rows, columns = BODY.slices(112)
    np.testing.assert_array_equal(mirror(mirror(drawings))[:, rows, columns], drawings[:, rows, columns])
    assert mirror(drawings).dtype == np.uint8


def test_a_mirrored_graph_answers_for_both(session: Session) -> None:
    spec = MANetSpec(depth=18, width=8, length=4, size=112, embedding=False)
    plain = initialise(spec, 3)
    both = MANet(msgspec.structs.replace(spec, mirrored=True)).eval()
    both.load_state_dict(plain.state_dict())
    clips = np.stack([draw(session, False)[[0, 0, 1, 2]], draw(session, True)[[2, 1, 0, 1]]])
    with torch.inference_mode():
        first, second, mean = (
            network(torch.from_numpy(pixels))["logits"].numpy()
            for network, pixels in ((plain, clips), (plain, mirror(clips)), (both, clips))
        )
    np.testing.assert_allclose(mean, 0.5 * (first + second), rtol=1e-5, atol=1e-5)
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.long
def test_a_mirrored_bundle_is_exported_and_sees_drawings(tmp_path: Path) -> None:
    spec = MANetSpec(depth=18, width=8, length=4, size=64, embedding=False, mirrored=True)
    provenance = Provenance(trained=False, trained_on="nothing: untrained", made_with="a test")
    card = ModelCard(name="both", network=spec, provenance=provenance, intended_use="tests", view="landmarks")
    bundle = write_bundle(initialise(spec, 3), card, tmp_path / "both")
    clips = bundle.reference()[0]
    for name in ("onnxruntime", "openvino", "torch"):
        with open_runtime(bundle, name, threads=1) as runtime:  # each is checked against the reference when it opens
            assert runtime.infer(clips).logits.shape == (len(clips), 52)
    with pytest.raises(ValueError, match=r"the network sees \(landmarks\)"):
        msgspec.structs.replace(card, view="rgb").__post_init__()
