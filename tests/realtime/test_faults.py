"""Faults in whole sessions with real processes: recovered, or ended with one clear line; the event log whole."""

import fcntl
import json
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import psutil
import pytest

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from engines.runtimes.base import RuntimeFailed
from realtime.capture.sources import FileSpec
from realtime.config import Config
from realtime.output.event_stream import EventStream
from realtime.output.lines import SessionLine
from realtime.output.writer import OutputLost
from realtime.request import Request
from realtime.session_loop import SessionFailed
from tests.conftest import ROOT
from tests.realtime.conftest import LINE, record, session_loop
from tests.realtime.sessions import EVENTFUL, gone, in_every_process, log_of, start, wait_for_line

pytestmark = pytest.mark.clock


def test_a_frozen_capture_process_is_replaced_and_the_events_stay_the_same(recording, tmp_path, undisturbed):
    config = tmp_path / "settings.toml"
    config.write_text(EVENTFUL[-1].read_text() + "\n[supervision]\nhang_s = 8.0\n")
    process = start("replay", recording, *EVENTFUL[:-1], config)
    wait_for_line(process, "session")
    time.sleep(1.0)
    (child,) = psutil.Process(process.pid).children(recursive=True)
    child.send_signal(signal.SIGSTOP)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert "silent for 8 s; restarted (1 of 3)" in out
    actions = "\n".join(line for line in out.splitlines() if line.startswith('{"kind":"action"'))
    assert actions == undisturbed.action_text
    assert gone([child])


STEPPING_CLOCK = """
import itertools, time
real, steps = time.time_ns, itertools.count()
time.time_ns = lambda: real() + (-1) ** next(steps) * 3600 * 10**9
time.time = lambda: time.time_ns() / 1e9
"""


def test_a_wall_clock_that_jumps_by_hours_changes_nothing(recording, tmp_path, undisturbed):
    """In both processes, at every look. Everything is timed by the monotonic clock."""
    for speed in ("max", "4.0"):
        done = subprocess.run(
            [sys.executable, ROOT / "run_live.py", "replay", recording, "--speed", speed, *EVENTFUL],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=in_every_process(tmp_path / f"clock-{speed}", STEPPING_CLOCK),
        )
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        stats = [line for line in lines if line["kind"] == "stats"][-1]
        assert stats["windows"] + sum(stats["skipped"].values()) == stats["windows_due"] == 33
        assert (stats["dropped"], stats["restarts"]) == ({}, 0)
        if not stats["skipped"]:  # a busy machine may not keep up at 4.0
            actions = "\n".join(line for line in done.stdout.splitlines() if line.startswith('{"kind":"action"'))
            assert actions == undisturbed.action_text
        else:
            assert speed == "4.0"


UNPLUGGED_CAMERA = """
import time, cv2, numpy as np
class Camera:
    def __init__(self, *_): self.left = 90
    def isOpened(self): return True
    def set(self, *_): return True
    def get(self, *_): return 30.0
    def read(self):
        time.sleep(1 / 30)
        self.left -= 1
        return (True, np.full((480, 640, 3), self.left, np.uint8)) if self.left > 0 else (False, None)
    def release(self): pass
cv2.VideoCapture = Camera
"""


def test_a_camera_that_is_gone_ends_the_session_with_one_line_and_a_whole_log(tmp_path):
    """A real session; its capture process has a camera that is unplugged after three seconds."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "run_live.py", "live", "--camera", "0", *EVENTFUL, "--record", tmp_path / "log"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=in_every_process(tmp_path / "camera", UNPLUGGED_CAMERA),
    )
    family: list[psutil.Process] = []
    while process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True) or family
        time.sleep(0.1)
    _, err = process.communicate(timeout=10)
    gone_line = "camera 0 gives no more pictures; is it still plugged in?"
    assert process.returncode == 1
    assert err.splitlines()[-1] == f"manet-live: failed: {gone_line}"
    lines = log_of(tmp_path / "log")
    assert (lines[-1]["state"], lines[-1]["detail"]) == ("failed", gone_line)
    stats = [line for line in lines if line["kind"] == "stats"][-1]
    assert stats["windows"] + sum(stats["skipped"].values()) == stats["windows_due"] > 0
    assert family
    assert gone(family)


class FailingRuntime:
    """A real runtime that breaks at its fifth window."""

    remote = False

    def __init__(self, runtime) -> None:
        self._runtime, self.name, self.batch, self.calls = runtime, runtime.name, runtime.batch, 0

    def notice(self) -> str:
        return ""

    def infer(self, clips):
        self.calls += 1
        if self.calls == 5:
            raise RuntimeFailed("the engine broke on 1 clips: out of memory")
        return self._runtime.infer(clips)


def test_an_engine_that_raises_ends_the_session_with_one_line_and_a_whole_log(recording, tmp_path):
    model = Bundle.load(bundles.find("untrained-small"))
    output = record(tmp_path / "log")
    request = Request((FileSpec(str(recording)),), "untrained-small", Config(), speed=None, headless=True)
    threads = threading.active_count()
    stream = EventStream([output])
    with open_runtime(model, "onnxruntime") as runtime:
        session = session_loop(request, model, FailingRuntime(runtime), stream, tmp_path)
        try:
            with pytest.raises(SessionFailed, match="RuntimeFailed: the engine broke on 1 clips: out of memory"):
                session.run(threading.Event())
        finally:
            session.close()
    stream.close(5.0)
    lines = log_of(tmp_path / "log")
    assert (lines[-1]["state"], lines[-1]["detail"]) == (
        "failed",
        "RuntimeFailed: the engine broke on 1 clips: out of memory",
    )
    assert session.pipelines[0].actions.judged == 4
    assert not session.pipelines[0].capture.pid
    assert threading.active_count() == threads


@pytest.mark.parametrize("controlling", [True, False])
def test_an_overlay_whose_terminal_is_closed_leaves_nothing_running(recording, tmp_path, controlling):
    """A terminal that is the session's own hangs up with a signal; any other just takes no more."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    (tmp_path / "settings.toml").write_text("[output]\nstats_every_s = 0.5\n")
    process = subprocess.Popen(
        [
            sys.executable,
            ROOT / "run_live.py",
            "replay",
            recording,
            "--no-emotion",
            "--model",
            "untrained-small",
            "--engine",
            "onnxruntime",
            "--record",
            tmp_path / "log",
            "--config",
            tmp_path / "settings.toml",
        ],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
        preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,
    )
    os.close(slave)
    try:
        seen, deadline = b"", time.monotonic() + 60
        log = tmp_path / "log" / "events.jsonl"
        while b"UNTRAINED WEIGHTS" not in seen or b'"stats"' not in log.read_bytes():  # pictures have come
            assert time.monotonic() < deadline, seen[-2000:]
            if select.select([master], [], [], 0.5)[0]:
                seen += os.read(master, 65536)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert len(family) == 2
        os.close(master)
        process.wait(15)
        assert gone(family)
    finally:
        process.kill()
    lines = log_of(tmp_path / "log")
    assert lines[0]["state"] == "started"
    assert lines[-1]["kind"] == "session"


def limited(folder: Path, recording: Path, most_bytes: int) -> subprocess.CompletedProcess:
    """A recorded session that cannot write files larger than so many bytes, as on a full disk."""
    return subprocess.run(
        [sys.executable, ROOT / "run_live.py", "replay", recording, "--speed", "max", *EVENTFUL, "--record", folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
    )


def test_a_full_disk_ends_the_log_behind_a_whole_line_while_the_monitor_runs_on(recording, tmp_path):
    done = limited(tmp_path / "log", recording, 6000)
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    told = [line for line in printed if line["kind"] == "session" and line["state"] == "output"]
    judged, failed = done.stderr.splitlines()
    assert judged == "manet-live: judged 33 of 33 windows"
    assert [line["detail"] for line in told] == [failed.removeprefix("manet-live: failed: ")]
    assert "the event log stopped after" in told[0]["detail"]
    assert printed[-1]["state"] == "ended"  # the session came to its end
    stats = [line for line in printed if line["kind"] == "stats"][-1]
    assert stats["windows"] == stats["windows_due"] == 33
    assert done.returncode == 1  # and says that not all that was asked for is there
    logged = log_of(tmp_path / "log")
    assert 3 < len(logged) < len(printed)
    assert logged == printed[: len(logged)]
    assert f"after {len(logged)} lines" in told[0]["detail"]


def test_a_device_without_space_is_an_output_lost_and_the_others_go_on(tmp_path):
    output = record(tmp_path / "log")
    stream = EventStream([output])
    stream.write(SessionLine("started", "m", "nothing", "torch", "s", None))
    stream.drain(threading.Event())
    output._file.close()
    output._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(OutputLost, match="stopped after 1 lines: No space left on device"):
        output.on_line(LINE)
    for _ in range(2):
        stream.write(SessionLine("ended", "m", "nothing", "torch", "s", None))
    stream.close(5.0)
    assert stream.lost == {"the event log": "the event log stopped after 1 lines: No space left on device"}
    assert stream.lines_lost == {"the event log": 2}


def test_a_killed_analysis_process_leaves_a_whole_log_and_nothing_running(recording, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, ROOT / "run_live.py", "replay", recording, *EVENTFUL, "--record", tmp_path / "log"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    printed = [wait_for_line(process, "action")]
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    time.sleep(0.5)  # a line of the log takes no longer
    process.kill()
    printed += [json.loads(line) for line in process.stdout.read().splitlines()]
    process.wait()
    assert gone(family)
    logged = log_of(tmp_path / "log")
    assert printed[0] in logged
    missing = [line for line in printed if line not in logged]
    assert missing == printed[len(printed) - len(missing) :]  # outputs are written side by side: the newest, if any
