"""Capture processes for real: through sockets, killed, frozen, replaced."""

import os
import signal
import time

import numpy as np
import pytest

from realtime.analysis.queues import WindowQueue
from realtime.analysis.window import SlidingWindow
from realtime.capture.order import CaptureOrder, ViewSpec
from realtime.capture.process import CaptureSpec
from realtime.capture.sources import CameraSpec, FileSpec
from realtime.capture.supervisor import CaptureFailed, CaptureProcess
from realtime.clock import MonotonicClock
from realtime.config import CameraSettings, SupervisionSettings, ViewSettings
from realtime.messages import CaptureState
from realtime.transport.authentication import link_keys
from realtime.transport.wire import Receiver
from tests.conftest import number_in, write_numbered
from tests.realtime.conftest import receiver_thread

pytestmark = pytest.mark.clock

MS = 1_000_000


class Rig:
    """Receiver and capture process without an engine; windows of one frame due at each frame's time."""

    def __init__(self, folder, source, speed, hop_ms=40, hang_s=10.0, max_restarts=3, taken=None):
        self.clock = MonotonicClock()
        server_keys, client_keys = link_keys("ipc://")
        self.receiver = Receiver(f"ipc://{folder}/frames", 60, server_keys)
        self.queue = WindowQueue(lossless=speed is None, staleness_ns=10**10, clock=self.clock)
        window = SlidingWindow(0, 1, hop_ms * MS, hop_ms * MS, 10**12)
        self.intake = receiver_thread(self.receiver, window, self.queue, 64, self.clock)
        self.seen: list[tuple[int, int]] = []  # (index drawn into the picture, media ms)
        original = self.intake._take
        self.intake._take = lambda frame: (
            self.seen.append((number_in(frame.body), frame.media_ns // MS)),
            original(frame),
        )
        order = CaptureOrder(ViewSpec(64, settings=ViewSettings(crop="full"), preview=True), 0, 60)
        spec = CaptureSpec(source, order, self.receiver.endpoint, client_keys, speed)
        settings = SupervisionSettings(hang_s=hang_s, max_restarts=max_restarts)
        self.capture = CaptureProcess(spec, folder / "log", self.clock, settings)
        self.notes: list[str] = []

    def __enter__(self):
        self.intake.start()
        self.capture.start()
        return self

    def __exit__(self, *_):
        self.queue.close(discard=True)
        self.capture.stop(2.0)
        self.intake.stop(2.0)
        self.receiver.close()

    def tick(self):
        while self.queue.take() is not None:
            pass
        latest = self.intake.latest
        note = self.capture.check(
            self.intake.status.state, self.intake.waiting_since_ns, latest.media_ns if latest else None
        )
        if note:
            self.notes.append(note)
        time.sleep(0.005)

    def until(self, condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.intake.status}, {len(self.seen)} frames, {self.notes}"
            assert self.intake.error is None
            self.tick()

    def until_ended(self, seconds=60.0):
        self.until(lambda: self.intake.status.state in (CaptureState.ENDED, CaptureState.FAILED), seconds)


def test_ten_thousand_numbered_frames_none_lost_none_out_of_order(tmp_path):
    count = 10_000
    path = write_numbered(tmp_path / "numbered.mp4", range(0, count * 40, 40))
    with Rig(tmp_path, FileSpec(str(path)), speed=None) as rig:
        rig.until_ended(120)
    assert [index for index, _ in rig.seen] == list(range(count))
    assert rig.intake.dropped == {}
    assert rig.intake.status.state is CaptureState.ENDED
    assert rig.intake.status.sent == rig.intake.received == count


def test_true_presentation_times_cross_the_wire(tmp_path):
    times = [0, 10, 30, 1000, 1001, 1500, 3000]
    path = write_numbered(tmp_path / "uneven.mp4", times)
    with Rig(tmp_path, FileSpec(str(path)), speed=None) as rig:
        rig.until_ended()
    assert rig.seen == list(enumerate(times))


def test_pacing_follows_presentation_times(tmp_path):
    times = [0, 100, 200, 900, 1000]
    path = write_numbered(tmp_path / "paced.mp4", times)
    arrivals = []
    with Rig(tmp_path, FileSpec(str(path)), speed=2.0) as rig:
        cutter = rig.intake._lanes[0].cutter
        original = cutter.push
        cutter.push = lambda frame, at: (arrivals.append(frame.captured_ns / MS), original(frame, at))[1]
        rig.until_ended()
    since = np.array(arrivals) - arrivals[0]
    assert np.all(since >= np.array(times) / 2 - 1)  # never early; how late depends on the machine


def test_nobody_waits_through_a_hole_in_a_recording(tmp_path):
    times = [0, 100, 200, 300, 400, 1_000_000, 1_000_100, 1_000_200]
    path = write_numbered(tmp_path / "hole.mp4", times)
    with Rig(tmp_path, FileSpec(str(path)), speed=1.0) as rig:
        rig.until_ended()
    assert rig.seen == list(enumerate(times))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_frozen_capture_is_replaced_and_no_frame_is_lost(tmp_path, blow):
    count = 600
    path = write_numbered(tmp_path / "numbered.mp4", range(0, count * 20, 20))
    with Rig(tmp_path, FileSpec(str(path)), speed=4.0, hang_s=6.0) as rig:
        rig.until(lambda: len(rig.seen) > 100)
        first = rig.capture.pid
        os.kill(first, blow)
        rig.until_ended()
        assert rig.capture.pid != first
    word = "signal 9" if blow == signal.SIGKILL else "silent for 6 s"
    assert len(rig.notes) == 1
    assert word in rig.notes[0]
    assert "; restarted (1 of 3) in 0.5 s" in rig.notes[0]
    assert [index for index, _ in rig.seen] == list(range(count))
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_start_may_take_longer_than_a_silence(tmp_path, monkeypatch):
    """Libraries load slowly from a cold disk or on a busy machine."""
    run_first(monkeypatch, tmp_path / "first", "import time; time.sleep(4.0)")
    path = write_numbered(tmp_path / "numbered.mp4", range(0, 400, 40))
    with Rig(tmp_path, FileSpec(str(path)), speed=None, hang_s=2.0) as rig:
        rig.until_ended()
    assert rig.notes == []
    assert len(rig.seen) == 10


def test_restarts_are_bounded(tmp_path):
    path = write_numbered(tmp_path / "numbered.mp4", range(0, 60_000, 20))
    with Rig(tmp_path, FileSpec(str(path)), speed=1.0, max_restarts=1) as rig:
        rig.until(lambda: len(rig.seen) > 5)
        os.kill(rig.capture.pid, signal.SIGKILL)
        rig.until(lambda: rig.intake.status.generation == 1 and len(rig.seen) > 30)
        os.kill(rig.capture.pid, signal.SIGKILL)
        with pytest.raises(CaptureFailed, match="ended with signal 9, restarted 1 times in the last 600 s"):
            rig.until(lambda: False, 20)


def test_a_camera_that_does_not_open_is_bad_input_from_the_capture_process(tmp_path):
    with Rig(tmp_path, CameraSpec(77, CameraSettings()), speed=1.0) as rig:
        rig.until_ended()
    assert rig.intake.status.state is CaptureState.FAILED
    assert rig.intake.status.bad_input
    assert "77" in rig.intake.status.detail


CRASH_AT = """
import os, signal, time
from realtime.capture import process as capture
view = capture.make_view
def crashing(*arguments, **options):
    made = view(*arguments, **options)
    apply = made.apply
    def checked(image):
        if image.media_ns == 400_000_000:
            time.sleep(1.0)  # those before it arrive: what is on its way dies with its process
            os.kill(os.getpid(), signal.SIGSEGV)
        return apply(image)
    made.apply = checked
    return made
capture.make_view = crashing
"""


def run_first(monkeypatch, folder, code):
    """In every capture process, once `realtime.capture.process` can be imported."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'realtime.capture.process' in ' '.join(sys.orig_argv):\n"
        "    import runpy\n"
        f"    CODE = {code!r}\n"
        "    module = runpy._run_module_as_main\n"
        "    def wrapped(name, *rest):\n"
        "        exec(CODE, {})\n"
        "        import realtime.capture.process as capture\n"
        "        sys.exit(capture.main())\n"
        "    runpy._run_module_as_main = wrapped\n"
    )
    monkeypatch.syspath_prepend(str(folder))


def test_a_picture_that_crashes_the_capture_ends_it_after_two_tries_in_vain(tmp_path, monkeypatch):
    run_first(monkeypatch, tmp_path / "first", CRASH_AT)
    path = write_numbered(tmp_path / "numbered.mp4", range(0, 4000, 40))
    with (
        Rig(tmp_path, FileSpec(str(path)), speed=None) as rig,
        pytest.raises(
            CaptureFailed, match=r"^capture process ended with signal 11, no frame in 2 starts; it last printed: "
        ),
    ):
        rig.until(lambda: False)
    assert [index for index, _ in rig.seen] == list(range(10))  # all before it
    assert [note.partition("; ")[2] for note in rig.notes] == [
        "restarted (1 of 3) in 0.5 s",
        "restarted (2 of 3) in 1 s",
    ]


def test_a_library_that_is_missing_is_said_once_and_nothing_is_restarted(tmp_path, monkeypatch):
    run_first(monkeypatch, tmp_path / "first", "import sys; sys.modules['realtime.capture.sources.files'] = None")
    path = write_numbered(tmp_path / "numbered.mp4", range(0, 400, 40))
    with Rig(tmp_path, FileSpec(str(path)), speed=None) as rig:
        rig.until_ended()
    assert rig.intake.status.bad_input
    assert rig.intake.status.detail.startswith(
        "expected every library that manet-live needs, got import of realtime.capture.sources.files halted"
    )
    assert rig.notes == []
    assert rig.capture.restarts == 0


def test_no_restart_after_the_order_to_stop(tmp_path):
    path = write_numbered(tmp_path / "numbered.mp4", range(0, 60_000, 20))
    with Rig(tmp_path, FileSpec(str(path)), speed=1.0) as rig:
        rig.until(lambda: len(rig.seen) > 5)
        os.kill(rig.capture.pid, signal.SIGKILL)
        rig.until(lambda: rig.notes)
        rig.capture.ask_to_stop()
        assert rig.capture._start_at_ns is None
        assert rig.capture.pid == 0


def test_capture_ends_when_the_analysis_process_is_gone(tmp_path):
    path = write_numbered(tmp_path / "numbered.mp4", range(0, 60_000, 20))
    with Rig(tmp_path, FileSpec(str(path)), speed=1.0) as rig:
        rig.until(lambda: len(rig.seen) > 5)
        process = rig.capture._process
        process.stdin.close()  # what the kernel does when its parent dies
        assert process.wait(5) == 0
