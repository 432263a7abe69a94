"""The crop that follows a person: pure logic, no network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.capture.views.people import GLIDE_S, HOLD_S, Box, Follower, Square, extent

pytestmark = pytest.mark.slow

SHAPE = (1000, 1600)
TENTH_NS = 100_000_000


def box(x: float, y: float, width: float = 200, height: float = 500) -> Box:
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


class Scene:
    """Runs a follower ten times a second."""

    def __init__(self, margin: float = 0.15) -> None:
        self.follower = Follower(margin)
        self.time_ns = 0
        self.found = False
        self.squares: list[Square | None] = []

    def show(self, *people: Box, seconds: float = 0.1) -> Square | None:
        for _ in range(round(seconds * 10)):
            self.found = self.follower.update(self.time_ns, list(people), SHAPE)
            self.squares.append(self.follower.at(self.time_ns))
            self.time_ns += TENTH_NS
        return self.squares[-1]

    def steps(self) -> list[float]:
        pairs = itertools.pairwise(square for square in self.squares if square is not None)
        return [max(abs(a.x - b.x), abs(a.y - b.y), abs(a.side - b.side)) for a, b in pairs]


def test_the_first_sight_is_taken_at_once() -> None:
    assert Scene().show(box(800, 500)) == Square(800, 500, 650)


def test_nobody_yet() -> None:
    scene = Scene()
    assert scene.show() is None
    assert not scene.found


def test_a_fidgeting_person_does_not_move_the_crop() -> None:
    scene = Scene()
    random = np.random.default_rng(3)
    for _ in range(100):
        x, y, width, height = random.normal((800, 500, 200, 500), (12, 8, 15, 8))
        scene.show(box(x, y, width, height))
    assert set(scene.steps()) == {0.0}


def test_a_person_who_moves_is_followed_smoothly() -> None:
    scene = Scene()
    scene.show(box(800, 500), seconds=1)
    for x in range(825, 1100, 25):
        scene.show(box(x, 500))
    square = scene.show(box(1100, 500), seconds=4)
    assert square is not None
    assert square.x - square.side / 2 < 1000 - 15  # the person is well inside
    assert square.x + square.side / 2 > 1200 + 15
    steps = scene.steps()
    assert max(steps) < 300 * 0.1 / GLIDE_S  # no jump
    assert steps[-1] == 0.0  # and then it rests


def test_a_raised_arm_widens_the_crop_once_and_it_closes_in_later() -> None:
    scene = Scene()
    scene.show(box(800, 500), seconds=1)
    wide = scene.show(box(800, 400, 200, 700), seconds=3)
    assert wide is not None
    assert wide.side > 850
    assert scene.show(box(800, 500, 200, 450), seconds=1) == wide
    closer = scene.show(box(800, 500, 200, 450), seconds=5)
    assert closer is not None
    assert closer.side == pytest.approx(585, abs=2)


def test_waving_does_not_make_the_crop_breathe() -> None:
    scene = Scene()
    for _ in range(3):
        scene.show(box(800, 500), seconds=0.5)
        scene.show(box(800, 450, 200, 600), seconds=0.5)
    settled = len(scene.squares)
    for _ in range(10):
        scene.show(box(800, 500), seconds=0.5)
        scene.show(box(800, 450, 200, 600), seconds=0.5)
    assert len(set(scene.squares[settled + 20 :])) == 1


def test_the_crop_stays_when_the_person_is_lost_and_then_ends() -> None:
    scene = Scene()
    square = scene.show(box(800, 500), seconds=1)
    assert scene.show(seconds=HOLD_S - 0.2) == square
    assert not scene.found
    assert scene.show(box(810, 500)) == square
    assert scene.found
    assert scene.show(seconds=HOLD_S + 0.2) is None


def test_someone_elsewhere_is_taken_only_after_the_first_is_given_up() -> None:
    scene = Scene()
    square = scene.show(box(400, 500), seconds=1)
    assert scene.show(box(1200, 500), seconds=1) == square
    assert not scene.found
    taken = scene.show(box(1200, 500), seconds=HOLD_S)
    assert taken is not None
    assert taken.x == 1200
    assert scene.found


def test_of_two_people_the_larger_steadily() -> None:
    scene = Scene()
    near, far = box(400, 500, 300, 700), box(1200, 500, 200, 500)
    assert scene.show(far, near) == scene.show(near, far, seconds=1)
    square = scene.squares[-1]
    assert square is not None
    assert square.x == pytest.approx(455)  # moved inside the picture
    scene.show(box(400, 500, 190, 480), box(1200, 500, 200, 500), seconds=3)  # a little larger is no reason
    assert scene.squares[-1] is not None
    assert scene.squares[-1].x < 800
    scene.show(near, box(1200, 500, 500, 900), seconds=1)  # much larger, but only in passing
    scene.show(near, far, seconds=1)
    assert scene.squares[-1] is not None
    assert scene.squares[-1].x < 800
    scene.show(near, box(1200, 500, 500, 900), seconds=3)
    assert scene.squares[-1] is not None
    assert scene.squares[-1].x > 1000


def test_the_margin_alone_makes_no_black_bars() -> None:
    square = Scene().show(box(300, 500, 300, 980))
    assert square == Square(500, 500, 1000)


def test_a_person_wider_than_the_picture_is_high_gets_bars() -> None:
    square = Scene().show(box(800, 500, 1300, 900))
    assert square is not None
    assert square.side == 1300
    pixels = np.full((*SHAPE, 3), 255, np.uint8)
    body, framing = square.cut(pixels, 130)
    assert not body[:14].any()
    assert not body[-14:].any()
    assert body[16:-16].all()
    assert framing.seen == pytest.approx(1300 / 1600)


def test_another_picture_size_starts_anew() -> None:
    follower = Follower(0.15)
    follower.update(0, [box(800, 500)], SHAPE)
    assert not follower.update(TENTH_NS, [], (500, 800))
    assert follower.at(TENTH_NS) is None


def test_a_cut_is_where_it_says() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[40:60, 120:140] = 255
    body, framing = Square(130, 50, 40).cut(pixels, 80)
    assert body[20:60, 20:60].all()
    assert body.sum() < 255 * 3 * 44 * 44
    assert framing.magnified == 2.0
    assert framing.seen == pytest.approx(40 * 40 / (100 * 200))
    assert Square(-500, 50, 40).cut(pixels, 80)[1].seen == 0.0


sides = st.floats(1, 3000)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(-200, 1800), st.floats(-200, 1200), sides, sides), max_size=8), st.floats(0, 1))
def test_every_square_can_be_cut(people: list[tuple[float, float, float, float]], margin: float) -> None:
    follower = Follower(margin)
    pixels = np.zeros((100, 160, 3), np.uint8)
    for index, (x, y, width, height) in enumerate(people):
        found = Box(
            max(0.0, x - width / 2), max(0.0, y - height / 2), min(1600.0, x + width / 2), min(1000.0, y + height / 2)
        )
        if found.right <= found.left or found.bottom <= found.top:
            continue
        follower.update(index * TENTH_NS, [found], SHAPE)
        square = follower.at(index * TENTH_NS)
        assert square is None or 0 < square.side <= 1600
        if square is not None:
            body, framing = Square(square.x / 10, square.y / 10, square.side / 10).cut(pixels, 32)
            assert body.shape == (32, 32, 3)
            assert framing.seen > 0


def pose(**points: tuple[float, float]) -> np.ndarray:
    """(33, 4): the named landmarks seen, all others not."""
    names = {
        "nose": 0,
        "left_eye": 2,
        "right_eye": 5,
        "mouth_left": 9,
        "mouth_right": 10,
        "left_shoulder": 11,
        "right_shoulder": 12,
        "left_ankle": 27,
        "right_ankle": 28,
    }
    landmarks = np.zeros((33, 4), np.float32)
    for name, point in points.items():
        landmarks[names[name]] = (*point, 1.0, 1.0)
    return landmarks


FACE = {"left_eye": (0.52, 0.20), "right_eye": (0.48, 0.20), "mouth_left": (0.51, 0.25), "mouth_right": (0.49, 0.25)}


def test_the_extent_includes_the_crown() -> None:
    found = extent(pose(**FACE, left_shoulder=(0.6, 0.4), right_shoulder=(0.4, 0.4)), 100, 200)
    assert found is not None
    assert (found.left, found.right, found.bottom) == pytest.approx((80, 120, 40))
    assert found.top == pytest.approx(20 - 1.7 * 5, abs=0.01)


def test_what_is_outside_the_picture_or_unseen_does_not_count() -> None:
    found = extent(pose(**FACE, left_shoulder=(0.6, 0.4), right_shoulder=(0.4, 0.4), left_ankle=(0.5, 1.6)), 100, 200)
    assert found is not None
    assert found.bottom == pytest.approx(40)
    assert extent(pose(nose=(0.5, 0.2), left_shoulder=(0.6, 0.4)), 100, 200) is None
    assert extent(np.zeros((33, 4), np.float32), 100, 200) is None


def test_it_is_known_since_when_a_person_is_followed() -> None:
    scene = Scene()
    assert scene.follower.followed_ns(0) is None
    scene.show(box(400, 500), seconds=3)
    assert scene.follower.followed_ns(scene.time_ns) == 30 * TENTH_NS
    scene.show(seconds=HOLD_S - 1)
    scene.show(box(400, 500), seconds=1)  # back in time: the same person
    assert scene.follower.followed_ns(scene.time_ns) == 60 * TENTH_NS
    scene.show(box(400, 500), box(1200, 500, 500, 900), seconds=1)
    assert scene.follower.followed_ns(scene.time_ns) == 70 * TENTH_NS
    scene.show(box(400, 500), box(1200, 500, 500, 900), seconds=1)  # larger by half for 1.5 s: followed instead
    assert scene.follower.followed_ns(scene.time_ns) == 5 * TENTH_NS
