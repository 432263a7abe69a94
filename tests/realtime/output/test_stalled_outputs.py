"""Outputs that nobody reads, are full or slow, and engines that take long: the others go on, and Ctrl-C ends it all."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import zmq

from tests.conftest import ROOT
from tests.realtime.sessions import EVENTFUL, free_port, gone, in_every_process, log_of, start, wait_for_line

pytestmark = pytest.mark.clock

SMALL_PIPE = 4096  # bytes: a page, the least the system gives


@pytest.fixture
def talkative(tmp_path) -> tuple[str | Path, ...]:
    """The options of a session that writes more than a pipe holds."""
    config = tmp_path / "talkative.toml"
    config.write_text(EVENTFUL[-1].read_text() + "\n[output]\nstats_every_s = 0.5\n")
    return (*EVENTFUL[:-1], config)


def small_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    return reading, writing


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / "run_live.py"), *map(str, arguments)]


def wait_for_log(folder: Path, kind: str, count: int = 1) -> None:
    """Until the event log has so many lines of a kind."""
    deadline, wanted = time.monotonic() + 60, f'{{"kind":"{kind}"'.encode()
    while not (folder / "events.jsonl").exists() or (folder / "events.jsonl").read_bytes().count(wanted) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ends_in_time(process: subprocess.Popen, number: int) -> int:
    """The exit code after a signal; within two seconds, and no child is left."""
    family = psutil.Process(process.pid).children(recursive=True)
    begun = time.monotonic()
    os.kill(process.pid, number)
    code = process.wait(10)
    assert time.monotonic() - begun < 2.0
    assert gone(family)
    return code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("speed", ["realtime", "max"])
def test_nobody_reads_standard_output_and_the_record_goes_on(recording, tmp_path, talkative, speed, number):
    reading, writing = small_pipe()
    process = subprocess.Popen(
        command("replay", recording, *talkative, "--speed", speed, "--record", tmp_path / "log"),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    try:
        wait_for_log(tmp_path / "log", "action", 15)
        assert ends_in_time(process, number) == 0
        err = process.stderr.read()
    finally:
        process.kill()
    assert "Traceback" not in err
    printed = os.read(reading, 1 << 16)  # a pipe takes whole lines, or nothing
    os.close(reading)
    log = (tmp_path / "log" / "events.jsonl").read_bytes()
    assert log.startswith(printed)
    lost = log.count(b"\n") - printed.count(b"\n")
    assert lost > 0
    assert f"manet-live: standard output: {lost} lines were not read in time and are lost" in err.splitlines()
    assert log_of(tmp_path / "log")[-1]["state"] in ("stopped", "ended")


def test_nobody_reads_standard_error_either(recording, tmp_path, talkative):
    (reading, writing), (reading_err, writing_err) = small_pipe(), small_pipe()
    os.set_blocking(writing_err, False)
    while True:
        try:
            os.write(writing_err, b"x" * 512)
        except BlockingIOError:
            break
    os.set_blocking(writing_err, True)
    process = subprocess.Popen(
        command("replay", recording, *talkative, "--record", tmp_path / "log"), stdout=writing, stderr=writing_err
    )
    try:
        wait_for_log(tmp_path / "log", "stats", 6)
        assert ends_in_time(process, signal.SIGINT) == 0
    finally:
        process.kill()
        for one in (reading, writing, reading_err, writing_err):
            os.close(one)
    assert log_of(tmp_path / "log")[-1]["state"] == "stopped"


def test_a_slow_reader_of_a_lossless_replay_gets_every_line(recording, tmp_path, talkative):
    """It takes longer than the session; what it reads is what the record holds."""
    reading, writing = small_pipe()
    process = subprocess.Popen(
        command("replay", recording, *talkative, "--speed", "max", "--record", tmp_path / "log"),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    wait_for_log(tmp_path / "log", "action", 15)
    while b'"state":"ended"' not in (tmp_path / "log" / "events.jsonl").read_bytes():
        time.sleep(0.05)
    with pytest.raises(subprocess.TimeoutExpired):  # longer than a session that was stopped would wait
        process.wait(2.0)
    with open(reading, "rb") as pipe:
        out = pipe.read()
    assert (process.wait(10), process.stderr.read()) == (0, "manet-live: judged 33 of 33 windows\n")
    assert out == (tmp_path / "log" / "events.jsonl").read_bytes()
    assert len(out) > 4 * SMALL_PIPE


def test_standard_output_on_a_full_disk_ends_neither_session_nor_record(recording, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("replay", recording, *EVENTFUL, "--speed", "max", "--record", tmp_path / "log"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    why = "standard output stopped after 0 lines: No space left on device"
    assert done.stderr.splitlines()[-1] == f"manet-live: failed: {why}"
    lines = log_of(tmp_path / "log")
    assert [line["detail"] for line in lines if line["kind"] == "session" and line["state"] == "output"] == [why]
    assert lines[-1]["state"] == "ended"
    stats = [line for line in lines if line["kind"] == "stats"][-1]
    assert stats["windows"] == stats["windows_due"] == 33
    assert stats["lines_lost"]["standard output"] > 3


def test_a_subscriber_that_does_not_read_holds_up_nobody(recording, tmp_path, context, talkative):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    frozen = context.socket(zmq.SUB)
    frozen.rcvhwm = 1
    frozen.subscribe(b"")
    frozen.connect(endpoint)
    process = start("replay", recording, *talkative, "--publish", endpoint, "--record", tmp_path / "log")
    wait_for_line(process, "action")
    assert ends_in_time(process, signal.SIGINT) == 0
    assert log_of(tmp_path / "log")[-1]["state"] == "stopped"


SLOW_ENGINE = """
import sys, time
if sys.argv[0].endswith("run_live.py"):
    import engines.runtimes.onnx_runtime as module
    real, calls = module.OnnxRuntime._run, []
    def slow(self, *arguments):
        calls.append(0)
        if len(calls) > 6:
            time.sleep(10.0)
        return real(self, *arguments)
    module.OnnxRuntime._run = slow
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_engine_that_takes_ten_seconds_is_left_alone_at_ctrl_c_and_said(recording, tmp_path, number):
    environment = in_every_process(tmp_path / "slow", SLOW_ENGINE)
    environment["PYTHONPATH"] += os.pathsep + str(ROOT)
    process = subprocess.Popen(
        command("replay", recording, *EVENTFUL, "--record", tmp_path / "log"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    wait_for_log(tmp_path / "log", "stats")  # after five seconds of it: the engine is at work
    assert ends_in_time(process, number) == 1
    said = "still at work 1.2 s after the end: the engine"
    assert process.stderr.read() == f"manet-live: failed: {said}\n"
    last = log_of(tmp_path / "log")[-1]
    assert (last["state"], last["detail"]) == ("failed", said)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_ctrl_c_right_after_the_capture_process_was_killed_or_frozen(recording, tmp_path, fault):
    process = start("replay", recording, *EVENTFUL, "--record", tmp_path / "log")
    wait_for_line(process, "session")
    (child,) = psutil.Process(process.pid).children(recursive=True)
    child.send_signal(fault)
    time.sleep(0.1)
    assert ends_in_time(process, signal.SIGINT) == 0
    assert "Traceback" not in process.stderr.read()
    assert log_of(tmp_path / "log")[-1]["state"] == "stopped"


@pytest.mark.parametrize("after_s", [0.2, 0.3, 0.5, 0.8, 1.2])
def test_ctrl_c_while_it_starts_leaves_no_traceback(recording, after_s):
    process = start("replay", recording, *EVENTFUL)
    time.sleep(after_s)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=5)
    assert process.returncode in (0, -signal.SIGINT)
    assert "Traceback" not in err
