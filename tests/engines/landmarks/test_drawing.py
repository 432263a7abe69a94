"""The landmark drawing: what it shows, what it hides, and that both ways to make it agree to the last pixel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from engines.landmarks.drawing import TRAIL_S, LandmarkDrawing, draw_window
from engines.landmarks.points import FACE_POINTS, Landmarks
from engines.landmarks.scene import BODY, HAND_PANELS, HEAD, Panel

SIZE = 112
SHAPE = (1296, 1080)
FPS = 30
SHOULDERS = 200.0  # pixels


def person(shift: tuple[float, float] = (0.0, 0.0), scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """pose (33, 4), hands (2, 21, 3), face (F, 3) of a seated person, in pixels; the person's left is on the right."""
    pose = np.zeros((33, 4), np.float32)
    centre = {
        0: (0, -0.55),
        2: (0.07, -0.6),
        5: (-0.07, -0.6),
        7: (0.18, -0.56),
        8: (-0.18, -0.56),
        9: (0.06, -0.44),
        10: (-0.06, -0.44),
        11: (0.5, 0),
        13: (0.65, 0.8),
        15: (0.5, 1.5),
        17: (0.52, 1.65),
        19: (0.45, 1.66),
        21: (0.42, 1.58),
        23: (0.3, 1.5),
        25: (0.6, 2.0),
        27: (0.55, 3.1),
        29: (0.53, 3.2),
        31: (0.65, 3.3),
    }
    for point, (x, y) in centre.items():
        pose[point, :2] = (x, y)
        if point >= 11:
            pose[point + 1, :2] = (-x, y)
    pose[[1, 3], :2], pose[[4, 6], :2] = pose[2, :2], pose[5, :2]
    pose[:, 3] = 1.0
    finger = np.arange(21)
    hand = np.stack([(finger - 1) // 4 * 0.06 - 0.12, 0.1 + (finger - 1) % 4 * 0.08, np.zeros(21)], axis=1)
    hand[0] = 0.0
    wrists = np.append(pose[15:17, :2], [[0], [0]], axis=1)[:, None]  # (2, 1, 3)
    hands = np.stack([hand, hand * [-1, 1, 1]]) + wrists
    angle = np.linspace(0, 2 * np.pi, FACE_POINTS)
    face = np.stack([0.2 * np.sin(angle), -0.55 - 0.25 * np.cos(angle), np.zeros(FACE_POINTS)], axis=1)
    origin = np.array([540.0, 420.0]) + shift
    for array in (pose, hands, face):
        array[..., :2] = array[..., :2] * SHOULDERS * scale + origin
    return pose, hands.astype(np.float32), face.astype(np.float32)


Motion = Callable[[float, np.ndarray, np.ndarray, np.ndarray], None]


def still(time_s: float, pose: np.ndarray, hands: np.ndarray, face: np.ndarray) -> None:
    """No motion."""


def leg_shake(time_s: float, pose: np.ndarray, hands: np.ndarray, face: np.ndarray) -> None:
    """4 Hz, 2 cm each way, the left leg."""
    pose[[25, 27, 29, 31], 1] += 0.05 * SHOULDERS * np.sin(2 * np.pi * 4 * time_s)


def nod(time_s: float, pose: np.ndarray, hands: np.ndarray, face: np.ndarray) -> None:
    pose[:11, 1] += 0.08 * SHOULDERS * np.sin(2 * np.pi * 2 * time_s)
    face[:, 1] += 0.08 * SHOULDERS * np.sin(2 * np.pi * 2 * time_s)


def sway(time_s: float, pose: np.ndarray, hands: np.ndarray, face: np.ndarray) -> None:
    for array in (pose[:23], hands, face):
        array[..., 0] += 0.1 * SHOULDERS * np.sin(2 * np.pi * 0.5 * time_s)


def film(motion: Motion = still, seconds: float = 2.0, fps: float = FPS, **where: object) -> list[Landmarks]:
    pictures = []
    for index in range(round(seconds * fps)):
        pose, hands, face = person(**where)  # type: ignore[arg-type]
        motion(index / fps, pose, hands, face)
        pictures.append(Landmarks(round(index / fps * 1e9), *SHAPE, pose, hands, face))
    return pictures


def draw(pictures: list[Landmarks], size: int = SIZE) -> np.ndarray:
    """(N, S, S, 3)"""
    drawing = LandmarkDrawing(size)
    return np.stack([drawing.draw(picture) for picture in pictures])


def window(pictures: list[Landmarks], samples: list[int], size: int = SIZE) -> np.ndarray:
    pose, hands, face = (
        np.stack([getattr(picture, name) for picture in pictures]) for name in ("pose", "hands", "face")
    )
    return draw_window(size, pose, hands, face, [picture.time_ns for picture in pictures], samples, SHAPE)


def panel(pictures: np.ndarray, where: Panel) -> np.ndarray:
    rows, columns = where.slices(pictures.shape[1])
    return pictures[:, rows, columns].astype(int)


@pytest.mark.parametrize("size", [96, 112, 160])
def test_one_at_a_time_and_a_window_at_once_agree(size: int) -> None:
    rng = np.random.default_rng(3)
    pictures = []
    for number, picture in enumerate(film(leg_shake, seconds=3)):
        pose, hands, face = (
            array + rng.normal(0, 2, array.shape).astype(np.float32)
            for array in (picture.pose, picture.hands, picture.face)
        )
        pose[:, 3] = np.clip(rng.uniform(0.2, 1.2, 33), 0, 1)
        if number % 7 == 3:
            hands[number % 2] = np.nan
        if number % 11 == 5:
            face[:] = np.nan
        picture = Landmarks(picture.time_ns, *SHAPE, pose, hands, face)
        if number in (20, 21) or 40 <= number < 75:  # away for a moment, and for longer than anybody is remembered
            picture = Landmarks.nobody(picture.time_ns, *SHAPE)
        pictures.append(picture)
    every = draw(pictures, size)
    samples = [0, 5, 19, 20, 22, 23, 39, 50, 75, 76, 80, 80, 89]
    assert np.array_equal(window(pictures, samples, size), every[samples])
    assert every.shape == (90, size, size, 3)
    assert every.dtype == np.uint8


def test_the_same_again_after_a_reset() -> None:
    pictures = film(nod, seconds=0.5)
    drawing = LandmarkDrawing(SIZE)
    first = [drawing.draw(picture) for picture in pictures]
    drawing.reset()
    assert all(np.array_equal(drawing.draw(picture), before) for picture, before in zip(pictures, first, strict=True))


def test_distance_and_place_do_not_show() -> None:
    near, far = draw(film(leg_shake)), draw(film(leg_shake, scale=0.6, shift=(150.0, 90.0)))
    assert np.abs(near[30:].astype(int) - far[30:]).mean() < 1.0  # only what 0.05 SHOULDERS means differs
    near, far = draw(film()), draw(film(scale=0.7, shift=(-60.0, 40.0)))
    assert np.abs(near.astype(int) - far).max() <= 30  # rounding to sixteenths of a pixel


def test_a_still_person_is_drawn_the_same_all_the_time() -> None:
    pictures = draw(film())
    assert (pictures[8:] == pictures[8]).all()
    assert pictures[8].any()


def test_a_shaking_leg_shows_in_every_single_drawing() -> None:
    """Samples one period apart see the same posture; the trail tells."""
    shaken = panel(draw(film(leg_shake)), BODY)[15:]
    quiet = panel(draw(film()), BODY)[15:]
    trail = ((shaken[..., 0] > 180) & (quiet[..., 0] < 100)).sum(axis=(1, 2))
    assert trail.min() >= 3
    assert trail.mean() >= 8
    blue = np.abs(shaken[..., 2] - quiet[..., 2]).max()  # the other leg is still
    assert blue == 0


def bowed(time_s: float, pose: np.ndarray, hands: np.ndarray, face: np.ndarray) -> None:
    """Once, after two seconds, and it stays so: the nose comes down, a hand goes aside."""
    if time_s >= 2.0:
        pose[0, 1] += 0.12 * SHOULDERS
        pose[15, 0] += 0.3 * SHOULDERS


def always_bowed(_: float, pose: np.ndarray, hands: np.ndarray, face: np.ndarray) -> None:
    bowed(2.0, pose, hands, face)


def test_a_line_leads_to_where_a_point_usually_is() -> None:
    """Long after the motion, when no trail is left of it, in the colours of left (hand) and middle (nose)."""
    changed, as_ever = draw(film(bowed, 3.0))[-1:], draw(film(always_bowed, 3.0))[-1:]
    for where in (BODY, HEAD):
        more = panel(changed, where) - panel(as_ever, where)
        assert (more[..., 0] > 50).sum() >= 3
        assert not more[..., 1].any()  # posture is as it is
    assert (panel(changed, BODY)[..., 2] - panel(as_ever, BODY)[..., 2] > 50).sum() < (
        panel(changed, BODY)[..., 0] - panel(as_ever, BODY)[..., 0] > 50
    ).sum()


def test_what_lasts_becomes_usual() -> None:
    as_ever = draw(film(always_bowed, 3.0))[-1].astype(int)
    soon, late = (np.abs(draw(film(bowed, seconds, fps=5))[-1] - as_ever).sum() for seconds in (3.0, 150.0))
    assert late < 0.1 * soon


def test_a_head_that_moves_as_a_whole_is_not_turned() -> None:
    def aside(time_s: float, pose: np.ndarray, hands: np.ndarray, face: np.ndarray) -> None:
        if time_s >= 2.0:
            pose[:11, 0] += 0.1 * SHOULDERS
            face[..., 0] += 0.1 * SHOULDERS

    moved = film(aside, 3.0)
    landmarks = moved[-1]
    drawn = panel(draw(moved)[-1:], HEAD)[0]
    placed = draw([dataclasses.replace(landmarks, time_ns=0)])[0]  # the same head in the middle of its panel
    lines = [(picture[..., :2].max(axis=2) > 60).sum() for picture in (drawn, panel(placed[None], HEAD)[0])]
    assert abs(lines[0] - lines[1]) <= 0.1 * lines[1]


@pytest.mark.parametrize(("motion", "where"), [(nod, HEAD), (sway, BODY), (sway, HEAD)])
def test_motion_shows_in_its_panel(motion: Motion, where: Panel) -> None:
    moving = panel(draw(film(motion)), where)[15:]
    assert (np.abs(moving - moving[0]).max(axis=(1, 2, 3)) > 100).mean() > 0.8


def test_left_is_red_and_right_is_blue() -> None:
    raised = film()
    for picture in raised:
        picture.hands[0] = np.nan
        picture.pose[[13, 15, 17, 19, 21], 3] = 0.0  # the left arm is not seen
    whole, without = panel(draw(film())[-1:], BODY)[0], panel(draw(raised)[-1:], BODY)[0]
    lost = np.abs(whole - without).sum(axis=(0, 1))
    assert lost[0] > 1000
    assert lost[1] > 1000
    assert lost[2] == 0
    columns = np.nonzero(np.abs(whole - without).sum(axis=(0, 2)))[0]
    assert columns.min() > 32  # the person's left is on the picture's right


def test_nobody_is_black() -> None:
    assert not draw([Landmarks.nobody(0, *SHAPE)]).any()


def test_what_was_not_seen_is_not_drawn() -> None:
    pictures = film()
    for picture in pictures:
        picture.pose[23:, 3] = 0.1
        picture.hands[:] = np.nan
        picture.pose[13:23, 3] = 0.0
        picture.face[:] = np.nan
    drawn = draw(pictures)
    assert not panel(drawn, BODY)[:, 50:].any()
    assert not any(panel(drawn, where).any() for where in HAND_PANELS)
    assert panel(drawn, HEAD).any()


def test_legs_beyond_the_picture_are_a_guess_and_not_drawn() -> None:
    pictures = [dataclasses.replace(picture, height=800) for picture in film()]  # cut off at 1.9 shoulder widths
    assert not panel(draw(pictures), BODY)[:, 80:].any()


def test_no_trail_leads_from_one_person_to_another() -> None:
    first = film(seconds=0.5)
    second = [
        dataclasses.replace(picture, time_ns=picture.time_ns + 500_000_000)
        for picture in film(seconds=0.5, shift=(400.0, 0.0))
    ]
    assert np.array_equal(draw(first + second)[15], draw(second)[0])


def test_the_frame_rate_does_not_show() -> None:
    fast, slow = draw(film(leg_shake, fps=60))[::2], draw(film(leg_shake, fps=30))
    assert np.abs(fast[20:].astype(int) - slow[20:]).mean() < 1.0


def test_time_that_runs_backwards_starts_anew() -> None:
    pictures = film(seconds=0.3)
    again = draw([*pictures, *pictures])
    assert np.array_equal(again[: len(pictures)], again[len(pictures) :])


def test_a_point_far_outside_does_no_harm() -> None:
    pictures = film(seconds=0.2)
    pictures[3].hands[0, 8] = (1e9, -1e9, 0.0)
    assert draw(pictures).shape == (6, SIZE, SIZE, 3)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="size of 32 or more"):
        LandmarkDrawing(16)
    with pytest.raises(ValueError, match=rf"got {SIZE} and -1"):
        LandmarkDrawing(SIZE, -1.0)
    assert TRAIL_S > 0.2
