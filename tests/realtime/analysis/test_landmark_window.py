"""Landmark windows: steps at a fixed rate from pictures at any, and what stands for nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engines.landmarks.steps import CHANNELS, POINTS, VALID, VISIBILITY
from engines.taxonomy import ACTIONS
from realtime.analysis.landmark_window import LEAST_NS, SlidingLandmarks
from realtime.messages import Frame, Framing, LandmarkWindow

STEP, STEPS, HOP, GAP = 62_500_000, 32, 250_000_000, 500_000_000
SPAN = STEPS * STEP


def frame_at(media_ns: int, frame_id: int = 0, framing: Framing | None = None, left_hand: bool = True) -> Frame:
    """Every point at x = seconds of media time."""
    landmarks = np.zeros((POINTS, CHANNELS), np.float32)
    landmarks[:, 0] = media_ns * 1e-9
    landmarks[:, (VISIBILITY, VALID)] = 1.0
    if not left_hand:
        landmarks[33:54] = 0.0
    return Frame(0, frame_id, frame_id, media_ns, None, framing=framing or Framing(), landmarks=landmarks)


def cut(times_ns: list[int], **of_frame: object) -> tuple[SlidingLandmarks, list[LandmarkWindow]]:
    cutter = SlidingLandmarks(0, STEPS, SPAN, HOP, GAP)
    windows = [one for index, at in enumerate(times_ns) for one in cutter.push(frame_at(at, index, **of_frame), at)]
    return cutter, [one for one in windows if isinstance(one, LandmarkWindow)]


def steady(seconds: float, fps: float, start_ns: int = 0) -> list[int]:
    return [start_ns + round(i * 1e9 / fps) for i in range(int(seconds * fps) + 1)]


@pytest.mark.parametrize("fps", [8.0, 15.0, 29.97, 60.0])
@pytest.mark.parametrize("start_ns", [0, -5_000_000_000, 987_654_321_012_345])
def test_steps_lie_between_pictures_whatever_their_rate(fps: float, start_ns: int) -> None:
    cutter, windows = cut(steady(4.1, fps, start_ns))
    assert cutter.due == len(windows) == 13
    for k, one in enumerate(windows):
        assert (one.index, one.end_ns) == (k, start_ns + LEAST_NS + k * HOP)
        assert one.end_ns - one.start_ns == SPAN
        assert np.array_equal(np.diff(one.moments_ns), np.full(STEPS - 1, STEP))
        assert one.moments_ns[-1] == one.end_ns
        assert np.array_equal(one.seen, one.moments_ns >= start_ns)
        wanted = np.where(one.seen, one.moments_ns * 1e-9, 0.0)
        tolerance = 1e-6 * max(abs(start_ns * 1e-9), 10.0)  # float32
        assert one.frames[:, 0, 0] == pytest.approx(wanted, abs=tolerance)
        assert not one.frames[~one.seen].any()


def test_windows_agree_on_the_steps_that_they_share() -> None:
    _, windows = cut(steady(5.0, 23.0))
    steps: dict[int, bytes] = {}
    for one in windows:
        for at in np.flatnonzero(one.seen):
            found = one.frames[at].tobytes()
            assert steps.setdefault(int(one.moments_ns[at]), found) == found
    assert len(steps) == 81  # 0 to 5 s


def test_a_gap_is_empty_and_no_window_ends_in_it() -> None:
    times = [at for at in steady(6.0, 30) if not 1_990_000_000 < at < 3_500_000_000]
    cutter, windows = cut(times)
    ends = [one.end_ns for one in windows]
    assert cutter.skipped == {"gap": 4}  # at 2.5, 2.75, 3 and 3.25 s
    assert cutter.due == len(windows) + 4
    assert not any(2_470_000_000 < end < 3_500_000_000 for end in ends)
    last = windows[ends.index(3_750_000_000)]
    empty = last.moments_ns[~last.seen]
    assert (empty.min(), empty.max()) == (2_250_000_000, 3_437_500_000)  # a picture stands for a quarter of a second
    assert not last.frames[~last.seen].any()


def test_what_one_picture_lacks_is_taken_from_the_nearer() -> None:
    cutter = SlidingLandmarks(0, STEPS, SPAN, HOP, GAP)
    windows = []
    for index, at in enumerate(range(0, 1_100_000_000, 100_000_000)):
        windows += cutter.push(frame_at(at, index, left_hand=index % 2 == 0), at)
    (one,) = windows
    hand, moments = one.frames[:, 40, VALID], one.moments_ns
    away = np.abs(moments - np.round(moments / 2e8) * 2e8)  # from the nearest picture with the hand
    known = one.seen & (np.abs(away - 5e7) > 1e6)
    assert np.array_equal(hand[known] > 0.0, away[known] < 5e7)


def test_the_last_steps_of_a_recording_are_judged() -> None:
    cutter, windows = cut(steady(2.1, 30))
    (last,) = cutter.finish(7)
    assert windows[-1].end_ns == 2_000_000_000
    assert last.end_ns == 2_062_500_000
    assert last.stamps.due_ns == 7
    assert cutter.due == len(windows) + 1
    cutter, _ = cut(steady(2.0, 30))
    assert cutter.finish(7) == []


@pytest.mark.parametrize(("seconds", "judged"), [(0.4, False), (0.6, True)])
def test_a_recording_shorter_than_the_first_window(seconds: float, judged: bool) -> None:
    cutter, windows = cut(steady(seconds, 30))
    assert windows == []
    assert len(cutter.finish(0)) == judged
    assert cutter.due == 1
    assert cutter.skipped == ({} if judged else {"short": 1})


def test_what_a_picture_cannot_show_is_marked() -> None:
    def shown(framing: Framing) -> set[int]:
        _, windows = cut(steady(1.0, 30), framing=framing)
        return set(np.flatnonzero(windows[0].shown[-1]).tolist())

    everything = {action.index for action in ACTIONS}
    assert shown(Framing(person_found=True)) == everything
    assert shown(Framing(person_found=True, unseen=("face",))) == everything
    assert shown(Framing(person_found=True, unseen=("legs", "feet"))) == everything - {*range(24, 32), *range(48, 52)}
    assert shown(Framing(person_found=True, unseen=("feet",))) == everything - {29, 30, 31, 51}
    assert shown(Framing(person_found=True, unseen=("hands",))) == {*range(11), 17, 18, *range(24, 32), 34, 36, 37}
    assert shown(Framing(person_found=False)) == set()


def test_a_rate_that_is_no_multiple_of_the_hop_is_rounded_to_whole_steps() -> None:
    cutter = SlidingLandmarks(0, STEPS, SPAN, 100_000_000, GAP)
    windows = [one for at in steady(2.0, 30) for one in cutter.push(frame_at(at), at)]
    assert {b.end_ns - a.end_ns for a, b in itertools.pairwise(windows)} == {2 * STEP}
