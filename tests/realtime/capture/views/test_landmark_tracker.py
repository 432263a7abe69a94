"""The landmark tracker and its view on real clips, and what needs no models: which hand is whose, what is in view."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from engines.landmarks.drawing import LandmarkDrawing
from engines.landmarks.points import FACE_MESH_INDICES, Landmarks
from realtime.capture.order import ViewSpec
from realtime.capture.sources import Image
from realtime.capture.views import hands, landmark_tracker
from realtime.capture.views.coverage import Coverage
from realtime.capture.views.hands import Hand
from realtime.capture.views.landmark_tracker import LandmarkTracker
from realtime.capture.views.landmark_view import LandmarkView
from realtime.capture.views.make import make_view
from realtime.capture.views.people import Square
from realtime.capture.views.picture_part import cut
from realtime.display import framing_warnings
from realtime.messages import Framing
from tests.realtime.conftest import read

pytestmark = pytest.mark.slow

SEATED = "seated_B2_shaking_head.mp4"
UPPER_BODY = "upper_body_asl_milk.mkv"
FRAME_NS = 33_333_333
SHAPE = (1000, 1000)


def track(trackers: list[Path], images: list[Image]) -> list[Landmarks]:
    with closing(LandmarkTracker(*trackers)) as tracker:
        return [tracker.track(image.pixels, image.media_ns) for image in images]


@pytest.fixture(scope="module")
def seated(trackers: list[Path]) -> list[Landmarks]:
    return track(trackers, read(SEATED))


@pytest.fixture(scope="module")
def upper_body(trackers: list[Path]) -> list[Landmarks]:
    return track(trackers, read(UPPER_BODY))


def found(values: list[Landmarks], name: str) -> np.ndarray:
    return np.stack([getattr(value, name) for value in values])


def test_a_masked_head_is_held_steady_and_turns_as_before(
    seated: list[Landmarks], trackers: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.landmarks.steady_head.PLAY", 0.0)
    steady, loose = found(seated, "pose"), found(track(trackers, read(SEATED)), "pose")

    def nose(pose: np.ndarray) -> np.ndarray:
        """(T, 2) pixels from the ears."""
        return np.asarray(pose[:, 0, :2] - pose[:, 7:9, :2].mean(axis=1))

    assert np.std(nose(steady)[:, 1]) < 0.7 * np.std(nose(loose)[:, 1])
    np.testing.assert_array_equal(steady[..., 0], loose[..., 0])


@pytest.mark.parametrize("clip", ["seated", "upper_body"])
def test_a_real_person_is_tracked(clip: str, request: pytest.FixtureRequest) -> None:
    landmarks = request.getfixturevalue(clip)
    assert np.mean([each.person for each in landmarks]) >= 0.95
    pose, hands = found(landmarks, "pose"), found(landmarks, "hands")
    shoulders = np.hypot(*(pose[:, 11, :2] - pose[:, 12, :2]).T)
    assert (pose[:, 11, 0] > pose[:, 12, 0]).all()  # facing the camera, the person's left is on the right
    assert np.nanmean(~np.isnan(hands[:, 0, 0, 0])) > 0.9
    for side in (0, 1):
        apart = np.hypot(*(hands[:, side, 0, :2] - pose[:, 15 + side, :2]).T) / shoulders
        assert np.nanmax(apart) <= landmark_tracker.REACH + 1e-3
        assert np.nanmedian(apart) < 0.15


def test_the_face_is_where_the_pose_says(upper_body: list[Landmarks]) -> None:
    face, pose = found(upper_body, "face"), found(upper_body, "pose")
    assert np.mean(np.isnan(face[:, 0, 0])) < 0.1
    shoulders = np.hypot(*(pose[:, 11, :2] - pose[:, 12, :2]).T)

    def at(index: int) -> np.ndarray:
        return face[:, FACE_MESH_INDICES.index(index), :2]

    for index, point in ((1, 0), (263, 3), (33, 6)):  # nose, left and right outer eye corner
        assert np.nanmax(np.hypot(*(at(index) - pose[:, point, :2]).T) / shoulders) < 0.15
    assert np.nanmax(at(33)[:, 0] - at(263)[:, 0]) < 0
    assert np.nanmax(at(10)[:, 1] - at(152)[:, 1]) < 0  # forehead above chin


def test_the_same_clip_gives_the_same_landmarks(trackers: list[Path], upper_body: list[Landmarks]) -> None:
    again = track(trackers, read(UPPER_BODY)[:20])
    for name in ("pose", "hands", "face"):
        assert np.array_equal(found(again, name), found(upper_body[:20], name), equal_nan=True)


def test_a_still_picture_gives_a_still_drawing(trackers: list[Path]) -> None:
    picture = read(UPPER_BODY)[25]
    stills = [dataclasses.replace(picture, media_ns=index * FRAME_NS) for index in range(40)]
    drawing = LandmarkDrawing(112)
    drawn = np.stack([drawing.draw(landmarks) for landmarks in track(trackers, stills)]).astype(int)
    assert drawn[-1].any()
    assert np.abs(np.diff(drawn[25:], axis=0)).mean() < 0.3


def test_leaving_and_coming_back(trackers: list[Path]) -> None:
    there = [image.pixels for image in read(UPPER_BODY)[:12]]
    gone = [np.full_like(there[0], 127)] * 20
    images = [Image(pixels, 0, 0, index * 3 * FRAME_NS) for index, pixels in enumerate(there + gone + there)]
    with closing(LandmarkView(ViewSpec(112, sees="landmarks"), LandmarkTracker(*trackers))) as view:
        drawn, framings = zip(*(view.apply(image) for image in images), strict=True)
    assert framings[5].person_found
    assert not framings[31].person_found
    assert not drawn[31].any()
    assert framings[-1].person_found
    assert drawn[-1].any()


def test_the_larger_of_two_people(trackers: list[Path]) -> None:
    near, far = read(SEATED)[:15], read("seated_A1_shaking_body.mp4")[:15]
    images = []
    for big, small in zip(near, far, strict=True):
        canvas = np.full((1296, 2160, 3), 200, np.uint8)
        canvas[:, 1080:] = big.pixels
        canvas[500:1148, 200:740] = small.pixels[::2, ::2]
        images.append(dataclasses.replace(big, pixels=canvas))
    landmarks = track(trackers, images)
    assert all(each.person for each in landmarks)
    assert found(landmarks, "pose")[:, 11, 0].min() > 1080


@pytest.mark.parametrize("several", [False, True])
def test_how_many_are_there_and_since_when_one_is_followed(trackers: list[Path], several: bool) -> None:
    images = [image.pixels for image in read(SEATED)[:20]]
    if several:
        images = [np.concatenate([pixels[:, ::-1], pixels], axis=1) for pixels in images]
    with closing(LandmarkTracker(*trackers)) as tracker:
        for index, pixels in enumerate(images):
            tracker.track(pixels, index * FRAME_NS)
            assert (tracker.people, tracker.followed_ns) == (1 + several, index * FRAME_NS)
        tracker.track(np.full_like(images[0], 127), 20 * FRAME_NS)
        assert tracker.followed_ns is None


def test_the_view_warns_of_legs_out_of_view(trackers: list[Path]) -> None:
    with closing(make_view(ViewSpec(112, sees="landmarks"))) as view:
        assert isinstance(view, LandmarkView)
        framing = [view.apply(image)[1] for image in read(UPPER_BODY)[:40]][-1]
    assert framing.unseen == ("legs", "feet")
    assert framing_warnings(framing, "center") == ("legs out of view: lower limb and leg-hand actions cannot be seen",)


def pose(left: tuple[float, float] = (600, 500), right: tuple[float, float] = (400, 500)) -> np.ndarray:
    """(33, 4) with the wrists here."""
    made = np.full((33, 4), 0.9, np.float32)
    made[[11, 12], :2], made[[15, 16], :2] = [(600, 300), (400, 300)], [left, right]
    return made


def seen_hands(*hands: tuple[tuple[float, float], str]) -> list[Hand]:
    """Hands with these wrists and labels, fingers below."""
    below = np.stack([np.zeros(21), 5.0 * np.arange(21), np.zeros(21)], axis=1)
    return [Hand((np.array([*wrist, 0.0]) + below).astype(np.float32), label == "Left", 0.95) for wrist, label in hands]


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> LandmarkTracker:
    """Without models."""
    monkeypatch.setattr(landmark_tracker, "PersonFinder", lambda *_, **__: None)
    monkeypatch.setattr(landmark_tracker, "PersonCounter", lambda _: None)
    monkeypatch.setattr(landmark_tracker, "FaceMeshTracker", lambda _: SimpleNamespace(forget=lambda: None))
    monkeypatch.setattr(hands, "VideoTask", lambda *_, **__: None)
    monkeypatch.setattr(hands, "HandNetwork", lambda _: None)
    return LandmarkTracker(Path(), Path(), Path())


def sides(tracker: LandmarkTracker, time_ns: int, *hands: tuple[tuple[float, float], str], **wrists: object) -> list:
    assigned = tracker._assign(seen_hands(*hands), pose(**wrists), 200.0, time_ns)  # type: ignore[arg-type]
    return [None if np.isnan(hand[0, 0]) else tuple(np.rint(hand[0, :2]).astype(int).tolist()) for hand in assigned]


def test_hands_go_to_the_nearer_wrist_whatever_their_label(tracker: LandmarkTracker) -> None:
    assert sides(tracker, 0, ((405, 505), "Left"), ((595, 500), "Right")) == [(595, 500), (405, 505)]


def test_hands_at_one_place_are_told_apart_by_label_and_past(tracker: LandmarkTracker) -> None:
    together = {"left": (510, 500), "right": (490, 500)}
    assert sides(tracker, 0, ((490, 500), "Left"), ((515, 500), "Right"), **together) == [(490, 500), (515, 500)]
    assert sides(tracker, FRAME_NS, ((515, 500), "Left"), ((470, 500), "Left"), **together) == [(470, 500), (515, 500)]


def test_one_hand_found_twice_is_one(tracker: LandmarkTracker) -> None:
    assert sides(tracker, 0, ((600, 500), "Left"), ((603, 502), "Left")) == [(600, 500), None]


def test_another_persons_hand_is_refused(tracker: LandmarkTracker) -> None:
    assert sides(tracker, 0, ((800, 800), "Left")) == [None, None]
    assert sides(tracker, 0) == [None, None]


def test_a_crop_may_leave_the_picture() -> None:
    pixels = np.full((100, 200, 3), 255, np.uint8)
    crop = cut(pixels, Square(0, 50, 100), 50)
    assert crop.pixels.shape == (50, 50, 3)
    assert not crop.pixels[:, :24].any()
    assert crop.pixels[:, 26:].all()
    points = crop.points([SimpleNamespace(x=1.0, y=0.5, z=0.1)])
    assert points.tolist() == [pytest.approx([50.0, 50.0, 10.0])]


class FakeFinder:
    """Says how many people there are, and counts how often it is asked."""

    def __init__(self, most: int) -> None:
        self.most, self.there, self.asked = most, 1, 0

    def poses(self, pixels: np.ndarray, time_ns: int) -> list[np.ndarray]:
        self.asked += 1
        return [np.zeros((33, 5), np.float32)] * min(self.most, self.there)


def test_a_second_person_is_looked_for_now_and_then(tracker: LandmarkTracker) -> None:
    single, several = FakeFinder(1), FakeFinder(2)
    tracker._single, tracker._several = single, several  # type: ignore[assignment]
    counted = []
    tracker._counter = SimpleNamespace(count=lambda _: counted.append(0) or several.there)  # type: ignore[assignment]
    pixels = np.zeros((8, 8, 3), np.uint8)

    def watch(start_s: float, seconds: float) -> list[int]:
        times_s = [start_s + index / 30 for index in range(round(seconds * 30))]
        return [len(tracker._poses(pixels, round(time_s * 1e9))) for time_s in times_s]

    assert set(watch(0, 2)) == {1}
    assert (single.asked, len(counted), several.asked) == (60, 4, 0)
    several.there = 2
    found = watch(2, 2)
    assert found[0] == 2  # at the latest after half a second
    assert set(found) == {2}
    several.there = 1
    watch(4, 4)
    assert single.asked > 60 + 50  # alone again, and followed as such
    assert several.asked < 60 + 75


class FakeNetwork:
    """Loses no hand, and counts how often it is asked for one; each time it lies `way` pixels further."""

    def __init__(self, way: float) -> None:
        self.asked, self.way = 0, way

    def follow(self, pixels: np.ndarray, hand: Hand, least: float) -> Hand:
        self.asked += 1
        return dataclasses.replace(hand, points=hand.points + np.float32(self.way * (-1) ** self.asked))


class FakeTask:
    """Finds a hand the first time, and counts how often it is asked."""

    asked = 0

    def detect(self, pixels: np.ndarray, time_ns: int) -> SimpleNamespace:
        self.asked += 1
        if self.asked > 1:
            return SimpleNamespace(hand_landmarks=[], handedness=[])
        points = [SimpleNamespace(x=0.6, y=0.5 + 0.005 * point, z=0.0) for point in range(21)]
        return SimpleNamespace(
            hand_landmarks=[points], handedness=[[SimpleNamespace(category_name="Left", score=0.95)]]
        )


Asked = tuple[int, int]  # the network, to follow a hand; MediaPipe, to find one


@pytest.fixture
def searched(tracker: LandmarkTracker) -> Callable[..., Asked]:
    """Who is asked for hands in a second of pictures, after a first one in which one is found."""

    def search(picture: Callable[[int], np.ndarray], people: np.ndarray | None = None, way: float = 0.0) -> Asked:
        points = np.ones((33, 5), np.float32)
        points[:, :4] = (pose() if people is None else people) / [*SHAPE, 1.0, 1.0]
        points[:, 3:] = 1.0
        finder, network = FakeTask(), FakeNetwork(way)
        tracker._hands._finder, tracker._hands._network = finder, network  # type: ignore[assignment]
        tracker._face = SimpleNamespace(track=lambda *_: None, forget=lambda: None)  # type: ignore[assignment]
        tracker._single = tracker._several = SimpleNamespace(poses=lambda *_: [points])  # type: ignore[assignment]
        tracker._counter = None
        for index in range(31):
            tracker.track(picture(index), index * FRAME_NS)
        return network.asked, finder.asked - 1

    return search


NOISE = np.random.default_rng(0).normal(128, 3, (3, *SHAPE, 3)).astype(np.uint8)


def grain(index: int) -> np.ndarray:
    """A still picture with a sensor's noise."""
    return NOISE[index % len(NOISE)].copy()


def flickering(index: int) -> np.ndarray:
    return grain(index) + np.uint8(3 * (index % 9))


def wagging(index: int) -> np.ndarray:
    """Ten pixels of a finger move by two, and back after five."""
    picture = grain(index)
    picture[520:528, 590 + 2 * (index % 5) : 600 + 2 * (index % 5)] = 220
    return picture


ONE_SIDE = pose((600, 500), (-300, 500))  # the other wrist is far out of the picture


@pytest.mark.parametrize("picture", [grain, flickering])
def test_hands_that_hold_still_are_looked_at_in_every_fourth_picture(
    searched: Callable[..., Asked], picture: Callable[[int], np.ndarray]
) -> None:
    """A sensor's noise and changing light are no motion."""
    assert searched(picture, ONE_SIDE) == (8, 0)


def test_a_finger_that_moves_is_followed_at_the_landmark_models_rate(searched: Callable[..., Asked]) -> None:
    assert searched(wagging, ONE_SIDE) == (15, 0)


@pytest.mark.parametrize(("way", "followed"), [(3.0, 15), (4.5, 30)])
def test_a_fast_hand_is_followed_in_every_picture(searched: Callable[..., Asked], way: float, followed: int) -> None:
    """200 pixels are a shoulder width: 4.5 in a picture are 0.67 a second."""
    assert searched(wagging, ONE_SIDE, way=way) == (followed, 0)


def test_a_hand_that_is_not_found_is_looked_for_now_and_then(searched: Callable[..., Asked]) -> None:
    """Two wrists, one hand: in every picture for 0.2 s, then eight times a second."""
    assert searched(wagging, way=4.5) == (30, 6 + 6)


def test_hands_are_looked_for_where_the_pose_says_so(searched: Callable[..., Asked]) -> None:
    assert searched(wagging, pose((1300, 500), (-300, 500))) == (0, 0)


def covered(hidden: range, seconds: float, coverage: Coverage, start_s: float = 0.0) -> tuple[str, ...]:
    landmarks = Landmarks.nobody(0, *SHAPE)
    body = pose()
    body[:, :2] = np.clip(body[:, :2], 1, 999)
    body[list(hidden), 3] = 0.1
    unseen: tuple[str, ...] = ()
    for index in range(round(seconds * 30)):
        time_ns = round((start_s + index / 30) * 1e9)
        unseen = coverage.update(dataclasses.replace(landmarks, time_ns=time_ns, pose=body)).unseen
    return unseen


def test_a_part_is_unseen_only_after_a_while() -> None:
    coverage = Coverage()
    assert covered(range(0), 1.0, coverage) == ("face",)
    assert covered(range(15, 17), 1.0, coverage, 1.0) == ("face",)  # a moment behind the back
    assert covered(range(15, 17), 2.0, coverage, 2.0) == ("face", "hands")
    assert covered(range(0), 2.0, coverage, 4.0) == ("face",)
    assert covered(range(25, 33), 4.0, coverage, 6.0) == ("face", "legs", "feet")
    assert coverage.update(Landmarks.nobody(0, *SHAPE)).unseen == ("face", "legs", "feet")


def test_a_face_that_is_there_is_not_missed_for_its_first_picture() -> None:
    coverage = Coverage()
    for index in range(3):  # no face is looked for in the first
        made = dataclasses.replace(Landmarks.nobody(index * FRAME_NS, *SHAPE), pose=pose())
        framing = coverage.update(dataclasses.replace(made, face=np.ones_like(made.face)) if index else made)
        assert framing.unseen == (("face",) if index == 0 else ())


def test_a_person_too_far_away_is_told() -> None:
    coverage = Coverage()
    body = pose()
    assert coverage.update(dataclasses.replace(Landmarks.nobody(0, *SHAPE), pose=body)).magnified == pytest.approx(0.32)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValueError, match="expected unseen parts among face, hands, legs, feet"):
        Framing(unseen=("tail",))  # type: ignore[arg-type]


def test_every_part_says_what_is_lost_with_it() -> None:
    several = Framing(person_found=True, people=2, followed_ns=9 * 10**9)
    assert framing_warnings(several, "center", 12.3) == ("several people in view: following the one since 0:03.3",)
    warnings = framing_warnings(Framing(person_found=True, unseen=("face", "hands", "feet")), "center")
    assert [line.split(" out of view")[0] for line in warnings] == ["face", "hands", "feet"]
    assert "nods" in warnings[0]  # measured: docs/landmarks-small.md
