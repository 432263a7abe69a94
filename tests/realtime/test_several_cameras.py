"""Several cameras on one engine: each as if it were alone, whatever happens to the others."""

import json
import os
import shutil
import signal
import sys
import threading
import time

import psutil
import pytest

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from engines.runtimes.openvino_runtime import OpenVinoRuntime
from realtime.capture.sources import FileSpec
from realtime.config import Config, EngineSettings, load
from realtime.output.event_stream import EventStream
from realtime.priority import at_low_priority
from realtime.request import Request
from tests.conftest import manet_live
from tests.realtime.conftest import record, session_loop
from tests.realtime.sessions import EVENTFUL, start
from tests.realtime.test_overload import SlowRuntime

pytestmark = pytest.mark.clock


def actions(lines, camera):
    """A camera's action lines as if it had been alone."""
    return [{**line, "camera": 0} for line in lines if line["kind"] == "action" and line["camera"] == camera]


@pytest.fixture(scope="module")
def pair(recording, tmp_path_factory):
    """Two recordings of different content and length."""
    other = tmp_path_factory.mktemp("pair") / "other.mp4"
    shutil.copy(recording, other)
    return recording, other


@pytest.fixture(scope="module")
def alone(undisturbed):
    return actions(undisturbed.lines, 0)


def test_two_real_recordings_at_once_give_each_the_events_it_has_alone(clips, tmp_path):
    names = ["seated_A1_shaking_body.mp4", "upper_body_asl_book.mkv"]
    single = [manet_live("replay", clips / name, "--speed", "max", *EVENTFUL) for name in names]
    both = manet_live(
        "replay", *(clips / name for name in names), "--speed", "max", *EVENTFUL, "--record", tmp_path / "log"
    )
    assert both.code == 0, both.err
    for camera, one in enumerate(single):
        assert actions(both.lines, camera) == actions(one.lines, 0)
        assert len(actions(both.lines, camera)) >= 6
        (stats,) = [line for line in both.of("stats") if line["camera"] == camera][-1:]
        assert stats["windows"] == stats["windows_due"] == one.of("stats")[-1]["windows_due"] > 0
        assert stats["latency_ms"]["total"]["p50"] > 0
        told = [line["source"] for line in both.of("session") if line["camera"] == camera]
        assert set(told) == {names[camera]}
    assert [line["state"] for line in both.of("session") if line["camera"] is None] == ["started", "ended"]
    assert (tmp_path / "log" / "events.jsonl").read_text() == both.out  # one log, every line with its camera
    assert json.loads((tmp_path / "log" / "session.json").read_text())["sources"] == names


def capture_of(process, camera):
    """The capture processes start in the order of the cameras."""
    deadline = time.monotonic() + 30
    while len(children := psutil.Process(process.pid).children()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return sorted(children, key=lambda child: child.pid)[camera]


def read_until(process, state, camera, lines):
    for text in process.stdout:
        lines.append(json.loads(text))
        last = lines[-1]
        if last["kind"] == "session" and last["camera"] == camera and last["detail"].startswith(state):
            return
    raise AssertionError(process.stderr.read())


def test_a_camera_that_dies_leaves_the_other_its_events_and_is_named_at_the_end(pair, alone, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(EVENTFUL[-1].read_text() + "\n[supervision]\nmax_restarts = 0\n")
    process = start("replay", *pair, "--speed", "2", *EVENTFUL[:-1], settings)
    lines = []
    read_until(process, "streaming", 0, lines)
    capture_of(process, 0).kill()
    out, err = process.communicate(timeout=60)
    lines += [json.loads(text) for text in out.splitlines()]
    assert process.returncode == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith("manet-live: failed: scenes.mp4: capture process ended with signal 9")
    assert actions(lines, 1) == alone
    assert (lines[-1]["state"], lines[-1]["camera"]) == ("failed", None)
    stats = {line["camera"]: line for line in lines if line["kind"] == "stats"}
    assert stats[0]["windows"] + sum(stats[0]["skipped"].values()) == stats[0]["windows_due"] < 33
    assert stats[1]["windows"] == stats[1]["windows_due"] == 33


def test_a_camera_that_stalls_does_not_hold_up_the_other(pair, alone):
    process = start("replay", *pair, "--speed", "2", *EVENTFUL)
    lines = []
    read_until(process, "streaming", 0, lines)
    stalled = capture_of(process, 0)
    stalled.send_signal(signal.SIGSTOP)
    try:
        read_until(process, "ended", 1, lines)  # its recording is over while the other stands still
    finally:
        stalled.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert actions(lines + [json.loads(text) for text in out.splitlines()], 1) == alone


def test_ctrl_c_ends_every_camera_within_two_seconds(pair):
    process = start("replay", *pair, *EVENTFUL)
    lines = []
    read_until(process, "streaming", 1, lines)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 2
    os.kill(process.pid, signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - begun < 2.0
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["state"] == "stopped"
    assert not [child for child in family if child.is_running()]


def run_session(pair, runtime, folder, config, speed):
    """A session in this process; its lines and itself."""
    output = record(folder / "log")
    request = Request(tuple(FileSpec(str(path)) for path in pair), "untrained-small", config, speed, headless=True)
    stream = EventStream([output])
    session = session_loop(request, runtime.bundle, runtime, stream, folder)
    try:
        session.run(threading.Event())
    finally:
        session.close()
        stream.close(5.0)
    return [json.loads(text) for text in (folder / "log" / "events.jsonl").read_text().splitlines()], session


def test_an_engine_that_cannot_keep_up_is_shared_fairly_and_every_window_counted(pair, tmp_path):
    model = Bundle.load(bundles.find("untrained-small"))
    config = Config(engine=EngineSettings(staleness_s=0.3))
    with open_runtime(model, "onnxruntime") as runtime:
        slow = SlowRuntime(runtime)
        slow.bundle = model
        _, session = run_session(pair, slow, tmp_path, config, 4.0)
    stats = session.stats()
    for one, pipeline in zip(stats, session.pipelines, strict=True):
        assert pipeline.intake.received == pipeline.status.sent == 300  # drained, whatever the engine does
        assert one.windows + sum(one.skipped.values()) == one.windows_due == 33
        assert one.skipped["stale"] > 5
    assert min(one.windows for one in stats) >= 3
    assert abs(stats[0].windows - stats[1].windows) <= 2


class Together(OpenVinoRuntime):
    """A runtime that takes up to three windows at a time; a window's scores do not depend on the others."""

    calls = ()

    def _activate(self):
        super()._activate()
        self.batch = 3

    def _run(self, inputs):
        self.calls = (*self.calls, len(inputs["clips"]))
        time.sleep(0.02)  # meanwhile the other camera's window falls due
        return super()._run(inputs)


def test_an_engine_that_takes_several_windows_at_once_gives_the_same_events(pair, tmp_path):
    model, config = Bundle.load(bundles.find("untrained-small")), load(EVENTFUL[-1])
    (tmp_path / "one").mkdir()
    with OpenVinoRuntime(model) as runtime:
        one_by_one, _ = run_session(pair[:1], runtime, tmp_path / "one", config, None)
    with Together(model) as runtime:
        lines, session = run_session(pair, runtime, tmp_path, config, None)
        assert sum(runtime.calls) == 66
        assert max(runtime.calls) > 1
    assert len(actions(one_by_one, 0)) >= 20
    for camera in (0, 1):
        assert actions(lines, camera) == actions(one_by_one, 0)
        assert session.stats()[camera].windows == 33


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has threads with a priority of their own")
def test_the_engine_and_its_workers_step_back_and_nobody_else():
    def nice_of_threads():
        found = {}
        for thread in psutil.Process().threads():
            try:
                found[thread.id] = os.getpriority(os.PRIO_PROCESS, thread.id)
            except ProcessLookupError:
                continue
        return found

    before = nice_of_threads()
    model = Bundle.load(bundles.find("untrained-small"))
    with at_low_priority(7, lambda: open_runtime(model, "onnxruntime", threads=3)) as runtime:
        workers = {thread: nice for thread, nice in nice_of_threads().items() if thread not in before}
        assert len(workers) >= 2
        assert set(workers.values()) == {min(before[threading.get_native_id()] + 7, 19)}
        assert runtime.infer(model.reference()[0][:1]).logits.shape == (1, 52)
    after = nice_of_threads()
    assert {thread: after[thread] for thread in after if thread in before} == {
        thread: before[thread] for thread in after if thread in before
    }
    with pytest.raises(ZeroDivisionError):
        at_low_priority(7, lambda: 1 // 0)
