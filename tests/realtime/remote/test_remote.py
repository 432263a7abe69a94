"""A camera on another machine, whose clock is another: real sockets, a real session, on loopback."""

import json
import logging
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import zmq

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from realtime.capture.order import CaptureOrder, ViewSpec
from realtime.capture.sources import RemoteSpec, SimulatedSpec
from realtime.capture.sources.urls import control_endpoint
from realtime.clock import MonotonicClock
from realtime.clock_offset import ClockOffset
from realtime.config import Config, StreamOutSettings
from realtime.latency.stages import FRAME_COLUMNS
from realtime.messages import CaptureState, Frame
from realtime.output.event_stream import EventStream
from realtime.remote.analysis_end import RemoteCapture
from realtime.remote.camera_end import _Link, serve
from realtime.request import Request
from realtime.transport.authentication import CAMERAS, load_client_keys, load_keys, make_keys
from realtime.transport.wire import Receiver
from tests.conftest import ROOT, manet_live, refused
from tests.realtime.conftest import session_loop
from tests.realtime.sessions import EVENTFUL, free_port, start

pytestmark = pytest.mark.clock

S, MS = 1_000_000_000, 1_000_000


class OtherMachinesClock(MonotonicClock):
    """Some time ahead of this machine's."""

    def __init__(self, ahead_ns: int) -> None:
        self.ahead_ns = ahead_ns

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns

    def sleep_until(self, deadline_ns: int) -> None:
        super().sleep_until(deadline_ns - self.ahead_ns)


@pytest.mark.parametrize("ahead_s", [12_345.678, -0.75])
def test_the_stamps_of_a_machine_with_another_clock_are_brought_to_ours(tmp_path, ahead_s, caplog):
    make_keys(tmp_path / "keys", [], ["desk"])
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    config = Config(output=StreamOutSettings(keys=str(tmp_path / "keys")))
    request = Request((RemoteSpec(endpoint),), "untrained-small", config, headless=True)
    model, clock = Bundle.load(bundles.find("untrained-small")), OtherMachinesClock(round(ahead_s * S))
    caplog.set_level(logging.INFO)
    camera = threading.Thread(
        target=serve,
        args=(
            SimulatedSpec(0, 4.0, "natural"),
            endpoint,
            load_client_keys(tmp_path / "keys" / "desk.key"),
            clock,
            threading.Event(),
        ),
    )
    with open_runtime(model, "onnxruntime") as runtime:
        session = session_loop(request, model, runtime, EventStream([]), tmp_path)
        try:
            camera.start()
            begun_ns = time.monotonic_ns()
            session.run(threading.Event())
        finally:
            session.close()
            camera.join(20)
    (pipeline,) = session.pipelines
    reading = pipeline.status.clock
    assert pipeline.status.state is CaptureState.ENDED
    assert abs(reading.offset_ns + clock.ahead_ns) <= reading.error_ns < 50 * MS
    assert any(line.startswith("connected; the analysis' clock is") for line in caplog.messages)
    rows = pipeline.latency.rows("frame")
    captured, viewed, received = (
        rows[:, FRAME_COLUMNS.index(name)] for name in ("captured_ns", "faced_ns", "received_ns")
    )
    assert len(rows) == 120
    assert begun_ns < captured.min() < captured.max() < time.monotonic_ns()
    assert (received - viewed).min() > -reading.error_ns - MS
    assert np.median(received - viewed) < S // 2
    stats = pipeline.stats()
    assert stats.other_clock_ms.offset == pytest.approx(-1000 * ahead_s, abs=stats.other_clock_ms.error + 1e-3)
    assert stats.windows + sum(stats.skipped.values()) == stats.windows_due > 5


def test_the_newest_camera_replaces_the_one_before_and_junk_is_counted(tmp_path, context):
    make_keys(tmp_path, ["reader"], ["desk"])
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    order = CaptureOrder(ViewSpec(64), 0, 60)
    end = RemoteCapture(control_endpoint(endpoint), load_keys(tmp_path, CAMERAS), order, MonotonicClock())
    end.start()
    keys, clock, stop = load_client_keys(tmp_path / "desk.key"), MonotonicClock(), threading.Event()
    with _Link(endpoint, keys, clock, stop) as first, _Link(endpoint, keys, clock, stop) as second:
        assert first.hello().generation == 0
        assert end.check(CaptureState.STREAMING, None, None) == "the camera's machine is connected"
        assert second.hello().generation == 1
        assert end.check(CaptureState.STREAMING, None, None) == "the camera connected again (1 times)"
        over = threading.Event()
        first.exchange(ClockOffset(), over)
        assert over.is_set()
        assert first.ended == "another camera took this one's place"
        junk = context.socket(zmq.DEALER)
        keys.apply(junk)
        junk.connect(control_endpoint(endpoint))
        for said in ([b"not msgpack"], [b"a", b"b"], [b""], [bytes(4000)]):
            junk.send_multipart(said)
        reader = context.socket(zmq.DEALER)  # who may read the event stream may not send frames
        load_client_keys(tmp_path / "reader.key").apply(reader)
        reader.connect(control_endpoint(endpoint))
        deadline = time.monotonic() + 20
        while end.refused.get("protocol", 0) < 4 or not end.refused.get("key"):
            assert time.monotonic() < deadline, end.refused
            time.sleep(0.02)
        end.ask_to_stop()
        second.exchange(ClockOffset(), threading.Event())
        assert second.ended == "the session is over"
    end.stop(5.0)


class SilentAtFirst(RemoteCapture):
    """Loses every answer about the time until a camera has come twice."""

    def _answer(self, parts, received_ns):
        if self._connections > 1 or b"ping" not in parts[-1]:
            super()._answer(parts, received_ns)


def test_a_camera_whose_first_exchanges_are_lost_connects_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("realtime.remote.camera_end.BURST", 2)
    make_keys(tmp_path, [], ["desk"])
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    order = CaptureOrder(ViewSpec(64, sees="landmarks"), 0, 60)
    keys = load_keys(tmp_path, CAMERAS)
    receiver = Receiver(endpoint, 60, keys)
    end = SilentAtFirst(control_endpoint(endpoint), keys, order, MonotonicClock())
    end.start()
    caplog.set_level(logging.INFO)
    stop = threading.Event()
    camera = threading.Thread(
        target=serve,
        args=(
            SimulatedSpec(0, 30.0, "natural"),
            endpoint,
            load_client_keys(tmp_path / "desk.key"),
            MonotonicClock(),
            stop,
        ),
    )
    camera.start()
    try:
        deadline = time.monotonic() + 30
        while not isinstance(message := receiver.receive(0.05), Frame):
            assert time.monotonic() < deadline, caplog.messages
        assert message.generation == 1
        assert caplog.messages[1] == "the analysis does not answer; connecting again"
        assert caplog.messages[2].startswith("connected; the analysis' clock is ")
    finally:
        stop.set()
        camera.join(20)
        end.stop(5.0)
        receiver.close()
    assert not camera.is_alive()


def test_the_two_commands_find_each_other_and_both_end(tmp_path):
    port, keys = free_port(), tmp_path / "keys"
    made = manet_live("keys", keys, "--camera", "desk", "--client", "lab")
    assert made.code == 0
    assert "--listen ENDPOINT" in made.out
    camera = subprocess.Popen(
        [
            sys.executable,
            ROOT / "run_live.py",
            "capture",
            "--connect",
            f"127.0.0.1:{port}",
            "--key",
            keys / "desk.key",
            "--demo",
            "--seconds",
            "3",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    live = start("live", "--listen", f"tcp://127.0.0.1:{port}", "--keys", keys, *EVENTFUL)
    out, err = live.communicate(timeout=90)
    _, said = camera.communicate(timeout=30)
    assert (live.returncode, camera.returncode) == (0, 0), err + said
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0]["source"] == f"camera at 127.0.0.1:{port}"
    assert [line for line in lines if line["kind"] == "stats"][-1]["frames"] == 90
    assert "the camera's machine is connected" in out
    assert "the analysis' clock is" in said


def test_wrong_use_is_one_line(tmp_path):
    make_keys(tmp_path, ["lab"])
    listen = ("live", "--headless", "--model", "untrained-small", "--engine", "onnxruntime", "--no-emotion", "--listen")
    assert "--listen with --keys" in refused(*listen, "tcp://127.0.0.1:5570")
    assert "tcp://ADDRESS:PORT" in refused(*listen, "ipc://frames", "--keys", tmp_path)
    assert "--camera NAME" in refused(*listen, "tcp://127.0.0.1:5570", "--keys", tmp_path)  # a reader is no camera
    assert "key file" in refused("capture", "--connect", "127.0.0.1:5570", "--key", tmp_path / "none.key")
    assert "tcp://ADDRESS:PORT" in refused("capture", "--connect", "nowhere", "--key", tmp_path / "lab.key")
