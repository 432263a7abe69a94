"""How many people a picture shows, before landmarks are asked for: MediaPipe's person detector in OpenVINO."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.views.people import Box
from realtime.capture.views.point_network import Float32Array, open_network

UInt8Array = npt.NDArray[np.uint8]

NETWORK = "pose_detector.tflite"  # in the task's file
SIZE = 224  # pixels of its input
LAYERS = ((28, 2), (14, 2), (7, 6))  # cells each way, and boxes of each (`SsdAnchorsCalculator` of the pose detector)
SAME = 0.3  # overlap of two boxes of one person


class PersonCounter:
    """The detector, ready."""

    def __init__(self, task: Path) -> None:
        """task: MediaPipe's file for poses, which holds the network."""
        self._request = open_network(task, NETWORK, None)  # bfloat16 where the CPU has it: people are counted
        self._input = self._request.get_input_tensor(0).data  # float32 (1, 224, 224, 3)
        self._anchors = np.concatenate([_centres(side).repeat(boxes, axis=0) for side, boxes in LAYERS])  # (2254, 2)

    def count(self, pixels: UInt8Array) -> int:
        """The people that are told apart in uint8 (H, W, 3) RGB."""
        height, width = pixels.shape[:2]
        scale = SIZE / max(height, width)
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (SIZE - w) // 2, (SIZE - h) // 2
        canvas = np.zeros((SIZE, SIZE, 3), np.uint8)
        canvas[top : top + h, left : left + w] = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA)
        np.multiply(canvas, np.float32(2 / 255), out=self._input[0])
        self._input[0] -= 1.0
        self._request.infer()
        places, scores = (self._request.get_output_tensor(at).data[0] for at in (0, 1))
        return len(_distinct(places, scores[:, 0], self._anchors))


def _centres(side: int) -> Float32Array:
    """(side², 2) x and y of a grid's cells, 0..1, row by row."""
    middle = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2).astype(np.float32)


def _distinct(places: Float32Array, scores: Float32Array, anchors: Float32Array) -> list[Box]:
    """Boxes of logits above 0, the surest first, without those that overlap a surer one."""
    kept: list[Box] = []
    for at in np.argsort(-scores):
        if scores[at] <= 0.0:
            break
        x, y = (places[at, :2] / SIZE + anchors[at]).tolist()
        w, h = (places[at, 2:4] / SIZE).tolist()
        box = Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        if all(box.overlap(other) < SAME for other in kept):
            kept.append(box)
    return kept
