"""The sliding window: cut by time, whatever the frame rate, gaps, jitter or order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.analysis.window import MOST_FRAMES, SlidingWindow
from realtime.messages import Frame, Window

MS = 1_000_000
SPAN, HOP, GAP, LENGTH = 1900 * MS, 250 * MS, 500 * MS, 8


def frame_at(media_ns: int, frame_id: int = 0) -> Frame:
    return Frame(0, frame_id, 0, media_ns, np.zeros((1, 1, 3), np.uint8))


def cut(times_ns: list[int], **changes: int) -> tuple[SlidingWindow, list[Window]]:
    options = {"length": LENGTH, "span_ns": SPAN, "hop_ns": HOP, "max_gap_ns": GAP, **changes}
    window = SlidingWindow(0, **options)
    return window, [due for index, at in enumerate(times_ns) for due in window.push(frame_at(at, index), at)]


def steady(seconds: float, fps: float, start_ns: int = 0) -> list[int]:
    return [start_ns + round(i * 1e9 / fps) for i in range(int(seconds * fps) + 1)]


def test_nothing_before_the_first_full_window():
    times = steady(1.89, 30)
    assert cut(times)[1] == []
    _, windows = cut(steady(2.0, 30))
    assert len(windows) == 1
    assert (windows[0].start_ns, windows[0].end_ns, windows[0].index) == (0, SPAN, 0)
    assert windows[0].recorded_end_ns is None


@pytest.mark.parametrize("seconds", [1.0, 1.5, 1.8])
def test_a_recording_shorter_than_a_window_is_judged_in_its_middle(seconds):
    times = steady(seconds, 30)
    window, windows = cut(times)
    assert windows == []
    (held,) = window.finish(7)
    assert (held.start_ns, held.end_ns, held.index, held.stamps.due_ns) == (0, SPAN, 0, 7)
    assert held.recorded_end_ns == times[-1]  # the rest is held pictures
    assert (window.due, sum(window.skipped.values())) == (1, 0)
    assert window.finish(8) == []
    points = (np.arange(LENGTH) - (LENGTH - 1) / 2) * SPAN / LENGTH + times[-1] / 2
    wanted = np.clip(points, 0, times[-1])
    assert np.all((held.times_ns <= wanted + 2) & (held.times_ns > wanted - 1e9 / 30 - 2))


@pytest.mark.parametrize("start_ns", [0, -5_000_000_000, 7_000_000_000])
def test_a_short_recording_holds_its_first_picture_as_long_as_its_last(start_ns):
    window, _ = cut(steady(1.0, 1000, start_ns))
    (held,) = window.finish(0)
    assert np.sum(held.frame_ids == 0) == np.sum(held.frame_ids == 1000) == 2
    assert list(held.frame_ids) == sorted(held.frame_ids)


def test_a_recording_shorter_than_half_a_window_is_counted_and_a_longer_one_is_left_alone():
    window, _ = cut(steady(0.9, 30))
    assert window.finish(0) == []
    assert (window.due, dict(window.skipped)) == (1, {"short": 1})
    window, windows = cut(steady(2.5, 30))
    assert window.finish(0) == []
    assert window.due == len(windows)
    assert SlidingWindow(0, LENGTH, SPAN, HOP, GAP).finish(0) == []


def test_samples_are_spread_over_the_span_at_the_official_spacing():
    _, windows = cut(steady(1.9, 60))
    step = SPAN / LENGTH
    expected = [(i + 1) * step for i in range(LENGTH)]
    assert np.all(np.abs(windows[0].times_ns - expected) < 1e9 / 60)
    assert windows[0].times_ns[-1] == SPAN  # the newest frame is in the window the moment it arrives
    assert list(windows[0].frame_ids) == sorted(set(windows[0].frame_ids))


@pytest.mark.parametrize("fps", [7.0, 10.0, 24.0, 30.0, 59.94, 120.0])
def test_the_frame_rate_changes_the_frames_but_not_the_times(fps):
    _, windows = cut(steady(5.0, fps, start_ns=-3 * SPAN))
    assert [w.end_ns for w in windows] == [-2 * SPAN + k * HOP for k in range(len(windows))]
    assert len(windows) in (12, 13)


def test_a_jump_backwards_is_refused_and_counted():
    window, windows = cut([*steady(2.0, 30), 500 * MS, 0, *steady(1.0, 30, 2100 * MS)])
    assert window.late == 2
    assert all(np.all(np.diff(w.times_ns) >= 0) for w in windows)


def test_a_gap_is_never_spanned_silently():
    before, after = steady(3.0, 30), steady(4.0, 30, start_ns=4000 * MS)
    window, windows = cut([*before, *after])
    assert all(w.largest_gap_ns <= GAP for w in windows)
    assert not any(w.start_ns < 3000 * MS < 4000 * MS < w.end_ns for w in windows)
    assert window.skipped["gap"] + len(windows) == window.due
    assert windows[-1].end_ns > 4000 * MS + SPAN - GAP  # and it recovers


def test_an_hour_without_frames_costs_nothing():
    window, windows = cut([*steady(2.0, 30), *steady(3.0, 30, start_ns=3_600_000 * MS * 1000)])
    assert window.due == window.skipped["gap"] + len(windows)
    assert window.due > 1e7


def test_memory_stays_at_one_span():
    window, _ = cut(steady(60.0, 30))
    assert len(window._frames) <= 1 + (SPAN + HOP) / (1e9 / 30)


timelines = st.lists(st.one_of(st.integers(1, 60), st.integers(-2000, 3000)), min_size=1, max_size=250)


@settings(max_examples=200)
@given(timelines, st.integers(1, 16), st.integers(20, 3000), st.integers(10, 900), st.integers(20, 2000))
def test_windows_depend_on_media_times_alone_and_are_all_accounted_for(steps, length, span, hop, gap):
    times = [int(at) * MS for at in np.cumsum(steps)]
    gap_ns = min(gap, span) * MS - (gap >= span)  # a window without any frame is always a gap
    options = {"length": length, "span_ns": span * MS, "hop_ns": hop * MS, "max_gap_ns": gap * MS}
    window, windows = cut(times, **options)

    kept, late = [times[0]], 0  # what an ordered stream of a bearable speed would have been
    for at in times[1:]:
        late += at <= kept[-1]
        if at - kept[-1] >= max(span * MS // MOST_FRAMES, 1):
            kept.append(at)
    assert window.late == late
    assert window.thinned == len(times) - len(kept) - late
    due = max(0, (kept[-1] - kept[0] - span * MS) // (hop * MS) + 1)
    assert window.due == due == len(windows) + sum(window.skipped.values())

    seen = np.array(kept)
    for due_window in windows:
        start, end = due_window.start_ns, due_window.end_ns
        assert end - start == span * MS
        assert (end - kept[0] - span * MS) == due_window.index * hop * MS
        points = [start + (i + 1) * span * MS // length for i in range(length)]
        newest = [seen[seen <= point].max() for point in points]  # brute force, from all frames ever
        assert list(due_window.times_ns) == newest
        inside = seen[(seen > start) & (seen <= end)]
        true_gap = np.diff([start, *inside, end]).max()
        assert due_window.largest_gap_ns == true_gap <= gap_ns
    for index in set(range(due)) - {w.index for w in windows}:  # and only gaps are left out
        end = kept[0] + span * MS + index * hop * MS
        inside = seen[(seen > end - span * MS) & (seen <= end)]
        assert np.diff([end - span * MS, *inside, end]).max() > gap_ns


def test_senseless_settings_are_refused():
    with pytest.raises(ValueError, match="expected length"):
        SlidingWindow(0, 0, SPAN, HOP, GAP)


def test_a_source_of_absurd_speed_is_thinned_and_memory_bounded():
    times = list(range(0, 2 * SPAN, SPAN // 20_000))
    window, windows = cut(times)
    assert window.thinned > len(times) // 2
    assert len(window._frames) <= MOST_FRAMES + 2
    assert len(windows) == window.due == 8
    spacing = SPAN // MOST_FRAMES
    for due in windows:
        wanted = due.start_ns + (np.arange(LENGTH) + 1) * SPAN // LENGTH
        assert np.all(wanted - due.times_ns < 2 * spacing)
    assert cut(steady(4.0, 240))[0].thinned == 0
