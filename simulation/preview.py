"""A plain picture of landmarks: bones as lines, the face as dots. Left limbs warm, right limbs cool."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from engines.landmarks import Landmarks

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Color = tuple[int, int, int]

GROUND: Color = (18, 20, 26)
TRUNK, LEFT, RIGHT, FACE = (200, 200, 205), (255, 150, 80), (90, 175, 255), (150, 220, 150)
_LEFT_BONES = ((11, 13), (13, 15), (23, 25), (25, 27), (27, 29), (29, 31), (27, 31))
_TRUNK_BONES = ((11, 12), (23, 24), (11, 23), (12, 24))
_HAND_BONES = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21)) + ((5, 9), (9, 13), (13, 17))


class PreviewDrawing:
    """Draws landmarks into a square picture, cut out around where the person first appeared."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._view: tuple[float, float, float] | None = None  # left, top, pixels per picture pixel

    def draw(self, landmarks: Landmarks) -> UInt8Array:
        """uint8 (size, size, 3) RGB."""
        picture = np.full((self._size, self._size, 3), GROUND, np.uint8)
        if not landmarks.person:
            return picture
        if self._view is None:
            self._view = self._frame(landmarks)
        pose = self._place(landmarks.pose)
        seen = landmarks.pose[:, 3] > 0.35
        mirrored = tuple((a + 1, b + 1) for a, b in _LEFT_BONES)
        for bones, color in ((_TRUNK_BONES, TRUNK), (_LEFT_BONES, LEFT), (mirrored, RIGHT)):
            for start, end in bones:
                if seen[start] and seen[end]:
                    self._line(picture, pose[start], pose[end], color, 2)
        for side, color in ((0, LEFT), (1, RIGHT)):
            hand = self._place(landmarks.hands[side])
            for start, end in _HAND_BONES:
                self._line(picture, hand[start], hand[end], color, 1)
        points = self._place(landmarks.face if not np.isnan(landmarks.face[0, 0]) else landmarks.pose[:11])
        for x, y in points:
            cv2.circle(picture, (int(x), int(y)), 1, FACE, -1, cv2.LINE_AA)
        return picture

    def _frame(self, landmarks: Landmarks) -> tuple[float, float, float]:
        inside = landmarks.pose[landmarks.pose[:, 3] > 0.35][:, :2]
        low, high = inside.min(axis=0), inside.max(axis=0)
        side = 1.22 * float(max(high - low))
        middle = (low + high) / 2
        return float(middle[0] - side / 2), float(middle[1] - 0.54 * side), self._size / side

    def _place(self, points: Float32Array) -> Float32Array:
        left, top, zoom = self._view or (0.0, 0.0, 1.0)
        return np.asarray((points[:, :2] - np.array([left, top], np.float32)) * np.float32(zoom), np.float32)

    @staticmethod
    def _line(picture: UInt8Array, start: Float32Array, end: Float32Array, color: Color, width: int) -> None:
        if not (np.isnan(start).any() or np.isnan(end).any()):
            cv2.line(picture, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), color, width, cv2.LINE_AA)
