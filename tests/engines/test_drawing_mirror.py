"""The mirrored drawing is the drawing of the mirrored person."""

from __future__ import annotations

import numpy as np
import pytest

from engines.drawing import BODY, HAND_PANELS, HEAD, draw_window
from engines.drawing_mirror import mirror
from simulation.session import Session, Settings, simulate
from simulation.tracker_noise import NOISELESS

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
    return draw_window(112, pose, hands, face, session.times_ns.tolist(), [30, 60, 90],
                       (session.camera.height, session.camera.width))  # fmt: skip


def test_body_and_head_are_those_of_the_mirrored_person(session: Session) -> None:
    ours, true = mirror(draw(session, False)).astype(int), draw(session, True).astype(int)
    for panel in (BODY, HEAD):
        rows, columns = panel.slices(112)
        difference = np.abs(ours - true)[:, rows, columns]
        assert (difference > 60).mean() < 0.004  # a few pixels of antialiased lines
        assert true[:, rows, columns].any()


def test_hands_change_places(session: Session) -> None:
    ours, true, before = (array.astype(float) for array in
                          (mirror(draw(session, False)), draw(session, True), draw(session, False)))
    for panel in HAND_PANELS:
        rows, columns = panel.slices(112)
        error = np.abs(ours - true)[:, rows, columns].mean()
        assert error < 0.5 * np.abs(before - true)[:, rows, columns].mean()


def test_twice_is_the_same_again(session: Session) -> None:
    drawings = draw(session, False)
    rows, columns = BODY.slices(112)
    np.testing.assert_array_equal(mirror(mirror(drawings))[:, rows, columns], drawings[:, rows, columns])
    assert mirror(drawings).dtype == np.uint8
