"""A landmark network of MediaPipe's in OpenVINO, on one thread: points of what an upright square of a picture shows."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

BORDER = 4  # of a square's side, in those of the picture: what is larger shows nothing


@dataclass(frozen=True, slots=True)
class Upright:
    """A square of a picture, turned: centre (2,) and side in pixels, angle in radians, clockwise."""

    centre: FloatArray
    side: float
    angle: float

    @property
    def turn(self) -> FloatArray:
        """(2, 2) from units of the side to pixels of the picture."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cosine, -sine], [sine, cosine]]) * self.side

    def points(self, found: FloatArray, depth: float = 1.0) -> Float32Array:
        """(N, 3) in pixels of the picture, from places in the square (0..1); depth: what z is divided by."""
        places = (found[:, :2] - 0.5) @ self.turn.T + self.centre
        return np.concatenate((places, found[:, 2:] * (self.side / depth)), axis=1).astype(np.float32)

    def cut(self, pixels: UInt8Array, size: int) -> UInt8Array:
        """uint8 (size, size, 3) of it, black where it leaves uint8 (H, W, 3); a large one is averaged down, so that
        the sensor's noise is, too."""
        fold = max(1, int(self.side / size))
        turn = self.turn
        matrix = np.concatenate((turn / (size * fold), (self.centre - turn @ (0.5, 0.5))[:, None]), axis=1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(pixels, matrix, (fold * size, fold * size), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(crop if fold == 1 else cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


class PointNetwork:
    """The network, ready."""

    def __init__(self, task: Path, member: str) -> None:
        """task: MediaPipe's file, which holds the network `member`."""
        import openvino

        core = openvino.Core()
        with tempfile.TemporaryDirectory(prefix="manet-live-") as folder:
            file = Path(folder) / member
            with zipfile.ZipFile(task) as archive:
                file.write_bytes(archive.read(member))
            model = core.read_model(file)
            settings = {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": 1,
                "INFERENCE_PRECISION_HINT": "f32",  # bfloat16 moves points by a pixel
                "ENABLE_CPU_PINNING": False,
            }
            self._request: Any = core.compile_model(model, "CPU", settings).create_infer_request()
        self._input = self._request.get_input_tensor(0).data  # float32 (1, S, S, 3)
        self._outputs = len(model.outputs)
        self.size = int(self._input.shape[1])

    def run(self, pixels: UInt8Array, square: Upright) -> list[Float32Array] | None:
        """Its outputs, flat, of a square of uint8 (H, W, 3) RGB; None where that is no square to see something in."""
        if not 1.0 <= square.side <= BORDER * max(pixels.shape[:2]):
            return None
        np.multiply(square.cut(pixels, self.size), np.float32(1 / 255), out=self._input[0])
        self._request.infer()
        return [self._request.get_output_tensor(at).data.reshape(-1) for at in range(self._outputs)]
