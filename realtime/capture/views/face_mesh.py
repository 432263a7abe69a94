"""The mesh of one face in a video: found by MediaPipe, followed by its own network in OpenVINO.

What MediaPipe does while it follows a face: the next crop from the last mesh (`FaceLandmarksDetectorGraph`), then a One
Euro filter (Casiez et al. 2012). A face that is not followed is looked for in every picture for a moment, then now and
then: a masked one is never found.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.views.people import Square
from realtime.capture.views.picture_part import cut
from realtime.capture.views.point_network import Float32Array, PointNetwork, Upright
from realtime.clock import NS_PER_S

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]

NETWORK = "face_landmarks_detector.tflite"  # in the task's file
POINTS = 478
EYES = 33, 263  # their outer corners, which are level in the next crop
SCALE = 1.5  # of the crop against the mesh
PRESENT = 0.5  # confidence that is enough for a face
SEARCH_SIDE = 960  # pixels; the detector sees 128
LOST_NS = NS_PER_S // 5  # how long one that was lost is looked for in every picture
SEARCH_EVERY_NS = NS_PER_S // 8  # afterwards
LEAST_CUTOFF_HZ, CUTOFF_PER_SPEED, SPEED_CUTOFF_HZ = 0.05, 80.0, 1.0  # MediaPipe's, speeds in faces a second


class OneEuro:
    """MediaPipe's filter of points that are followed (`OneEuroFilter`, `LandmarksSmoothingCalculator`)."""

    def __init__(self) -> None:
        self._raw: FloatArray | None = None
        self._time_ns = 0

    def step(self, points: FloatArray, unit: float, time_ns: int) -> FloatArray:
        """Filtered (N, 3) of a picture that comes after the last; unit: of speeds, mean of the face's sides, pixels."""
        if self._raw is None:
            self._filtered, self._speed = points, np.zeros_like(points)
        else:
            step_s = max(time_ns - self._time_ns, 1) / NS_PER_S
            speed = (points - self._raw) / (unit * step_s)
            self._speed = self._speed + _share(step_s, SPEED_CUTOFF_HZ) * (speed - self._speed)
            cutoff = LEAST_CUTOFF_HZ + CUTOFF_PER_SPEED * np.abs(self._speed)
            self._filtered = self._filtered + _share(step_s, cutoff) * (points - self._filtered)
        self._raw, self._time_ns = points, time_ns
        return self._filtered


def _share(step_s: float, cutoff_hz: FloatArray | float) -> FloatArray | float:
    turn = 2.0 * np.pi * step_s * cutoff_hz
    return turn / (1.0 + turn)


class FaceMeshTracker:
    """One face. Pictures must come in order of their media time. Where OpenVINO is missing, MediaPipe follows it."""

    def __init__(self, model: Path) -> None:
        """model: MediaPipe's file for faces."""
        self._network = PointNetwork(model, NETWORK) if importlib.util.find_spec("openvino") else None
        self._finder = VideoTask("face", model, video=self._network is None, num_faces=1)
        self._seen_ns: int | None = None
        self._searched_ns: int | None = None
        self.forget()

    def forget(self) -> None:
        """Another face is followed from now on."""
        self._mesh: Float32Array | None = None  # unfiltered
        self._filter = OneEuro()

    def track(self, pixels: UInt8Array, head: Square, time_ns: int) -> Float32Array | None:
        """(478, 3) in pixels of uint8 (H, W, 3) RGB; None: no face is seen. head: where it may be."""
        if self._network is None:
            return self._search(pixels, head, time_ns)
        square = None if self._mesh is None else square_of(self._mesh)
        mesh = None if square is None else self._follow(self._network, pixels, square, head)
        if mesh is None:
            self.forget()
            if not self._due(time_ns):
                return None
            self._searched_ns = time_ns
            mesh = self._search(pixels, head, time_ns)
            if mesh is None:
                return None
        self._mesh, self._seen_ns = mesh, time_ns
        unit = float(np.ptp(mesh[:, :2], axis=0).mean())
        return self._filter.step(mesh.astype(np.float64), unit, time_ns).astype(np.float32)

    @staticmethod
    def _follow(network: PointNetwork, pixels: UInt8Array, square: Upright, head: Square) -> Float32Array | None:
        found = network.run(pixels, square)
        if found is None or 1.0 / (1.0 + np.exp(-float(found[1][0]))) < PRESENT:
            return None
        mesh = square.points(found[0].reshape(-1, 3)[:POINTS].astype(np.float64) / network.size)
        away = np.abs(mesh[:, :2].mean(axis=0) - (head.x, head.y)).max()
        return mesh if away <= head.side / 2 else None

    def _due(self, time_ns: int) -> bool:
        if self._searched_ns is None:
            return True
        lost = self._seen_ns is not None and time_ns - self._seen_ns <= LOST_NS
        return lost or time_ns - self._searched_ns >= SEARCH_EVERY_NS

    def _search(self, pixels: UInt8Array, head: Square, time_ns: int) -> Float32Array | None:
        crop = cut(pixels, head, SEARCH_SIDE)
        found = self._finder.detect(crop.pixels, time_ns).face_landmarks
        return crop.points(found[0]) if found else None

    def close(self) -> None:
        self._finder.close()


def square_of(mesh: Float32Array) -> Upright:
    """The square in which the network sees the face of a mesh (N, 3) upright."""
    places = mesh[:, :2].astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    across = places[EYES[1]] - places[EYES[0]]
    return Upright((low + high) / 2, SCALE * float((high - low).max()), float(np.arctan2(across[1], across[0])))
