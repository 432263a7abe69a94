"""A camera's frames through a network that carries states: what it takes of each window, and when it begins anew."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import Bundle
from engines.patterns import moving_patterns
from engines.runtimes import Runtime, Video, open_runtime
from engines.runtimes.base import Outputs
from engines.runtimes.fallback import Fallback
from realtime.analysis.lane import CameraContext
from realtime.analysis.queues import WindowQueue
from realtime.analysis.stream import StreamActionModel
from realtime.analysis.stream_window import FrameStream
from realtime.capture.sources.simulated import Truth
from realtime.clock import MonotonicClock, SessionStart
from realtime.config import Config
from realtime.latency import LatencyLog
from realtime.messages import Frame, Framing, StreamWindow
from realtime.output.event_stream import EventStream
from tests.conftest import manet_live

MS = 1_000_000
SPACING, LENGTH, GAP = 237_500_000, 8, 500 * MS
PIXELS = moving_patterns(8, 8, 8, 32).reshape(-1, 32, 32, 3)


def frame(media_ns: int, number: int, camera_id: int = 0, generation: int = 0, followed_ns: int | None = None) -> Frame:
    body = np.ascontiguousarray(PIXELS[(number + 7 * camera_id) % len(PIXELS)])
    framing = Framing(followed_ns=followed_ns)
    return Frame(camera_id, number, 0, media_ns, body, framing=framing, generation=generation)


def steady(count: int, fps: float = 30.0, first: int = 0, **fields: int) -> list[Frame]:
    return [frame(round(number * 1e9 / fps), number, **fields) for number in range(first, first + count)]


def cut(frames: Sequence[Frame]) -> tuple[FrameStream, list[StreamWindow]]:
    stream = FrameStream(frames[0].camera_id, LENGTH, SPACING, GAP)
    return stream, [window for one in frames for window in stream.push(one, one.media_ns)]  # type: ignore[misc]


def test_each_window_shows_one_new_frame() -> None:
    stream, windows = cut(steady(151))
    assert len(windows) == stream.due == 1 + (5_000 * MS - LENGTH * SPACING) // SPACING
    for before, after in itertools.pairwise(windows):
        assert list(after.frame_ids[:-1]) == list(before.frame_ids[1:])
        assert after.end_ns - before.end_ns == SPACING
    assert {(one.run, one.cause) for one in windows} == {(0, "start")}


@pytest.mark.parametrize("cause", ["gap", "restart", "person"])
def test_what_is_not_one_video_begins_anew(cause: str) -> None:
    if cause == "gap":
        frames = steady(90) + steady(120, first=111)  # 0.73 s without a frame
    elif cause == "restart":
        frames = steady(90) + steady(120, first=92, generation=1)
    else:
        frames = [frame(one.media_ns, one.frame_id, followed_ns=one.media_ns) for one in steady(90)]
        frames += [
            frame(one.media_ns, one.frame_id, followed_ns=one.media_ns - 3_000 * MS) for one in steady(120, first=90)
        ]
    stream, windows = cut(frames)
    assert set(stream.skipped) == {cause}
    assert len(windows) + stream.skipped[cause] == stream.due
    first = next(at for at, one in enumerate(windows) if one.run)
    assert {(one.run, one.cause) for one in windows[:first]} == {(0, "start")}
    assert {(one.run, one.cause) for one in windows[first:]} == {(stream.skipped[cause], cause)}
    assert windows[first - 1].frame_ids.max() <= 90
    if cause != "gap":  # a window may begin within a gap
        assert windows[first].frame_ids.min() >= 90
        assert windows[first].times_ns[0] < 90 * 1e9 / 30 + 2 * SPACING  # and no later than it must
        assert LENGTH - 1 <= stream.skipped[cause] <= LENGTH


def model_of(bundle: Bundle, runtime: Runtime, cameras: int = 1) -> tuple[StreamActionModel, list]:
    model = StreamActionModel(bundle, runtime, Config())
    lanes = []
    for camera_id in range(cameras):
        context = CameraContext(
            camera_id, False, Config(), SessionStart(), EventStream(), MonotonicClock(), LatencyLog(), Truth()
        )
        lanes.append(model.lane(context, WindowQueue(True, 1, MonotonicClock())))
    return model, lanes


def logits(model: StreamActionModel, windows: Sequence[StreamWindow], at_once: int = 1) -> np.ndarray:
    parts = [windows[at : at + at_once] for at in range(0, len(windows), at_once)]
    return np.stack([one.logits for part in parts for one in model.judge(part, MonotonicClock())])


def by_hand(runtime: Runtime, windows: Sequence[StreamWindow]) -> np.ndarray:
    """Scores of windows of one stretch, all their frames one after the other."""
    one, found = Video(), []
    for picture in windows[0].frames[:-1]:
        runtime.predict(np.ascontiguousarray(picture[None]), [one])
    for window in windows:
        found.append(runtime.predict(np.ascontiguousarray(window.frames[-1:]), [one])["logits"][0])
    return np.stack(found)


@pytest.mark.slow
def test_scores_are_those_of_all_frames_since_the_stretch_began(streaming_bundle: Bundle) -> None:
    _, windows = cut(steady(90) + steady(120, first=92, generation=1))
    first = next(at for at, one in enumerate(windows) if one.run)
    with open_runtime(streaming_bundle, "onnxruntime") as runtime:
        model, (lane,) = model_of(streaming_bundle, runtime)
        found = logits(model, windows)
        want = np.concatenate([by_hand(runtime, windows[:first]), by_hand(runtime, windows[first:])])
        np.testing.assert_array_equal(found, want)
        assert lane.consumer.stats(lane.totals)["begun_anew"] == {"restart": 1, "start": 1}
        np.testing.assert_array_equal(logits(model_of(streaming_bundle, runtime)[0], windows, 5), want)


@pytest.mark.slow
def test_windows_that_were_skipped_are_made_up_for(streaming_bundle: Bundle) -> None:
    """Their frames are seen with the next; beyond a window's length the network begins anew."""
    _, windows = cut(steady(300))
    with open_runtime(streaming_bundle, "onnxruntime") as runtime:
        want = by_hand(runtime, windows)
        model, (lane,) = model_of(streaming_bundle, runtime)
        kept = [0, 1, 4, 5, 13]
        np.testing.assert_array_equal(logits(model, [windows[at] for at in kept]), want[kept])
        late = logits(model, windows[22:24])
        np.testing.assert_array_equal(late, by_hand(runtime, windows[22:24]))
        assert np.abs(late - want[22:24]).max() > 1e-4
        assert lane.consumer.stats(lane.totals)["begun_anew"] == {"stale": 1, "start": 1}


@pytest.mark.slow
def test_cameras_together_are_each_as_if_alone(streaming_bundle: Bundle) -> None:
    streams = [cut(steady(120, camera_id=camera_id))[1] for camera_id in range(3)]
    with open_runtime(streaming_bundle, "onnxruntime") as runtime:
        model, _ = model_of(streaming_bundle, runtime, 3)
        mixed = [one for together in zip(*streams, strict=True) for one in together]
        found = logits(model, mixed, 3)
        for camera_id, windows in enumerate(streams):
            np.testing.assert_array_equal(found[camera_id::3], by_hand(runtime, windows))
        assert np.abs(found[0::3] - found[1::3]).max() > 1e-3


class _Lost(Runtime):
    """A GPU that is lost after some frames."""

    name, may_be_lost, modules, distributions, install = "lost", True, (), (), ""
    left = 11

    def _activate(self) -> None: ...

    def _run(self, inputs: object) -> Outputs:
        raise AssertionError("it is shown frames alone")

    def _step_one(self, *_: object) -> Outputs:
        type(self).left -= 1
        if self.left < 0:
            raise RuntimeError("the device was lost")
        return {"logits": np.zeros(52, np.float32), "embedding": np.zeros(300, np.float32)}

    def _close(self) -> None: ...


@pytest.mark.slow
def test_another_engine_begins_anew_with_all_frames_of_the_window(streaming_bundle: Bundle) -> None:
    _, windows = cut(steady(120))
    lost = _Lost(streaming_bundle)
    lost.activate()
    with open_runtime(streaming_bundle, "onnxruntime") as other:
        runtime = Fallback(lost, lambda: open_runtime(streaming_bundle, "onnxruntime"), lambda _: None)
        model, (lane,) = model_of(streaming_bundle, runtime)
        found = logits(model, windows)
        np.testing.assert_array_equal(found[4:], by_hand(other, windows[4:]))
        assert not found[:4].any()
        assert lane.consumer.stats(lane.totals)["begun_anew"] == {"engine": 1, "start": 1}
        runtime.close()


@pytest.mark.clock
def test_a_replay_follows_a_recording_frame_by_frame(recording: Path, streaming_bundle: Bundle) -> None:
    """10 s at 30 frames/s: a score every 0.2375 s, the same events at every speed."""
    arguments = ("replay", recording, "--headless", "--no-emotion", "--model", streaming_bundle.path)
    arguments += ("--config", Path(__file__).parents[1] / "eventful.toml", "--engine", "onnxruntime")
    fast, slow = (manet_live(*arguments, "--speed", speed) for speed in ("max", "2.5"))
    assert (fast.code, slow.code) == (0, 0), fast.err + slow.err
    stats = fast.of("stats")[-1]
    assert stats["windows_due"] == stats["windows"] == 1 + int((9.966 - 1.9) / 0.2375)
    assert stats["begun_anew"] == {"start": 1}
    assert slow.of("stats")[-1]["skipped"] == {}, "the machine did not keep up"
    assert len(fast.action_text.splitlines()) > 5
    assert fast.action_text == slow.action_text
