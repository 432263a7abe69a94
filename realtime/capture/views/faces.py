"""The face crop for models that see pixels: the largest face near the body's head, held steady, never a stale one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.views.people import Box, Follower, Square
from realtime.clock import NS_PER_S

UInt8Array = npt.NDArray[np.uint8]

DETECTOR = "face_detector.tflite"  # inside the face landmarker's file
MIN_CONFIDENCE = 0.5
SEARCH_EVERY_NS = NS_PER_S // 10
FRESH_NS = 3 * NS_PER_S // 10  # a face that was last seen longer ago is none
NEAR = 4.0  # the detector sees a square this many times the last face, after the whole picture showed one
TILE = 0.5  # of the picture's short side: where a face is too small for the whole picture, its tiles are searched
TILE_STEP = 0.5  # of a tile


class FaceFinder:
    """MediaPipe's face detector. It knows faces from about a tenth of the picture on; smaller ones are looked for in
    parts of it."""

    def __init__(self, model: Path) -> None:
        """model: the face landmarker's .task file, which holds the detector."""
        with zipfile.ZipFile(model) as bundle:
            detector = bundle.read(DETECTOR)
        self._task = VideoTask("face detector", detector, min_detection_confidence=MIN_CONFIDENCE)
        self._calls = 0

    def find(self, pixels: UInt8Array, near: Box | None) -> list[Box]:
        """The faces in uint8 (H, W, 3) RGB, boxes in its pixels.

        near: where one was last seen: only its surroundings are searched.
        """
        height, width = pixels.shape[:2]
        if near is not None:
            side = NEAR * near.size
            square = Square((near.left + near.right) / 2, (near.top + near.bottom) / 2, side)
            return self._search(pixels, square)
        whole = Square(width / 2, height / 2, max(height, width))
        if found := self._search(pixels, whole):
            return found
        side = TILE * min(height, width)
        step = TILE_STEP * side
        boxes: list[Box] = []
        for y in np.arange(side / 2, height - side / 2 + 1, step):
            for x in np.arange(side / 2, width - side / 2 + 1, step):
                for box in self._search(pixels, Square(float(x), float(y), side)):
                    if all(box.overlap(other) < 0.3 for other in boxes):
                        boxes.append(box)
        return boxes

    def _search(self, pixels: UInt8Array, square: Square) -> list[Box]:
        left, top, side = square.corner
        height, width = pixels.shape[:2]
        x0, x1, y0, y1 = max(0, left), min(width, left + side), max(0, top), min(height, top + side)
        if x1 - x0 < 16 or y1 - y0 < 16:
            return []
        self._calls += 1  # the detector wants times that grow; it carries nothing from one picture to the next
        found = self._task.detect(pixels[y0:y1, x0:x1], self._calls * 1_000_000)
        boxes = (one.bounding_box for one in found.detections)
        return [
            Box(
                float(x0 + box.origin_x),
                float(y0 + box.origin_y),
                float(x0 + box.origin_x + box.width),
                float(y0 + box.origin_y + box.height),
            )
            for box in boxes
        ]

    def close(self) -> None:
        self._task.close()


class FaceView:
    """A steady square around one face; None while there is no fresh one.

    Faces are looked for ten times a second of media time, so that a recording gives the same crops on every machine.
    """

    def __init__(self, size: int, margin: float, finder: FaceFinder) -> None:
        """size: F, side of the crop; margin: added on each side, as a share of the face's size."""
        self._size, self._finder = size, finder
        self._follower = Follower(margin)
        self._next_search_ns: int | None = None
        self._seen_ns: int | None = None

    def apply(self, pixels: UInt8Array, media_ns: int, person: Box | None = None) -> UInt8Array | None:
        """The face in uint8 (H, W, 3) RGB, as uint8 (F, F, 3).

        person: the body that it belongs to, where one is followed; faces outside it are another person's.
        """
        if self._next_search_ns is None or media_ns >= self._next_search_ns:
            self._next_search_ns = media_ns + SEARCH_EVERY_NS
            fresh = self._fresh(media_ns)
            faces = self._finder.find(pixels, self._follower.person if fresh else None)
            if person is not None:
                faces = [face for face in faces if _belongs(face, person)]
            if self._follower.update(media_ns, faces, (pixels.shape[0], pixels.shape[1])):
                self._seen_ns = media_ns
        square = self._follower.at(media_ns)
        if square is None or not self._fresh(media_ns):
            return None
        return square.cut(pixels, self._size)[0]

    def _fresh(self, media_ns: int) -> bool:
        return self._seen_ns is not None and 0 <= media_ns - self._seen_ns <= FRESH_NS

    def close(self) -> None:
        self._finder.close()


def _belongs(face: Box, person: Box) -> bool:
    """The face's middle lies in the upper half of the person."""
    x, y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    return person.left <= x <= person.right and person.top <= y <= (person.top + person.bottom) / 2
