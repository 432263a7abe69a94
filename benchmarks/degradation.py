"""Pictures and landmarks made worse, in five strengths: what webcams, rooms and networks do to them.

Strength 0 changes nothing, 5 is as bad as a person would still call a video of a person. Everything is drawn from the
number of the picture: the same recording is degraded in the same way each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from simulation.session import Session

Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
Degradation = Callable[[UInt8Array, int, int], UInt8Array]  # picture (H, W, 3), its number, strength 1..5

STRENGTHS = (1, 2, 3, 4, 5)
JPEG_QUALITY = (40, 25, 15, 10, 6)
RATES_HZ = (60, 30, 15, 12, 10, 8)  # pictures a second; slower ones are worse


def shake(pixels: UInt8Array, number: int, strength: int) -> UInt8Array:
    """A camera in the hand: the picture drifts by up to 1.2 % of its height a strength, and rolls by 0.4 degrees."""
    height, width = pixels.shape[:2]
    phases = number * np.array([0.23, 0.31, 0.17]) + np.array([0.0, 1.0, 2.0])
    swing = np.sin(phases) + 0.5 * np.sin(2.7 * phases)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.4 * strength * float(swing[2]), 1.0)
    matrix[:, 2] += 0.008 * strength * height * swing[:2]
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def dark(pixels: UInt8Array, number: int, strength: int) -> UInt8Array:
    """Low light: half as bright with every second strength, and the sensor's noise."""
    noise = np.random.default_rng([number, strength]).standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(pixels * np.float32(0.5 ** (strength / 2)) + 5.0 * strength * noise, 0, 255).astype(np.uint8)


def blur(pixels: UInt8Array, number: int, strength: int) -> UInt8Array:  # noqa: ARG001 - the same for all
    """Out of focus by 0.35 % of the height a strength."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.0035 * strength * pixels.shape[0]), np.uint8)


def compress(pixels: UInt8Array, number: int, strength: int) -> UInt8Array:  # noqa: ARG001
    """A network with little room: JPEG of half the size, quality 40 to 6."""
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY[strength - 1]])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.resize(decoded, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def cover(pixels: UInt8Array, number: int, strength: int) -> UInt8Array:  # noqa: ARG001
    """A table: the lowest 10 % of the picture a strength are covered."""
    covered = pixels.copy()
    covered[round(pixels.shape[0] * (1.0 - 0.1 * strength)) :] = (112, 88, 66)
    return covered


def join(pixels: UInt8Array, number: int, strength: int) -> UInt8Array:  # noqa: ARG001
    """A second person beside the first, 20 % of their size a strength: their own picture in a mirror."""
    height, width = pixels.shape[:2]
    side = cv2.resize(pixels[:, ::-1], None, fx=0.2 * strength, fy=0.2 * strength, interpolation=cv2.INTER_AREA)
    wide = np.full((height, width + side.shape[1], 3), 128, np.uint8)
    wide[:, :width] = pixels
    wide[height - side.shape[0] :, width:] = side
    return wide


OF_PICTURES: dict[str, Degradation] = {
    "camera shake": shake,
    "low light and noise": dark,
    "blur": blur,
    "compression": compress,
    "a table": cover,
    "a second person": join,
}


def _wander(session: Session, strength: int, rng: np.random.Generator) -> Session:
    """A camera in the hand, as the tracker sees it: all points drift and jitter together."""
    seconds = session.times_ns * 1e-9
    phases = rng.uniform(0.0, 6.3, (2, 3)) + seconds[:, None, None] * np.array([1.1, 2.9, 6.7])
    drift = (np.sin(phases) @ np.array([0.012, 0.006, 0.002]) * strength * session.camera.height).astype(np.float32)
    return _moved(session, drift[:, None], drift[:, None, None], drift[:, None])


def _jitter(session: Session, strength: int, rng: np.random.Generator) -> Session:
    """Low light and compression: every point jitters by 0.3 % of the height a strength, and hands are lost."""
    sizes = 0.003 * strength * session.camera.height

    def noise(*shape: int) -> Float32Array:
        return (sizes * rng.standard_normal((len(session), *shape, 2))).astype(np.float32)

    moved = _moved(session, noise(33), noise(2, 21), noise(session.face.shape[1]))
    lost = rng.random((len(session), 2)) < 0.12 * strength
    return replace(moved, hands=np.where(lost[..., None, None], np.float32(np.nan), moved.hands))


def _behind_a_table(session: Session, strength: int, rng: np.random.Generator) -> Session:  # noqa: ARG001
    """The lowest 10 % of the picture a strength are covered: hands there are lost, the rest is guessed."""
    edge = session.camera.height * (1.0 - 0.1 * strength)
    pose = session.pose.copy()
    pose[..., 3] = np.where(pose[..., 1] > edge, 0.1 * pose[..., 3], pose[..., 3])
    below = session.hands[..., 1].mean(axis=-1) > edge  # (T, 2)
    return replace(session, pose=pose, hands=np.where(below[..., None, None], np.float32(np.nan), session.hands))


def _moved(session: Session, pose: Float32Array, hands: Float32Array, face: Float32Array) -> Session:
    """Points moved by (..., 2) pixels."""
    moved = [session.pose.copy(), session.hands.copy(), session.face.copy()]
    for points, way in zip(moved, (pose, hands, face), strict=True):
        points[..., :2] += way
    return replace(session, pose=moved[0], hands=moved[1], face=moved[2])


OF_LANDMARKS: dict[str, Callable[[Session, int, np.random.Generator], Session]] = {
    "camera shake": _wander,
    "jitter and lost hands": _jitter,
    "a table": _behind_a_table,
}
