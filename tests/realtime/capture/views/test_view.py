from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.preprocess import center_crop, letterbox
from realtime.capture.mediapipe.model_files import POSE, POSES
from realtime.capture.order import ViewSpec
from realtime.capture.sources import Image
from realtime.capture.views.base import View, shrunk
from realtime.capture.views.crops import PersonView
from realtime.capture.views.make import fetch_models, make_view, model_files
from realtime.capture.views.people import Box
from realtime.clock import NS_PER_S
from realtime.config import ViewSettings
from realtime.messages import Framing
from tests.conftest import model_file
from tests.realtime.conftest import read

SEATED = ["seated_A1_shaking_body.mp4", "seated_B2_shaking_head.mp4"]
UPPER_BODY = ["upper_body_asl_book.mkv", "upper_body_asl_yes.mkv"]


def image(pixels: np.ndarray, media_ns: int = 0) -> Image:
    return Image(pixels, 0, 0, media_ns)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def test_center_is_the_official_crop() -> None:
    pixels = noise(1296, 1080)
    body, framing = make_view(ViewSpec(224, settings=ViewSettings(crop="center"))).apply(image(pixels))
    assert np.array_equal(body, center_crop(pixels, 224))
    assert framing.seen == pytest.approx(224 * 224 / (256 * 307))
    assert framing.magnified == pytest.approx(256 / 1080)
    assert framing.person_found is None


def test_full_loses_nothing() -> None:
    pixels = noise(120, 200)
    body, framing = make_view(ViewSpec(224, settings=ViewSettings(crop="full"))).apply(image(pixels))
    assert np.array_equal(body, letterbox(pixels, 224))
    assert framing == Framing(seen=1.0, magnified=1.12, person_found=None)


@pytest.mark.parametrize("crop", ["center", "full"])
@pytest.mark.parametrize("shape", [(48, 2000), (2000, 48), (1, 1), (224, 224), (37, 41)])
def test_any_picture_gives_the_models_size(crop: str, shape: tuple[int, int]) -> None:
    body, framing = make_view(ViewSpec(112, settings=ViewSettings(crop=crop))).apply(image(noise(*shape)))  # type: ignore[arg-type]
    assert (body.shape, body.dtype) == ((112, 112, 3), np.uint8)
    assert 0 < framing.seen <= 1


@pytest.mark.parametrize(("shape", "expected"), [((224, 224), (72, 72)), ((224, 112), (72, 36)), ((40, 60), (40, 60))])
def test_preview_is_small_and_keeps_its_shape(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    small = shrunk(noise(*shape))
    assert small.shape == (*expected, 3)
    assert small.dtype == np.uint8


class FakeFinder:
    """Finds what it is told to, and notes when it was asked."""

    def __init__(self) -> None:
        self.people: list[Box] = []
        self.asked_ns: list[int] = []
        self.closed = False

    def find(self, pixels: np.ndarray, time_ns: int) -> list[Box]:
        self.asked_ns.append(time_ns)
        return self.people

    def close(self) -> None:
        self.closed = True


def test_person_view_searches_by_media_time_and_falls_back_to_full() -> None:
    finder = FakeFinder()
    view = PersonView(64, 0.1, finder)
    pixels = noise(400, 600)
    body, framing = view.apply(image(pixels, 0))
    assert np.array_equal(body, letterbox(pixels, 64))
    assert framing == Framing(seen=1.0, magnified=64 / 600, person_found=False)
    finder.people = [Box(100, 50, 300, 350)]
    for index in range(1, 31):
        body, framing = view.apply(image(pixels, index * NS_PER_S // 30))
    assert [round(ns / 1e6) for ns in finder.asked_ns] == [0, 267, 533, 800]
    assert framing.person_found is True
    assert framing.magnified == pytest.approx(64 / 360)
    assert framing.seen == pytest.approx(360 * 360 / (400 * 600))
    assert not np.array_equal(body, letterbox(pixels, 64))
    finder.people = []
    _, framing = view.apply(image(pixels, 2 * NS_PER_S))
    assert framing.person_found is False
    assert framing.seen < 1.0  # the crop stays a while
    _, framing = view.apply(image(pixels, 6 * NS_PER_S))
    assert framing == Framing(seen=1.0, magnified=64 / 600, person_found=False)
    view.close()
    assert finder.closed


def test_preparing_needs_nothing_for_the_plain_views(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MANET_LIVE_MODELS", str(tmp_path / "none"))
    for crop in ("center", "full"):
        fetch_models(ViewSpec(224, settings=ViewSettings(crop=crop)))  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("sees", "crop"), [("landmarks", "center"), ("rgb", "person")])
@pytest.mark.parametrize("pose", ["full", "heavy"])
def test_the_pose_network_is_the_settings(sees: str, crop: str, pose: str) -> None:
    settings = ViewSettings(crop=crop, pose=pose)  # type: ignore[arg-type]
    wanted = model_files(ViewSpec(224, sees=sees, settings=settings))  # type: ignore[arg-type]
    assert [one.name for one in wanted if one in POSES.values()] == [f"pose_landmarker_{pose}.task"]


@pytest.fixture
def pose_model() -> Path:
    return model_file(POSE)


@pytest.fixture
def person_view(pose_model: Path) -> View:
    return make_view(ViewSpec(224, settings=ViewSettings(crop="person")))


def follow(view: PersonView, images: list[Image]) -> tuple[np.ndarray, list[Framing]]:
    """Crops as (N, 3) x, y, side; framings."""
    squares, framings = [], []
    try:
        for picture in images:
            framings.append(view.apply(picture)[1])
            square = view._follower.at(picture.media_ns)
            squares.append((square.x, square.y, square.side) if square else (np.nan,) * 3)
    finally:
        view.close()
    return np.array(squares), framings


@pytest.mark.parametrize("name", SEATED + UPPER_BODY)
def test_a_real_person_is_found_and_the_crop_holds_still(person_view: PersonView, name: str) -> None:
    images = read(name)
    squares, framings = follow(person_view, images)
    assert np.mean([framing.person_found for framing in framings]) > 0.95
    steps = np.abs(np.diff(squares, axis=0)).max(axis=1)
    assert np.nanmean(steps > 0) < 0.2  # it moves rarely ...
    assert np.nanmax(steps) < 0.02 * np.nanmean(squares[:, 2])  # ... and never jumps
    assert all(0.3 < framing.seen < 0.95 for framing in framings)


def test_the_larger_of_two_real_people_is_followed(person_view: PersonView) -> None:
    near, far = read(SEATED[1]), read(SEATED[0])
    images = []
    for big, small in zip(near, far, strict=False):
        canvas = np.full((1296, 2160, 3), 200, np.uint8)
        canvas[:, 1080:] = big.pixels
        canvas[500:1148, 200:740] = small.pixels[::2, ::2]
        images.append(image(canvas, big.media_ns))
    squares, framings = follow(person_view, images)
    assert all(framing.person_found for framing in framings)
    assert np.nanmin(squares[:, 0]) > 1300
    assert np.ptp(squares[:, 0]) < 60


def test_nobody_in_the_picture(person_view: PersonView) -> None:
    blank = [image(np.full((480, 640, 3), 127, np.uint8), index * NS_PER_S // 10) for index in range(10)]
    squares, framings = follow(person_view, blank)
    assert np.isnan(squares).all()
    assert {framing.person_found for framing in framings} == {False}
    assert {framing.seen for framing in framings} == {1.0}


def test_the_library_keeps_quiet(pose_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    view = make_view(ViewSpec(224, settings=ViewSettings(crop="person")))
    for index in range(3):
        view.apply(image(noise(96, 96), index * NS_PER_S))
    view.close()
    assert capfd.readouterr() == ("", "")
