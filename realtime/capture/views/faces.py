"""The face in a picture: the largest near the body's head, followed steadily; its crop, or its expression numbers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks.lips import lip_gap
from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.views.expression_nets import ExpressionNets, outlined
from realtime.capture.views.people import Box, Follower, Square
from realtime.clock import NS_PER_S

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

DETECTOR = "face_detector.tflite"  # inside the face landmarker's file
MIN_CONFIDENCE = 0.5
SEARCH_EVERY_NS = NS_PER_S // 10
READ_EVERY_NS = NS_PER_S // 5  # emotion windows take four faces a second
FRESH_NS = 3 * NS_PER_S // 10  # a face that was last seen longer ago is none
NEAR = 4.0  # the detector sees a square this many times the last face, after the whole picture showed one
TILE = 0.5  # of the picture's short side: where a face is too small for the whole picture, its tiles are searched
TILE_STEP = 0.5  # of a tile
PADDED = 2.0  # a face that fills the picture is found with black around it: the square's side, in those of the picture
HEAD_MARGIN = 0.6  # around a face, as a share of its size, for the mesh
MESH_SIDE = 512  # pixels; the network sees 192
DETECTED = 0.015, 1.15  # the box that the nets were made for, in the detector's: shift down, size (median of 22 videos)


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
        if found := self._search(pixels, whole) or self._search(pixels, Square(whole.x, whole.y, PADDED * whole.side)):
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
        """Faces in a square, with black where it leaves the picture on all sides."""
        left, top, side = square.corner
        height, width = pixels.shape[:2]
        x0, x1, y0, y1 = max(0, left), min(width, left + side), max(0, top), min(height, top + side)
        if x1 - x0 < 16 or y1 - y0 < 16:
            return []
        inside = pixels[y0:y1, x0:x1]
        if side >= PADDED * max(height, width):
            inside = np.asarray(
                cv2.copyMakeBorder(inside, y0 - top, top + side - y1, x0 - left, left + side - x1, cv2.BORDER_CONSTANT),
                np.uint8,
            )
            x0, y0 = left, top
        self._calls += 1  # the detector wants times that grow; it carries nothing from one picture to the next
        found = self._task.detect(inside, self._calls * 1_000_000)
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


class FaceFollower:
    """A steady square around one face; None while there is no fresh one.

    Faces are looked for ten times a second of media time, so that a recording gives the same crops on every machine.
    """

    def __init__(self, margin: float, finder: FaceFinder) -> None:
        """margin: added on each side, as a share of the face's size."""
        self._finder = finder
        self._follower = Follower(margin)
        self._next_search_ns: int | None = None
        self._seen_ns: int | None = None

    def at(self, pixels: UInt8Array, media_ns: int, person: Box | None = None) -> Square | None:
        """The square in uint8 (H, W, 3) RGB.

        person: the body that the face belongs to, where one is followed; faces outside it are another person's.
        """
        if self._next_search_ns is None or media_ns >= self._next_search_ns:
            self._next_search_ns = media_ns + SEARCH_EVERY_NS
            faces = self._finder.find(pixels, self._follower.person if self._fresh(media_ns) else None)
            if person is not None:
                faces = [face for face in faces if _belongs(face, person)]
            if self._follower.update(media_ns, faces, (pixels.shape[0], pixels.shape[1])):
                self._seen_ns = media_ns
        square = self._follower.at(media_ns)
        return square if self._fresh(media_ns) else None

    @property
    def box(self) -> Box | None:
        """As the detector last saw the face."""
        return self._follower.person

    def _fresh(self, media_ns: int) -> bool:
        return self._seen_ns is not None and 0 <= media_ns - self._seen_ns <= FRESH_NS

    def close(self) -> None:
        self._finder.close()


class FaceView:
    """Crops of a face for models that see its pixels."""

    def __init__(self, size: int, margin: float, finder: FaceFinder) -> None:
        """size: F, side of the crop; margin: added on each side, as a share of the face's size."""
        self._size, self._follower = size, FaceFollower(margin, finder)

    def apply(self, pixels: UInt8Array, media_ns: int, person: Box | None = None) -> UInt8Array | None:
        """The face in uint8 (H, W, 3) RGB, as uint8 (F, F, 3); None: no fresh one. person: see `FaceFollower.at`."""
        square = self._follower.at(pixels, media_ns, person)
        return None if square is None else square.cut(pixels, self._size)[0]

    def close(self) -> None:
        self._follower.close()


class FaceReader:
    """Expression numbers of a face, five times a second of media time; in between the last ones hold."""

    def __init__(self, nets: ExpressionNets, finder: FaceFinder, mesh: VideoTask | None) -> None:
        """mesh: the face landmarker, which gives the box that the nets were made for, and the lips; None: who calls
        has its own.
        """
        self._nets, self._mesh, self._follower = nets, mesh, FaceFollower(HEAD_MARGIN, finder)
        self._next_ns: int | None = None
        self._numbers: Float32Array | None = None

    def read(self, pixels: UInt8Array, media_ns: int, mesh: Float32Array) -> Float32Array | None:
        """(NUMBERS,) of the face whose mesh, (468 or more, 2 or 3) pixels of the picture, is known."""
        return self._read(pixels, media_ns, outlined(mesh), float(lip_gap(mesh)))

    def find(self, pixels: UInt8Array, media_ns: int, person: Box | None = None) -> Float32Array | None:
        """(NUMBERS,) of the face that is found in the picture; None: no fresh one. Without a mesh its lips are closed.

        person: see `FaceFollower.at`.
        """
        square, box = self._follower.at(pixels, media_ns, person), self._follower.box
        if square is None or box is None:
            self._numbers = self._next_ns = None
            return None
        if self._next_ns is not None and media_ns < self._next_ns:
            return self._numbers
        mesh = None if self._mesh is None else self._meshed(self._mesh, pixels, square, media_ns)
        if mesh is None:
            return self._read(pixels, media_ns, _widened(box), 0.0)
        return self._read(pixels, media_ns, outlined(mesh), float(lip_gap(mesh)))

    def _read(self, pixels: UInt8Array, media_ns: int, box: Box, gap: float) -> Float32Array | None:
        if self._next_ns is None or media_ns >= self._next_ns or self._numbers is None:
            self._next_ns = media_ns + READ_EVERY_NS
            self._numbers = np.append(self._nets.read(pixels, box), np.float32(gap))
        return self._numbers

    def _meshed(self, landmarker: VideoTask, pixels: UInt8Array, square: Square, media_ns: int) -> Float32Array | None:
        left, top, side = square.corner
        head = square.cut(pixels, min(side, MESH_SIDE))[0]
        found = landmarker.detect(head, media_ns).face_landmarks
        if not found:
            return None
        return np.array([(left + p.x * side, top + p.y * side, p.z * side) for p in found[0]], np.float32)

    def close(self) -> None:
        self._follower.close()
        if self._mesh is not None:
            self._mesh.close()


def _widened(box: Box) -> Box:
    """The box that the nets were made for, about where the detector saw a face."""
    down, size = DETECTED
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2 + down * box.size
    half = size * box.size / 2
    return Box(x - half, y - half, x + half, y + half)


def _belongs(face: Box, person: Box) -> bool:
    """The face's middle lies in the upper half of the person."""
    x, y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    return person.left <= x <= person.right and person.top <= y <= (person.top + person.bottom) / 2
