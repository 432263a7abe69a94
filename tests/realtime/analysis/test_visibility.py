"""Who was in view, and what was judged: added up from injected frames, and told by whole sessions."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.analysis.visibility import LOST_WITH, QUICK, Visibility, in_words
from realtime.clock import NS_PER_S, SessionStart
from realtime.display import framing_warnings
from realtime.messages import BodyPart, Frame, Framing
from realtime.output.lines import SummaryLine, VisibilityLine, WindowTotals
from tests.conftest import manet_live, write_numbered
from tests.realtime.analysis.test_emotion import empty_room

BODY = np.zeros((1, 1, 3), np.uint8)
FPS, GAP_NS = 10, NS_PER_S // 2


class Watched:
    """A visibility that is given frames at 10 a second, from 5 s of media time on."""

    def __init__(self, parts: bool = True) -> None:
        start = SessionStart()
        start.note(5 * NS_PER_S)
        self.seen, self.index = Visibility(3, start, GAP_NS, parts), 0

    def show(
        self, seconds: float, people: int | None = 1, unseen: tuple[BodyPart, ...] = (), since_s: float | None = 0.0
    ) -> None:
        for _ in range(round(seconds * FPS)):
            now_ns = self.index * NS_PER_S // FPS
            followed_ns = now_ns - round(since_s * NS_PER_S) if people and since_s is not None else None
            framing = Framing(
                person_found=people if people is None else people > 0,
                unseen=unseen,
                people=people,
                followed_ns=followed_ns,
            )
            self.seen.take(Frame(3, self.index, 0, 5 * NS_PER_S + now_ns, BODY, framing=framing))
            self.index += 1

    def pause(self, seconds: float) -> None:
        self.index += round(seconds * FPS)

    def told(self) -> list[tuple[float, int | None, float | None, tuple[str, ...]]]:
        lines: list[VisibilityLine] = self.seen.pop()
        assert all(line.camera == 3 and set(line.unreliable) == set(line.out_of_view) for line in lines)
        return [(line.time_s, line.people, line.followed_since_s, line.out_of_view) for line in lines]

    def summary(self, due: int = 10, processed: int = 10, baseline: int = 0, **skipped: int) -> SummaryLine:
        self.seen.finish(None)
        return self.seen.summary(WindowTotals(due, processed, skipped), baseline)


def test_a_change_is_told_once_it_lasts() -> None:
    watched = Watched()
    watched.show(3)
    assert watched.told() == [(1.5, 1, 0.0, ())]
    watched.show(0.5, people=2)  # a person passes by
    watched.show(2)
    assert watched.told() == []
    watched.show(3, people=2)
    ((time_s, people, since_s, unseen),) = watched.told()
    assert (people, since_s, unseen) == (2, 0.0, ())
    assert 5.5 + 0.5 < time_s < 5.5 + 1.5
    watched.show(0.1, people=2, since_s=8.5)  # another is followed
    assert watched.told() == [(8.5, 2, 8.5, ())]
    watched.show(0.1, people=2, since_s=8.5, unseen=("legs", "feet"))  # which the view has settled
    assert watched.told() == [(8.6, 2, 8.5, ("legs", "feet"))]
    watched.show(5, people=0, unseen=("legs", "feet"))
    ((_, people, since_s, unseen),) = watched.told()
    assert (people, since_s, unseen) == (0, None, ())


@pytest.mark.parametrize(("fps", "slow"), [(8, True), (15, False)])
def test_too_few_frames_make_quick_movements_unreliable(fps: int, slow: bool) -> None:
    start = SessionStart()
    seen = Visibility(0, start, GAP_NS, True)
    for index in range(5 * fps):
        framing = Framing(person_found=True, people=1)
        seen.take(Frame(0, index, 0, index * NS_PER_S // fps, BODY, framing=framing))
    assert seen.slow == slow
    expected = {"frames": QUICK} if slow else {}
    assert [line.unreliable for line in seen.pop()] == [expected]
    line = seen.summary(WindowTotals(10, 10, {}), 0)
    assert line.unreliable == expected
    assert ("fewer than 10 frames/s: nods, shakes" in in_words(line, 0.0)) == slow
    assert any("frames/s" in text for text in framing_warnings(Framing(), "full", slow=seen.slow)) == slow


def test_seconds_are_added_up_by_what_was_in_view() -> None:
    watched = Watched()
    watched.show(4)
    watched.show(2, people=2, unseen=("hands",))
    watched.show(3, people=0, unseen=("hands",))
    watched.pause(5)  # from the last picture with nobody
    watched.show(1, unseen=("face",))
    line = watched.summary(20, 15, 3, gap=4, stale=1)
    assert (line.nobody_s, line.one_s, line.several_s, line.no_picture_s) == (2.9, 4.9, 2.0, 5.1)
    assert line.recorded_s == 14.9
    assert line.out_of_view_s == {"face": 0.9, "hands": 2.0, "legs": 0.0, "feet": 0.0}
    assert line.unreliable == {"hands": LOST_WITH["hands"]}  # less than a second without the face is none
    assert (line.windows_due, line.judged, line.baseline, line.skipped) == (20, 12, 3, {"gap": 4, "stale": 1})
    assert in_words(line, 4.0) == (
        "judged 12 of 20 windows (4 gap, 1 stale skipped); nobody in view for 2.9 s; several people in view for 2.0 s; "
        "no picture for 5.1 s; hands out of view for 2.0 s: upper limb actions and touches unreliable then"
    )


def test_what_is_never_in_view_is_said_so_and_feet_go_with_the_legs() -> None:
    watched = Watched()
    watched.show(0.8, unseen=("legs", "feet"))
    line = watched.summary(1, 1)
    assert watched.told() == [(0.7, 1, 0.0, ("legs", "feet"))]  # too short to settle
    assert set(line.unreliable) == {"legs", "feet"}
    assert in_words(line, 0.0) == (
        "judged 1 of 1 windows; legs never in view: lower limb and leg-hand actions unreliable"
    )


def test_what_is_not_looked_for_is_null() -> None:
    watched = Watched(parts=False)
    watched.show(3, people=None)
    line = watched.summary()
    assert watched.told() == []
    assert (line.nobody_s, line.one_s, line.several_s, line.out_of_view_s) == (None, None, None, None)
    assert (line.recorded_s, line.unreliable, in_words(line, 0.0)) == (2.9, {}, "judged 10 of 10 windows")


def test_a_live_camera_that_falls_silent_shows_no_picture() -> None:
    watched = Watched()
    watched.show(2)
    watched.seen.finish(5 * NS_PER_S + 12 * NS_PER_S)
    line = watched.seen.summary(WindowTotals(0, 0, {}), 0)
    assert (line.one_s, line.no_picture_s, line.recorded_s) == (1.9, 10.1, 12.0)


def test_frames_out_of_order_count_for_nothing() -> None:
    watched = Watched()
    watched.show(2)
    watched.index = 5
    watched.show(1, people=0)
    assert watched.summary().nobody_s == 0.0


@pytest.mark.parametrize(
    ("due", "processed", "baseline", "skipped", "words"),
    [
        (0, 0, 0, {}, "no window fell due in 1.9 s"),
        (829, 0, 0, {"gap": 29, "stale": 800}, "all 829 windows were skipped (29 gap, 800 stale)"),
        (7, 5, 5, {"gap": 2}, "the baseline of 8 s never finished"),
        (9, 9, 0, {}, "nobody was in view for 1.9 s"),
    ],
)
def test_nothing_judged_is_said_plainly(due, processed, baseline, skipped, words) -> None:
    watched = Watched()
    watched.show(2, people=0)
    assert in_words(watched.summary(due, processed, baseline, **skipped), 8.0) == f"nothing was judged: {words}"


def test_without_a_frame_there_is_a_summary_too() -> None:
    line = Watched().summary(0, 0)
    assert (line.recorded_s, line.nobody_s) == (0.0, None)
    assert in_words(line, 0.0) == "nothing was judged: no window fell due in 0.0 s"


COMMON = ("--speed", "max", "--headless", "--no-emotion", "--engine", "onnxruntime")


@pytest.mark.slow
def test_an_empty_room_is_told_in_stream_record_and_words(tmp_path) -> None:
    done = manet_live("replay", empty_room(tmp_path / "empty.mp4"), *COMMON, "--record", tmp_path / "log")
    assert done.code == 0, done.err
    (line,) = done.of("summary")
    assert (line["nobody_s"], line["one_s"], line["several_s"], line["recorded_s"]) == (7.933, 0.0, 0.0, 7.933)
    assert (line["windows_due"], line["judged"], line["skipped"]) == (56, 56, {})
    (seen,) = done.of("visibility")
    assert (seen["time_s"], seen["people"], seen["followed_since_s"]) == (1.533, 0, None)
    assert done.err.splitlines()[-1] == "manet-live: nothing was judged: nobody was in view for 7.9 s"
    assert done.lines.index(line) < len(done.lines) - 1
    assert done.lines[-1]["state"] == "ended"
    assert (tmp_path / "log" / "events.jsonl").read_text() == done.out


@pytest.mark.slow
def test_a_baseline_that_never_finished_is_told() -> None:
    done = manet_live("demo", "--seconds", "5", "--model", "landmarks-small", *COMMON, "--baseline", "8")
    assert done.code == 0, done.err
    (line,) = done.of("summary")
    assert (line["judged"], line["baseline"]) == (0, line["windows_due"])
    assert line["windows_due"] > 0
    assert done.err.splitlines()[-1] == "manet-live: nothing was judged: the baseline of 8 s never finished"


@pytest.mark.slow
def test_a_recording_of_which_all_windows_are_skipped_is_told(tmp_path) -> None:
    sparse = write_numbered(tmp_path / "sparse.mp4", range(0, 8001, 800))  # further apart than window.max_gap_s
    done = manet_live("replay", sparse, *COMMON, "--model", "landmarks-small")
    assert done.code == 0, done.err
    (line,) = done.of("summary")
    assert (line["judged"], line["skipped"], line["no_picture_s"]) == (0, {"gap": 25}, 8.0)
    assert done.err.splitlines()[-1] == "manet-live: nothing was judged: all 25 windows were skipped (25 gap)"


@pytest.mark.slow
@pytest.mark.long
def test_the_same_recording_gives_the_same_lines_at_every_speed(clips) -> None:
    name = clips / "upper_body_asl_again.mkv"
    runs = [manet_live("replay", name, *COMMON[2:], "--speed", speed) for speed in ("max", "realtime")]
    assert all(run.code == 0 for run in runs)
    assert all(run.of("stats")[-1]["dropped"] == {} for run in runs), "the machine did not keep up"
    (line,), (again,) = (run.of("visibility") for run in runs)
    assert line == again
    assert (line["people"], line["followed_since_s"], line["out_of_view"]) == (1, 0.0, ["legs", "feet"])
