"""Webcams, through OpenCV."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.common.errors import BadInput
from realtime.capture.sources.base import UInt8Array
from realtime.capture.sources.newest import NewestSource
from realtime.config import CameraSettings
from realtime.messages import CaptureState

RETRIES = 5  # a camera misses a picture now and then; this many in a row and it is gone
RETRY_S = 0.1
DEVICES = Path("/dev")
DEVICE_NAMES = Path("/sys/class/video4linux")
_TRIED_ELSEWHERE = 5  # camera numbers tried where the system does not list them


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera that opens, as it opens by itself."""

    index: int
    name: str
    width: int  # pixels
    height: int  # pixels
    fps: float  # as the driver says; 0 where it does not


class CameraSource(NewestSource[UInt8Array]):
    """A webcam. What it really gives is in `detail`; what was asked is in the settings."""

    def __init__(self, index: int, settings: CameraSettings) -> None:
        super().__init__(f"camera {index}")
        self.index = index
        self._settings = settings
        self._capture: cv2.VideoCapture | None = None

    def open(self) -> None:
        capture = _open(self.index)
        if not capture.isOpened():
            capture.release()
            raise BadInput(
                "a camera",
                f"number {self.index}, which does not open",
                "`cameras` lists those that do; another program may be using it",
            )
        settings = self._settings
        if settings.mjpg:  # before the size: some drivers offer sizes per format
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
        capture.set(cv2.CAP_PROP_FPS, settings.fps)
        first = self._next(capture)
        if first is None:
            capture.release()
            raise BadInput(
                "a camera",
                f"number {self.index}, which opens but gives no picture",
                "close other programs that use it; try another --camera number",
            )
        self._report(CaptureState.STREAMING, self._describe(capture, first))
        self.pictures += 1
        self._publish(first)
        self._capture = capture
        self._start()

    def _grab(self) -> None:
        capture = self._capture
        if capture is None:
            return
        try:
            while not self._stop.is_set():
                image = self._next(capture)
                if image is None:
                    self._give_up(f"{self.name} gives no more pictures; is it still plugged in?")
                    return
                self.pictures += 1
                self._publish(image)
        finally:
            capture.release()

    def _next(self, capture: cv2.VideoCapture) -> UInt8Array | None:
        for _ in range(RETRIES):
            good, image = capture.read()
            if good and image is not None and image.size:
                return np.asarray(image, np.uint8)
            if self._stop.wait(RETRY_S):
                break
        return None

    def _pixels(self, raw: UInt8Array) -> UInt8Array:
        code = cv2.COLOR_GRAY2RGB if raw.ndim == 2 or raw.shape[2] == 1 else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(raw, code), np.uint8)

    def _describe(self, capture: cv2.VideoCapture, first: UInt8Array) -> str:
        settings = self._settings
        height, width = first.shape[:2]
        fps = capture.get(cv2.CAP_PROP_FPS)
        text = f"{width}x{height}" + (f" at {fps:.1f} fps" if fps > 0 else "")
        if (width, height) != (settings.width, settings.height) or 0 < fps < 0.9 * settings.fps:
            text += f" (asked: {settings.width}x{settings.height} at {settings.fps:.1f} fps)"
        return text


def list_cameras() -> list[CameraInfo]:
    """The cameras that open and give a picture. Empty, and quick, on a machine without any."""
    found = []
    for index in _candidates():
        capture = _open(index)
        try:
            good, image = capture.read() if capture.isOpened() else (False, None)
            if good and image is not None:
                height, width = image.shape[:2]
                fps = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))
                found.append(CameraInfo(index, _device_name(index), width, height, fps))
        finally:
            capture.release()
    return found


def _candidates() -> Iterator[int]:
    if sys.platform.startswith("linux"):
        numbers = (path.name.removeprefix("video") for path in DEVICES.glob("video*"))
        yield from sorted(int(number) for number in numbers if number.isdigit())
    else:
        yield from range(_TRIED_ELSEWHERE)


def _device_name(index: int) -> str:
    try:
        return (DEVICE_NAMES / f"video{index}" / "name").read_text(encoding="utf-8").strip()
    except OSError:
        return f"camera {index}"


def _open(index: int) -> cv2.VideoCapture:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # we report a camera that does not open
    # Named on Linux: other backends would take their turn at a camera that failed, slowly and noisily.
    backend = cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY
    return cv2.VideoCapture(index, backend)
