"""Live sessions whose engine is a real inference server: it is slow, killed, started again, and shared by rooms."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from engines.runtimes import NoAnswer, ServerSettings, open_runtime
from tests.conftest import ROOT, write_numbered
from tests.engines.runtimes.serving import Link, Server, bundle
from tests.realtime.sessions import start

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
ROOMS, HOP_S, SECONDS = 8, 0.25, 6.0
SETTINGS = '[server]\nmodel = "served"\ndeadline_s = 0.4\n[output]\nstats_every_s = 0.5\n'


class Session:
    """A replay at its own speed, whose lines are read as they come."""

    def __init__(self, folder: Path, address: str, *more: str) -> None:
        write_numbered(folder / "recording.mp4", range(0, 120_000, 100))
        (folder / "settings.toml").write_text(SETTINGS)
        model = ("--model", "untrained-small", "--no-emotion", "--config", folder / "settings.toml")
        engine = ("--engine", "inference-server", "--server", address, *more)
        self.process = start("replay", folder / "recording.mp4", "--speed", "1", "--headless", *model, *engine)
        self.lines: list[dict] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def of(self, kind: str) -> list[dict]:
        return [line for line in self.lines if line["kind"] == kind]

    def wait_for(self, condition) -> None:
        until_s = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < until_s, self.lines[-3:]
            time.sleep(0.05)

    def judged(self) -> int:
        return self.of("stats")[-1]["windows"] if self.of("stats") else 0

    def skipped(self, cause: str) -> int:
        return self.of("stats")[-1]["skipped"].get(cause, 0)

    def said(self, text: str) -> bool:
        return any(text in line["detail"] for line in self.of("session") if line["state"] == "engine")

    def wait_for_more(self) -> None:
        before = self.judged()
        self.wait_for(lambda: self.judged() >= before + 4)

    def end(self) -> dict:
        """Its summary."""
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        (summary,) = self.of("summary")
        return summary


@pytest.fixture
def own_server(server_python, tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    made = Server(server_python, folder)
    made.start()
    yield made
    made.kill()


def test_what_a_slow_network_and_a_lost_server_leave_out_is_counted(own_server, tmp_path):
    link = Link(own_server.port, 100e6)
    session = Session(tmp_path, link.address)
    session.wait_for_more()
    link.bytes_per_s = 100e3  # a window takes three seconds
    session.wait_for(lambda: session.skipped("deadline") >= 2)
    assert not session.said("is lost")
    link.bytes_per_s = 100e6
    session.wait_for_more()
    own_server.kill()
    session.wait_for(lambda: session.said("is lost") and session.skipped("server") >= 2)
    own_server.start()
    session.wait_for(lambda: session.said("is back after"))
    session.wait_for_more()
    summary = session.end()
    link.close()
    assert summary["judged"] + summary["baseline"] + sum(summary["skipped"].values()) == summary["windows_due"]
    assert summary["skipped"]["deadline"] >= 2
    assert summary["skipped"]["server"] >= 2


def test_a_fallback_takes_over_in_a_session(own_server, tmp_path):
    session = Session(tmp_path, own_server.address, "--engine-fallback", "openvino")
    session.wait_for_more()
    own_server.kill()
    session.wait_for_more()
    session.wait_for_more()
    last = session.of("stats")[-1]["latency_ms"]
    summary = session.end()
    assert {"network", "compute"} <= last.keys()  # windows of both
    assert "server" not in summary["skipped"]
    assert session.of("session")[-1]["engine"] == "openvino"


def test_an_archive_ends_with_its_server_and_goes_on_with_it(own_server, tmp_path):
    inputs, out = tmp_path / "inputs", tmp_path / "dataset"
    inputs.mkdir()
    for at in range(3):
        write_numbered(inputs / f"{at}.mp4", range(0, 8000, 40))
    (tmp_path / "settings.toml").write_text('[server]\nmodel = "served"\ndeadline_s = 30.0\n')
    common = ["--model", "untrained-small", "--no-emotion", "--config", str(tmp_path / "settings.toml")]
    server = ["--engine", "inference-server", "--server", own_server.address, "--workers", "1"]
    command = [sys.executable, "-m", "lab", "archive", str(inputs), "--out", str(out), *common, *server]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until_s = time.monotonic() + 120
    while not list(out.glob("recording=*")) and time.monotonic() < until_s:
        time.sleep(0.02)
    own_server.kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "is lost" in err.strip().splitlines()[-1]
    assert 1 <= len(list(out.glob("recording=*"))) < 3
    assert not list(out.glob("*/errors.parquet"))  # it was no recording's fault
    own_server.start()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 recordings archived" in done.stdout


def test_eight_rooms_share_a_server_fairly(server):
    """Each sends a window every quarter of a second, as a session does, and skips those that come too late."""
    before = len(server.batches())
    settings = ServerSettings(server.address, model="served", deadline_s=1.0)
    shape = bundle().card.network.inputs["clips"]
    took: list[list[float]] = [[] for _ in range(ROOMS)]
    due = [0] * ROOMS
    ready = threading.Barrier(ROOMS)

    def watch(room: int) -> None:
        clip = np.random.default_rng(room).integers(0, 256, (1, *shape), np.uint8)
        with open_runtime(bundle(), "inference-server", server=settings) as far:
            ready.wait()
            until_s = next_s = time.monotonic() + room * HOP_S / ROOMS
            until_s += SECONDS
            while next_s < until_s:
                time.sleep(max(0.0, next_s - time.monotonic()))
                due[room], began_s = due[room] + 1, time.monotonic()
                with contextlib.suppress(NoAnswer):
                    far.infer(clip)
                    took[room].append(time.monotonic() - began_s)
                next_s = max(next_s + HOP_S, time.monotonic())

    rooms = [threading.Thread(target=watch, args=(room,)) for room in range(ROOMS)]
    for room in rooms:
        room.start()
    for room in rooms:
        room.join()
    sizes = server.batches()[before:]
    answered = [len(one) for one in took]
    means = [float(np.mean(one)) for one in took]
    everything = np.concatenate([np.asarray(one) for one in took]) * 1000
    print(
        f"due {due}, answered {answered}, batches {len(sizes)} of {np.mean(sizes):.2f} on average, {max(sizes)} at most"
    )
    print(f"round trip p50 {np.percentile(everything, 50):.0f} ms, p99 {np.percentile(everything, 99):.0f} ms")
    assert min(answered) > 0.5 * max(answered)
    assert max(means) < 3 * min(means)  # none waits for the others
    assert max(sizes) > 1  # windows of several rooms went through together
