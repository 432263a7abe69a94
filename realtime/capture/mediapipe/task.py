"""One of MediaPipe's tasks on a video: silent, and without a word to its maker."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from realtime.capture.mediapipe.process import block_reports, quiet
from realtime.clock import NS_PER_MS

UInt8Array = npt.NDArray[np.uint8]


class VideoTask:
    """A task in video mode; a landmarker follows from picture to picture what it has found."""

    def __init__(
        self, kind: Literal["pose", "hand", "face", "face detector"], model: Path | bytes, **options: float
    ) -> None:
        """model: the task's file, or what is in it; options: as the kind's options class names them."""
        block_reports()
        with quiet():
            from mediapipe.tasks.python.core.base_options import BaseOptions
            from mediapipe.tasks.python.vision import face_detector, face_landmarker, hand_landmarker, pose_landmarker
            from mediapipe.tasks.python.vision.core import image, vision_task_running_mode

            landmarker, settings = {
                "pose": (pose_landmarker.PoseLandmarker, pose_landmarker.PoseLandmarkerOptions),
                "hand": (hand_landmarker.HandLandmarker, hand_landmarker.HandLandmarkerOptions),
                "face": (face_landmarker.FaceLandmarker, face_landmarker.FaceLandmarkerOptions),
                "face detector": (face_detector.FaceDetector, face_detector.FaceDetectorOptions),
            }[kind]
            self._image, self._format = image.Image, image.ImageFormat.SRGB
            self._landmarker = landmarker.create_from_options(
                settings(
                    base_options=BaseOptions(model_asset_buffer=model)
                    if isinstance(model, bytes)
                    else BaseOptions(model_asset_path=str(model)),
                    running_mode=vision_task_running_mode.VisionTaskRunningMode.VIDEO,
                    **options,
                )
            )
        self._last_ms = -1

    def detect(self, pixels: UInt8Array, time_ns: int) -> Any:
        """The library's own result for uint8 (H, W, 3) RGB. Lets other threads run meanwhile."""
        first = self._last_ms < 0
        self._last_ms = max(self._last_ms + 1, time_ns // NS_PER_MS)  # it refuses times that do not grow
        with quiet() if first else contextlib.nullcontext():
            picture = self._image(image_format=self._format, data=np.ascontiguousarray(pixels))
            return self._landmarker.detect_for_video(picture, self._last_ms)

    def close(self) -> None:
        with quiet():
            self._landmarker.close()
