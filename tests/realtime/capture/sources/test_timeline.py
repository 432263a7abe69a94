from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction

import av
from hypothesis import given
from hypothesis import strategies as st

from realtime.capture.sources.timeline import Timeline, believable_rate, without_outliers

MS = Fraction(1, 1000)
PERIOD_NS = 40_000_000


def place(timeline: Timeline, stamps: list[tuple[int | None, int | None]]) -> list[int | None]:
    return [timeline.place(pts, dts, MS) for pts, dts in stamps]


def test_stored_times_are_kept_exactly_and_a_late_start_stays_late() -> None:
    timeline = Timeline(Fraction(30000, 1001))
    base = Fraction(1, 90000)
    assert [timeline.place(pts, None, base) for pts in (133200, 136203, 139206)] == [
        1_480_000_000,
        1_513_366_667,
        1_546_733_333,
    ]


def test_pictures_without_a_time_follow_one_period_after_the_last() -> None:
    timeline = Timeline(Fraction(25))
    assert place(timeline, [(None, None), (None, None), (500, 500), (None, None)]) == [
        0,
        PERIOD_NS,
        500_000_000,
        540_000_000,
    ]
    assert timeline.guessed == 3


def test_without_a_rate_missing_times_assume_25_fps() -> None:
    assert place(Timeline(None), [(None, None), (None, None)]) == [0, PERIOD_NS]


def test_a_picture_that_is_not_later_is_dropped_and_counted() -> None:
    timeline = Timeline(Fraction(25))
    assert place(timeline, [(0, None), (80, None), (40, None), (80, None), (120, None)]) == [
        0,
        80_000_000,
        None,
        None,
        120_000_000,
    ]


def test_decoding_times_count_where_presentation_times_run_backwards() -> None:
    """H.264 with B-frames in AVI: the pictures come in the right order, their presentation times do not."""
    timeline = Timeline(Fraction(25))
    times = place(timeline, [(40, 80), (120, 120), (160, 160), (80, 200), (240, 240), (200, 280)])
    assert times == [40_000_000, 120_000_000, 160_000_000, 200_000_000, 240_000_000, 280_000_000]


def test_a_restarted_clock_goes_on_one_period_after_the_last_picture() -> None:
    timeline = Timeline(Fraction(25))
    assert place(timeline, [(5000, 5000), (5040, 5040), (0, 0), (40, 40)]) == [
        5_000_000_000,
        5_040_000_000,
        5_080_000_000,
        5_120_000_000,
    ]
    assert timeline.restarts == 1


@given(st.lists(st.tuples(st.none() | st.integers(-(10**6), 10**6), st.none() | st.integers(-(10**6), 10**6))))
def test_times_always_grow(stamps: list[tuple[int | None, int | None]]) -> None:
    times = [time for time in place(Timeline(Fraction(25)), stamps) if time is not None]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))


def kept(stamps: list[int]) -> tuple[list[int | None], int]:
    """Which of pictures with these times in ms are not outliers, and how many are."""
    frames = []
    for stamp in stamps:
        frame = av.VideoFrame(16, 16)
        frame.pts, frame.time_base = stamp, MS
        frames.append(frame)
    left_out: Counter[str] = Counter()
    return [frame.pts for frame in without_outliers(iter(frames), left_out)], left_out["time"]


def test_an_outlier_is_judged_against_its_successors() -> None:
    assert kept([0, 40, 9_000_000, 9_000_040, 160, 200]) == ([0, 40, 160, 200], 2)
    assert kept([5000, 5040, -9_000_000, 5120]) == ([5000, 5040, 5120], 1)
    assert kept([9_000_000, 40, 80, 120]) == ([40, 80, 120], 1)
    assert kept([0, 40, 80, 9_000_000]) == ([0, 40, 80], 1)


def test_a_pause_and_a_restarted_clock_are_no_outliers() -> None:
    for stamps in ([0, 40, 30_000, 30_040, 30_080], [5000, 5040, 0, 40, 80], [0, 2000, 4000, 6000]):
        assert kept(stamps) == (stamps, 0)


def test_a_step_of_more_than_an_hour_is_another_clock() -> None:
    assert place(Timeline(Fraction(25)), [(0, 0), (40, 40), (9_000_000, 9_000_000), (9_000_040, 9_000_040)]) == [
        0,
        PERIOD_NS,
        2 * PERIOD_NS,
        3 * PERIOD_NS,
    ]


def test_a_rate_that_the_times_contradict_gives_way() -> None:
    times_ns = [number * PERIOD_NS for number in range(8)]
    assert believable_rate(Fraction(1000), times_ns) == (
        25,
        "the header claims 1000 frames/s, the pictures' times say 25",
    )
    assert believable_rate(Fraction(25), times_ns) == (25, "")
    assert believable_rate(Fraction(1, 2147483647), []) == (None, "")
    assert believable_rate(None, []) == (None, "")
