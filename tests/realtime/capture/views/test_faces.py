"""The face crop on real faces: found, steady, of the right person, and gone as soon as the face is."""

import itertools
from contextlib import closing
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest

from realtime.capture.order import ViewSpec
from realtime.capture.sources.base import Image
from realtime.capture.views.faces import FRESH_NS, SEARCH_EVERY_NS, FaceFinder, FaceView
from realtime.capture.views.make import make_view
from realtime.capture.views.people import Box
from realtime.clock import NS_PER_S
from realtime.config import ViewSettings

pytestmark = pytest.mark.slow

FRAME_NS = NS_PER_S // 30
FACE_AT = (252, 188)  # between the eyes of the photograph that matplotlib ships, pixels


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_the_face_of_a_photograph_is_found_and_its_crop_does_not_move(face_model, portrait):
    rng = np.random.default_rng(0)
    crops = []
    with closing(FaceView(64, 0.3, FaceFinder(face_model))) as view:
        for index in range(30):
            noisy = np.clip(portrait + rng.normal(0, 6, portrait.shape), 0, 255).astype(np.uint8)
            crops.append(view.apply(noisy, index * FRAME_NS))
            assert crops[-1] is not None
            square = view._follower._follower._now
            assert abs(square.x - FACE_AT[0]) < 0.3 * square.side
            assert abs(square.y - FACE_AT[1]) < 0.4 * square.side
            assert 120 < square.side < 400
    assert {crop.shape for crop in crops} == {(64, 64, 3)}
    assert np.abs(crops[0].astype(int) - crops[-1]).mean() < 6  # noise alone


@pytest.mark.parametrize("name", ["seated_B2_shaking_head.mp4", "upper_body_asl_book.mkv"])
def test_the_faces_of_real_recordings_are_found_and_held_steadily(clips, face_model, name):
    squares, count = [], 0
    with closing(FaceView(64, 0.3, FaceFinder(face_model))) as view, av.open(str(clips / name)) as container:
        for picture in itertools.islice(container.decode(video=0), 60):
            count += 1
            if view.apply(picture.to_ndarray(format="rgb24"), round(picture.time * NS_PER_S)) is not None:
                squares.append(view._follower._follower._now)
    assert len(squares) >= 0.95 * count
    for before, after in itertools.pairwise(squares):
        assert max(abs(before.x - after.x), abs(before.y - after.y)) < 0.1 * before.side


def test_a_face_that_is_gone_leaves_no_stale_crop(face_model, portrait):
    gone_ns = NS_PER_S
    with closing(FaceView(64, 0.3, FaceFinder(face_model))) as view:
        for at_ns in range(0, 3 * NS_PER_S, FRAME_NS):
            crop = view.apply(portrait if at_ns < gone_ns else np.full_like(portrait, 128), at_ns)
            if at_ns < gone_ns:
                assert crop is not None
            elif at_ns >= gone_ns + FRESH_NS:
                assert crop is None
        assert view.apply(portrait, 3 * NS_PER_S + SEARCH_EVERY_NS) is not None  # and is found again


def two_people(portrait):
    """The smaller one on the left."""
    small = cv2.resize(portrait, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    scene = np.full((portrait.shape[0], 1024, 3), 128, np.uint8)
    scene[-small.shape[0] :, : small.shape[1]] = small
    scene[:, -portrait.shape[1] :] = portrait
    return scene


def test_the_largest_face_is_taken_unless_the_body_is_another_s(face_model, portrait):
    scene = two_people(portrait)
    with closing(FaceView(64, 0.3, FaceFinder(face_model))) as view:
        assert view.apply(scene, 0) is not None
        assert view._follower.box.left > 512
    with closing(FaceView(64, 0.3, FaceFinder(face_model))) as view:
        assert view.apply(scene, 0, Box(0.0, 200.0, 400.0, float(scene.shape[0]))) is not None
        assert view._follower.box.right < 400
    with closing(FaceView(64, 0.3, FaceFinder(face_model))) as view:
        assert view.apply(scene, 0, Box(410.0, 0.0, 500.0, 600.0)) is None  # nobody's face is there


@pytest.mark.parametrize("crop", ["center", "full"])
def test_a_view_of_pixels_gives_faces_where_they_are_wanted(face_model, portrait, crop):
    image = Image(portrait, 0, 0, 0)
    with closing(make_view(ViewSpec(112, settings=ViewSettings(crop=crop), face_size=48))) as view:
        body, _ = view.apply(image)
        face = view.face(image)
        assert body.shape == (112, 112, 3)
        assert face is not None
        assert face.shape == (48, 48, 3)
    with closing(make_view(ViewSpec(112, settings=ViewSettings(crop=crop)))) as view:
        view.apply(image)
        assert view.face(image) is None
