"""Recordings of a seated person to measure on: a real one, or a drawn one on machines without it.

A drawn one costs what a recording of that size costs; what a model says of it means nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.harness import loop_recording

# A seated person, 1080x1296, 1.5 s; the trackers find the drawn one less often.
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "clips" / "seated_B2_shaking_head.mp4"
REAL_S = 1.5
WIDTH, HEIGHT, FPS = 540, 648, 30  # the aspect of MA-52 clips
BIT_RATE = 1_500_000
SKIN, SHIRT, TROUSERS, HAIR, SHOES = (222, 184, 150), (70, 105, 160), (60, 62, 75), (60, 42, 30), (40, 36, 34)
WALL, FLOOR, CHAIR = (206, 204, 198), (150, 132, 112), (98, 76, 60)
GAP_S = (0.8, 2.2)  # rest between two motions
LENGTH_S = (1.4, 3.0)

Point = tuple[float, float]
UInt8Array = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Pose:
    """Joint positions in units of the shoulder width, origin between the hips, y down."""

    head: Point = (0.0, -2.15)
    face_turn: float = 0.0  # -1..1
    face_drop: float = 0.0  # chin towards the chest, 0..1
    left_hand: Point = (0.42, 0.12)
    right_hand: Point = (-0.42, 0.12)
    right_heel_lift: float = 0.0


def _nod(pose: Pose, phase: float, swing: float) -> None:
    pose.face_drop = swing * (0.5 + 0.5 * math.sin(phase))
    pose.head = (pose.head[0], pose.head[1] + 0.08 * pose.face_drop)


def _shake_head(pose: Pose, phase: float, swing: float) -> None:
    pose.face_turn = swing * math.sin(phase)


def _tilt_head(pose: Pose, phase: float, swing: float) -> None:  # noqa: ARG001 - held, not repeated
    pose.head = (pose.head[0] + 0.22 * swing, pose.head[1] + 0.05 * swing)


def _wave(pose: Pose, phase: float, swing: float) -> None:
    pose.left_hand = (0.95 + 0.2 * swing * math.sin(phase), 0.12 - 1.9 * swing)


def _rub_hands(pose: Pose, phase: float, swing: float) -> None:
    pose.left_hand = (0.42 - 0.36 * swing, 0.12 - 0.35 * swing + 0.09 * swing * math.sin(phase))
    pose.right_hand = (-0.42 + 0.36 * swing, 0.12 - 0.35 * swing - 0.09 * swing * math.sin(phase))


def _touch_nose(pose: Pose, phase: float, swing: float) -> None:
    pose.right_hand = (-0.42 + 0.4 * swing, 0.12 - 2.05 * swing + 0.03 * math.sin(phase))


def _shake_leg(pose: Pose, phase: float, swing: float) -> None:
    pose.right_heel_lift = swing * (0.5 + 0.5 * math.sin(phase * 2))


MOTIONS: tuple[Callable[[Pose, float, float], None], ...] = (
    _nod,
    _shake_head,
    _tilt_head,
    _wave,
    _rub_hands,
    _touch_nose,
    _shake_leg,
)


def write_person(path: Path, seconds: float) -> str:
    """Write a recording, 1080x1296 pixels, of a real person where there is one; says whose it is."""
    if REAL.exists():
        loop_recording(REAL, path, round(seconds / REAL_S))
        return "a real person"
    write_recording(path, seconds, seed=0, scale=2)
    return "a drawn person"


def write_recording(path: Path, seconds: float, seed: int, scale: int = 1) -> None:
    """Draw and encode the recording (H.264, 30 frames/s, 540x648 pixels times `scale`).

    The same seed gives the same pictures.
    """
    script = _script(np.random.default_rng(seed), seconds)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = scale * WIDTH, scale * HEIGHT, "yuv420p"
        stream.bit_rate = scale * BIT_RATE
        stream.time_base = Fraction(1, FPS)
        background = _background()
        for index in range(max(1, round(seconds * FPS))):
            picture = _draw(background, _pose_at(script, index / FPS))
            picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _script(rng: np.random.Generator, seconds: float) -> list[tuple[float, float, int, float]]:
    """(onset s, offset s, motion, frequency Hz), never two at once."""
    script, at = [], float(rng.uniform(*GAP_S))
    while at < seconds:
        length = float(rng.uniform(*LENGTH_S))
        script.append((at, at + length, int(rng.integers(len(MOTIONS))), float(rng.uniform(1.2, 2.2))))
        at += length + float(rng.uniform(*GAP_S))
    return script


def _pose_at(script: list[tuple[float, float, int, float]], at_s: float) -> Pose:
    pose = Pose(head=(0.01 * math.sin(at_s * 0.7), -2.15 + 0.012 * math.sin(at_s * 1.6)))  # sway and breath
    for onset, offset, motion, hertz in script:
        if onset <= at_s <= offset:
            swing = min(1.0, (at_s - onset) / 0.35, (offset - at_s) / 0.35)  # ease in and out
            MOTIONS[motion](pose, 2 * math.pi * hertz * (at_s - onset), swing)
    return pose


def _background() -> UInt8Array:
    picture = np.full((HEIGHT, WIDTH, 3), WALL, np.uint8)
    cv2.rectangle(picture, (0, 485), (WIDTH, HEIGHT), FLOOR, -1)
    cv2.rectangle(picture, (185, 205), (355, 400), CHAIR, -1, cv2.LINE_AA)
    return picture


def _draw(background: UInt8Array, pose: Pose) -> UInt8Array:
    picture = background.copy()
    unit, origin = 100.0, (WIDTH / 2, 375.0)

    def at(point: Point) -> tuple[int, int]:
        return round(origin[0] + unit * point[0]), round(origin[1] + unit * point[1])

    def limb(color: tuple[int, int, int], width: int, *points: Point) -> None:
        for start, end in itertools.pairwise(points):
            cv2.line(picture, at(start), at(end), color, width, cv2.LINE_AA)

    lift = 0.12 * pose.right_heel_lift
    for side, up in ((1.0, 0.0), (-1.0, lift)):  # thigh towards the camera, shank down
        limb(TROUSERS, 42, (0.22 * side, 0.0), (0.38 * side, 0.45 - up), (0.36 * side, 1.35 - up))
        limb(SHOES, 24, (0.36 * side, 1.45 - up), (0.44 * side, 1.52))
    torso = np.array([at(point) for point in ((-0.5, -1.45), (0.5, -1.45), (0.36, 0.15), (-0.36, 0.15))])
    cv2.fillConvexPoly(picture, torso, SHIRT, cv2.LINE_AA)
    limb(SKIN, 28, (0.0, -1.5), (pose.head[0], pose.head[1] + 0.3))
    for side, hand in ((1.0, pose.left_hand), (-1.0, pose.right_hand)):
        shoulder = (0.46 * side, -1.35)
        middle = ((shoulder[0] + hand[0]) / 2 + 0.2 * side, (shoulder[1] + hand[1]) / 2 + 0.12)
        limb(SHIRT, 28, shoulder, middle)
        limb(SKIN, 20, middle, hand)
        cv2.circle(picture, at(hand), 16, SKIN, -1, cv2.LINE_AA)
    _draw_head(picture, at(pose.head), pose)
    return picture


def _draw_head(picture: UInt8Array, center: tuple[int, int], pose: Pose) -> None:
    x, y = center
    cv2.ellipse(picture, (x, y - 7), (40, 47), 0, 0, 360, HAIR, -1, cv2.LINE_AA)
    shift, drop = round(16 * pose.face_turn), round(14 * pose.face_drop)
    cv2.ellipse(picture, (x + shift // 2, y + 5 + drop // 2), (33, 40), 0, 0, 360, SKIN, -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(picture, (x + shift + 15 * side, y - 4 + drop), 4, HAIR, -1, cv2.LINE_AA)
    cv2.line(picture, (x + shift, y + 2 + drop), (x + shift, y + 14 + drop), (190, 140, 110), 4, cv2.LINE_AA)
    cv2.ellipse(picture, (x + shift, y + 28 + drop), (12, 4), 0, 0, 180, (150, 70, 70), 3, cv2.LINE_AA)
