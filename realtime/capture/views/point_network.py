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


def open_network(task: Path, member: str, precision: str | None) -> Any:
    """A network in OpenVINO on one thread, ready to infer; precision: None leaves it to the CPU."""
    return _compiled(_read(task, member), precision)


class PointNetwork:
    """The network, ready."""

    def __init__(self, task: Path, member: str, exact: bool = True) -> None:
        """task: MediaPipe's file, which holds the network `member`.

        exact: all of it in float32. Else what comes before its last mean is in bfloat16 where the CPU computes in it:
        a third of the time. The last layers stay, for their bfloat16 would be steps of a pixel.
        """
        model = _read(task, member)
        self._heads: Any = None
        if not exact and has_bfloat16():
            backbone, heads = _split(model)
            self._request, self._heads = _compiled(backbone, "bf16"), _compiled(heads, "f32")
        else:
            self._request = _compiled(model, "f32")
        self._input = self._request.get_input_tensor(0).data  # float32 (1, S, S, 3)
        self._last = self._request if self._heads is None else self._heads
        self._outputs = len(self._last.model_outputs)
        self.size = int(self._input.shape[1])

    def run(self, pixels: UInt8Array, square: Upright) -> list[Float32Array] | None:
        """Its outputs, flat, of a square of uint8 (H, W, 3) RGB; None where that is no square to see something in."""
        if not 1.0 <= square.side <= BORDER * max(pixels.shape[:2]):
            return None
        np.multiply(square.cut(pixels, self.size), np.float32(1 / 255), out=self._input[0])
        self._request.infer()
        if self._heads is not None:
            self._heads.get_input_tensor(0).data[:] = self._request.get_output_tensor(0).data
            self._heads.infer()
        return [self._last.get_output_tensor(at).data.reshape(-1) for at in range(self._outputs)]


def has_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _read(task: Path, member: str) -> Any:
    import openvino

    with tempfile.TemporaryDirectory(prefix="manet-live-") as folder:
        file = Path(folder) / member
        with zipfile.ZipFile(task) as archive:
            file.write_bytes(archive.read(member))
        return openvino.Core().read_model(file)


def _compiled(model: Any, precision: str | None) -> Any:
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    return openvino.Core().compile_model(model, "CPU", settings).create_infer_request()


def _split(model: Any) -> tuple[Any, Any]:
    """A network up to the mean over space that its outputs come from, and what comes after it."""
    import openvino

    (mean,) = [node for node in model.get_ordered_ops() if node.get_type_name() == "ReduceMean"][-1:]
    features = openvino.op.Parameter(openvino.Type.f32, mean.output(0).get_partial_shape())
    consumers = list(mean.output(0).get_target_inputs())
    for one in consumers:
        one.replace_source_output(features.output(0))
    heads = openvino.Model(model.get_results(), [features], "heads")
    backbone = openvino.Model([openvino.opset13.result(mean)], model.get_parameters(), "backbone")
    return backbone, heads
