"""The webcam source. No camera here: cv2.VideoCapture alone is faked."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.common.errors import BadInput
from realtime.capture.sources import CameraSpec, open_source
from realtime.capture.sources import camera as camera_module
from realtime.capture.sources.base import SourceLost
from realtime.capture.sources.camera import list_cameras
from realtime.config import CameraSettings
from realtime.messages import CaptureState

pytestmark = pytest.mark.clock

ROOT = Path(__file__).resolve().parents[4]


class FakeCapture:
    """A camera whose blue channel counts its pictures; behaviour is set on the class by each test."""

    opens = True
    pictures: int | None = None  # then reads fail
    misses: frozenset[int] = frozenset()  # read numbers that fail
    size: tuple[int, int] | None = None  # (width, height) it insists on
    made: list[FakeCapture]

    def __init__(self, index: int, backend: int) -> None:
        self.index, self.backend = index, backend
        self.asked: dict[int, float] = {}
        self.order: list[int] = []
        self.reads = self.given = 0
        self.released = False
        self.release_thread = ""
        self.go_on = threading.Event()
        self.go_on.set()
        type(self).made.append(self)

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens

    def set(self, key: int, value: float) -> bool:
        self.asked[key] = value
        self.order.append(key)
        return True

    def get(self, key: int) -> float:
        return self.asked.get(key, 30.0 if key == cv2.CAP_PROP_FPS else 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.go_on.wait(5)
        time.sleep(0.001)
        self.reads += 1
        if self.reads in self.misses or (self.pictures is not None and self.given >= self.pictures):
            return False, None
        self.given += 1
        width, height = self.size or (
            int(self.asked.get(cv2.CAP_PROP_FRAME_WIDTH, 64)),
            int(self.asked.get(cv2.CAP_PROP_FRAME_HEIGHT, 48)),
        )
        image = np.zeros((height, width, 3), np.uint8)
        image[..., 0], image[..., 2] = self.given % 256, 200
        return True, image

    def release(self) -> None:
        self.released = True
        self.release_thread = threading.current_thread().name


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    class Fresh(FakeCapture):
        made: list[FakeCapture] = []  # noqa: RUF012

    monkeypatch.setattr(cv2, "VideoCapture", Fresh)
    monkeypatch.setattr(camera_module, "RETRY_S", 0.001)
    return Fresh


SMALL = CameraSettings(width=96, height=64, fps=30.0)


def test_pictures_are_rgb_stamped_at_grab_and_the_newest(fake: type[FakeCapture]) -> None:
    with open_source(CameraSpec(2, SMALL)) as source:
        assert (source.live, source.state, source.detail) == (True, CaptureState.STREAMING, "96x64 at 30.0 fps")
        before = source.read(1.0)
        fake.made[0].go_on.clear()
        time.sleep(0.02)
        source.read(0.0)
        fake.made[0].go_on.set()
        time.sleep(0.1)  # a slow reader
        now_ns = time.monotonic_ns()
        image = source.read(1.0)
        assert image is not None
        assert before is not None
        assert image.pixels.shape == (64, 96, 3)
        assert tuple(image.pixels[0, 0]) == (200, 0, (image.frame_id + 1) % 256)
        assert image.captured_ns == image.media_ns
        assert abs(now_ns - image.captured_ns) < 50_000_000
        assert image.frame_id > before.frame_id + 5
        assert source.left_out["grabber"] >= image.frame_id - before.frame_id - 3


def test_what_is_asked_of_the_driver(fake: type[FakeCapture]) -> None:
    with open_source(CameraSpec(2, SMALL)):
        capture = fake.made[0]
    assert capture.index == 2
    assert capture.order[0] == cv2.CAP_PROP_FOURCC
    assert capture.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert (capture.asked[cv2.CAP_PROP_FRAME_WIDTH], capture.asked[cv2.CAP_PROP_FRAME_HEIGHT]) == (96, 64)
    assert capture.asked[cv2.CAP_PROP_FPS] == 30.0
    with open_source(CameraSpec(0, CameraSettings(mjpg=False))):
        assert cv2.CAP_PROP_FOURCC not in fake.made[1].asked


def test_a_camera_with_its_own_mind_is_reported(fake: type[FakeCapture]) -> None:
    fake.size = (80, 60)
    with open_source(CameraSpec(0, SMALL)) as source:
        assert source.detail == "80x60 at 30.0 fps (asked: 96x64 at 30.0 fps)"


def test_a_camera_that_does_not_open_is_bad_input(fake: type[FakeCapture]) -> None:
    fake.opens = False
    with pytest.raises(BadInput, match="number 3, which does not open"):
        open_source(CameraSpec(3)).open()
    assert fake.made[0].released


def test_a_camera_without_pictures_is_bad_input(fake: type[FakeCapture]) -> None:
    fake.pictures = 0
    with pytest.raises(BadInput, match="gives no picture"):
        open_source(CameraSpec(0)).open()
    assert fake.made[0].released


def test_a_few_missed_pictures_are_forgiven(fake: type[FakeCapture]) -> None:
    fake.misses = frozenset({2, 3, 4, 5})
    with open_source(CameraSpec(0, SMALL)) as source:
        deadline = time.monotonic() + 5
        while fake.made[0].given < 10 and time.monotonic() < deadline:
            assert source.read(0.5) is not None
        assert source.state is CaptureState.STREAMING


def test_an_unplugged_camera_is_lost_after_its_last_picture(fake: type[FakeCapture]) -> None:
    fake.pictures = 3
    source = open_source(CameraSpec(0, SMALL))
    source.open()
    seen: list[int] = []

    def read_on() -> None:
        while True:
            image = source.read(1.0)
            if image is not None:
                seen.append(image.frame_id)

    with pytest.raises(SourceLost, match="camera 0 gives no more pictures"):
        read_on()
    assert seen[-1] == 2
    assert source.state is CaptureState.FAILED
    assert "plugged in" in source.detail
    with pytest.raises(SourceLost):
        source.read(0.0)
    source.close()


def test_the_grabber_releases_the_camera_itself(fake: type[FakeCapture]) -> None:
    """Releasing under a blocked read crashes drivers."""
    source = open_source(CameraSpec(0, SMALL))
    source.open()
    source.close()
    source.close()
    assert fake.made[0].released
    assert fake.made[0].release_thread == "grab camera 0"
    assert source.read(0.0) is None


def test_closing_does_not_wait_for_a_blocked_driver(fake: type[FakeCapture]) -> None:
    source = open_source(CameraSpec(0, SMALL))
    source.open()
    fake.made[0].go_on.clear()
    time.sleep(0.02)
    start = time.monotonic()
    source.close()
    assert time.monotonic() - start < 1.0
    assert not fake.made[0].released
    fake.made[0].go_on.set()


def test_listing_gives_what_opens(fake: type[FakeCapture], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("video0", "video2", "videoX", "null"):
        (tmp_path / name).touch()
    names = tmp_path / "names"
    (names / "video2").mkdir(parents=True)
    (names / "video2" / "name").write_text("Desk Cam\n")
    monkeypatch.setattr(camera_module, "DEVICES", tmp_path)
    monkeypatch.setattr(camera_module, "DEVICE_NAMES", names)
    monkeypatch.setattr(camera_module.sys, "platform", "linux")
    assert [(c.index, c.name, c.width, c.height, c.fps) for c in list_cameras()] == [
        (0, "camera 0", 64, 48, 30.0),
        (2, "Desk Cam", 64, 48, 30.0),
    ]
    assert all(capture.released for capture in fake.made)
    fake.opens = False
    assert list_cameras() == []


def test_without_cameras_the_list_is_empty_quick_and_silent() -> None:
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine has a camera")
    code = (
        "import time; from realtime.capture.sources import *\n"
        "from realtime.capture.sources.camera import list_cameras\n"
        "from engines.common.errors import BadInput\n"
        "t = time.monotonic(); assert list_cameras() == []; assert time.monotonic() - t < 1.0\n"
        "try: open_source(CameraSpec(0)).open()\nexcept BadInput: print('bad input')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "bad input\n", "")
