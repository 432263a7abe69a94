"""`live --url` against a real ffmpeg on the loopback, killed and started again while the session runs."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import imageio_ffmpeg
import pytest

from tests.conftest import ROOT
from tests.realtime.sessions import free_port

pytestmark = pytest.mark.clock

SETTINGS = "[stream]\nread_timeout_s = 1.0\nbackoff_min_s = 0.2\nbackoff_max_s = 0.5\n[output]\nstats_every_s = 0.5\n"
BUDGET_S, ENGINE_S = 0.5, 0.5  # staleness budget, and a generous time for the engine and the transport


def send(kind: str, port: int, recording) -> subprocess.Popen:
    source = ["-re", "-stream_loop", "-1", "-i", str(recording)]
    target = {
        "udp": [
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-g",
            "10",
            "-f",
            "mpegts",
            f"udp://127.0.0.1:{port}?pkt_size=1316",
        ],
        "http": ["-c:v", "mjpeg", "-q:v", "5", "-f", "mpjpeg", "-listen", "1", f"http://127.0.0.1:{port}/"],
    }[kind]
    return subprocess.Popen(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *target], stderr=subprocess.DEVNULL
    )


class Session:
    """A running `live` session whose lines are read as they come."""

    def __init__(self, *urls: str, config) -> None:
        sources = [part for url in urls for part in ("--url", url)]
        command = [
            sys.executable,
            ROOT / "run_live.py",
            "live",
            *sources,
            "--headless",
            "--no-emotion",
            "--engine",
            "onnxruntime",
            "--model",
            "untrained-small",
            "--config",
            config,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def wait_for(self, condition, seconds: float, since: int = 0) -> int:
        """Wait until a line from `since` on fulfils the condition; returns the next line's number."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for number, line in enumerate(self.lines[since:], since):
                if condition(line):
                    return number + 1
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)
        raise AssertionError(f"not seen within {seconds} s: {self.lines[-5:]}")


def says(word: str, camera: int = 0):
    return lambda line: (line["kind"], line.get("camera")) == ("session", camera) and line["detail"].startswith(word)


def has_windows(above: int, camera: int = 0):
    return lambda line: (line["kind"], line.get("camera")) == ("stats", camera) and line["windows"] > above


@pytest.mark.parametrize("kind", ["udp", "http"])
def test_a_stream_that_dies_and_comes_back(kind, recording, tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text(SETTINGS)
    port = free_port()
    url = f"udp://127.0.0.1:{port}" if kind == "udp" else f"http://127.0.0.1:{port}/"
    sender = send(kind, port, recording)
    session = Session(url, config=config)
    try:
        at = session.wait_for(says("streaming"), 30)
        at = session.wait_for(has_windows(2), 30, at)
        sender.kill()
        sender.wait()
        at = session.wait_for(says("reconnecting"), 15, at)
        before = max(line["windows"] for line in session.lines if line["kind"] == "stats")
        sender = send(kind, port, recording)
        at = session.wait_for(says("streaming"), 30, at)
        session.wait_for(has_windows(before + 4), 30, at)
        os.kill(session.process.pid, signal.SIGINT)
        assert session.process.wait(5) == 0, session.process.stderr.read()
    finally:
        sender.kill()
        sender.wait()
        session.process.kill()
    last = [line for line in session.lines if line["kind"] == "stats"][-1]
    assert last["skipped"].get("gap", 0) > 0  # windows across the break were not judged
    assert last["windows"] + sum(last["skipped"].values()) == last["windows_due"]
    assert last["restarts"] == 0  # the capture process itself lived on
    newest_ms = last["latency_ms"]["total"]["p99"] - 250  # a window's newest frame waits for one hop at most
    assert newest_ms < (BUDGET_S + ENGINE_S) * 1000
    assert session.lines[-1]["state"] == "stopped"


def test_two_streams_share_a_clock_and_one_that_is_lost_leaves_the_other_alone(recording, tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text(SETTINGS)
    ports = [free_port(), free_port()]
    senders = [send("udp", port, recording) for port in ports]
    session = Session(*(f"udp://127.0.0.1:{port}" for port in ports), config=config)
    try:
        at = max(session.wait_for(says("streaming", camera), 30) for camera in (0, 1))
        at = max(session.wait_for(has_windows(1, camera), 30, at) for camera in (0, 1))
        senders[0].kill()
        at = session.wait_for(says("reconnecting", 0), 15, at)
        before = max(line["windows"] for line in session.lines if line["kind"] == "stats" and line["camera"] == 1)
        session.wait_for(has_windows(before + 6, 1), 30, at)
        os.kill(session.process.pid, signal.SIGINT)
        assert session.process.wait(5) == 0, session.process.stderr.read()
    finally:
        for process in (*senders, session.process):
            process.kill()
            process.wait()
    stats = [line for line in session.lines if line["kind"] == "stats"]
    for first, second in zip(stats[::2], stats[1::2], strict=True):
        assert (first["camera"], second["camera"]) == (0, 1)
        assert abs(first["time_s"] - second["time_s"]) < 0.05 or not first["frames"] or not second["frames"]
    for last in stats[-2:]:
        assert last["windows"] + sum(last["skipped"].values()) == last["windows_due"]
    assert stats[-1]["skipped"].get("gap", 0) == 0
    assert session.lines[-1]["state"] == "stopped"


def test_a_stream_that_loses_packets_says_so(recording, tmp_path):
    """Every tenth datagram of ffmpeg's is lost on the way."""
    config = tmp_path / "settings.toml"
    config.write_text(SETTINGS)
    port = free_port()
    stop = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inlet:
        inlet.bind(("127.0.0.1", 0))
        inlet.settimeout(0.1)

        def relay() -> None:
            count = 0
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    datagram = inlet.recv(65536)
                    count += 1
                    if count % 10:
                        inlet.sendto(datagram, ("127.0.0.1", port))

        thread = threading.Thread(target=relay)
        thread.start()
        sender = send("udp", inlet.getsockname()[1], recording)
        session = Session(f"udp://127.0.0.1:{port}", config=config)
        try:
            session.wait_for(lambda line: line["kind"] == "session" and "left out as damaged" in line["detail"], 40)
            os.kill(session.process.pid, signal.SIGINT)
            assert session.process.wait(5) == 0, session.process.stderr.read()
        finally:
            stop.set()
            thread.join()
            for process in (sender, session.process):
                process.kill()
                process.wait()
    last = [line for line in session.lines if line["kind"] == "stats"][-1]
    assert last["dropped"]["damaged"] > 30
