"""The whole command, as its user runs it: replay of recordings, through every process, to events on standard output."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import zmq

from tests.conftest import ROOT, manet_live, write_numbered
from tests.realtime.sessions import EVENTFUL, free_port, start, wait_for_line

pytestmark = pytest.mark.clock


def test_a_replay_reports_session_stats_and_actions(undisturbed):
    done = undisturbed
    assert done.code == 0, done.err
    assert {line["kind"] for line in done.lines} == {"session", "recording", "stats", "action", "summary"}
    started, ended = done.of("session")[0], done.of("session")[-1]
    assert (started["state"], ended["state"]) == ("started", "ended")
    assert started["source"] == "scenes.mp4"
    assert "untrained" in started["trained_on"].lower()
    assert [line["state"] for line in done.of("session") if "trained_on" in line or "consent" in line] == ["started"]
    assert max(len(line) for line in done.out.splitlines() if '"session"' in line and "started" not in line) < 250
    (line,) = done.err.splitlines()  # the end in words, and not how the engine was chosen
    assert line.startswith("manet-live: judged 33 of 33 windows")
    stats = done.of("stats")[-1]
    assert stats["frames"] == 300
    assert stats["windows_due"] == stats["windows"] == 1 + int((9.966 - 1.9) / 0.25)
    assert stats["dropped"] == stats["skipped"] == {}
    for line in done.of("action"):
        assert line["delay_ms"]["queue"] is line["delay_ms"]["compute"] is None
        parts = line["delay_ms"]["window"] + line["delay_ms"]["confirmation"]
        assert line["emitted_s"] - line["onset_s"] == pytest.approx(parts / 1000, abs=2e-3)
        assert line["emitted_s"] >= 1.9  # nothing before the first full window


def test_the_same_recording_gives_the_same_bytes_at_every_speed(recording, undisturbed):
    runs = {speed: manet_live("replay", recording, "--speed", speed, *EVENTFUL) for speed in ("realtime", "2.5")}
    runs["max"] = undisturbed
    for speed, done in runs.items():
        assert done.code == 0, done.err
        assert done.of("stats")[-1]["skipped"] == {}, f"the machine did not keep up at {speed}"
    texts = {done.action_text for done in runs.values()}
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) >= 20


@pytest.mark.parametrize("name", ["seated_A1_shaking_body.mp4", "variable_frame_rate.mp4", "upper_body_asl_book.mkv"])
def test_replay_equivalence_on_real_clips(clips, name):
    fast = manet_live("replay", clips / name, "--speed", "max", *EVENTFUL)
    real = manet_live("replay", clips / name, "--speed", "realtime", *EVENTFUL)
    assert (fast.code, real.code) == (0, 0), fast.err + real.err
    assert real.of("stats")[-1]["skipped"].get("stale") is None, "the machine did not keep up"
    assert fast.action_text == real.action_text
    assert fast.of("stats")[-1]["windows_due"] == real.of("stats")[-1]["windows_due"] > 0


def test_how_the_engine_was_chosen_is_said_to_who_asks():
    quiet, verbose = (
        manet_live("demo", "--seconds", "2", "--speed", "max", "--headless", "--no-emotion", *more)
        for more in ((), ("-v",))
    )
    assert quiet.code == verbose.code == 0
    assert not any("ms per window" in line or "chosen earlier" in line for line in quiet.err.splitlines())
    assert any("ms per window" in line or "chosen earlier" in line for line in verbose.err.splitlines())


def test_a_missing_camera_is_one_line():
    done = manet_live("live", "--camera", "77", "--headless")
    assert done.code == 2
    assert done.err == (
        "manet-live: error: expected a camera, got number 77, which does not open; "
        "`cameras` lists those that do; another program may be using it\n"
    )


def test_events_are_published_and_recorded_as_they_are_printed(recording, tmp_path, context):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe(b"")
    subscriber.connect(endpoint)
    done = manet_live(
        "replay",
        recording,
        "--speed",
        "max",
        *EVENTFUL,
        "--publish",
        endpoint,
        "--record",
        tmp_path / "session",
        "--consent",
        "signed form 7",
    )
    assert done.code == 0, done.err
    recorded = (tmp_path / "session" / "events.jsonl").read_text()
    assert recorded == done.out
    session = json.loads((tmp_path / "session" / "session.json").read_text())
    assert session["consent"] == "signed form 7"
    assert session["model"]["provenance"]["trained"] is False
    assert str(recording.parent) not in json.dumps(session)
    published = []
    while subscriber.poll(500):
        published.append(subscriber.recv_multipart()[1].decode())
    assert published  # a subscriber joins late, so its beginning may be missing, never its end
    assert published == done.out.splitlines()[-len(published) :]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_everything_within_two_seconds(recording, tmp_path, number):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, ROOT / "run_live.py", "replay", recording, *EVENTFUL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    wait_for_line(process, "session")
    family = psutil.Process(process.pid).children(recursive=True)
    assert family  # the capture process
    assert list(tmp_path.iterdir())  # its socket
    os.kill(process.pid, number)
    begun = time.monotonic()
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - begun < 2.0
    assert process.returncode == 0, err
    last = json.loads(out.splitlines()[-1])
    assert (last["kind"], last["state"]) == ("session", "stopped")
    assert "Traceback" not in err
    assert not [child for child in family if child.is_running()]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_analysis_process_takes_its_capture_process_along(recording):
    process = start("replay", recording, *EVENTFUL)
    wait_for_line(process, "session")
    (child,) = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    child.wait(timeout=8)


def test_a_killed_capture_process_is_replaced_and_the_events_stay_the_same(recording, undisturbed):
    process = start("replay", recording, *EVENTFUL)
    wait_for_line(process, "session")
    time.sleep(1.0)
    (child,) = psutil.Process(process.pid).children(recursive=True)
    child.kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "ended with signal 9; restarted (1 of 3)" in out
    actions = "\n".join(line for line in out.splitlines() if line.startswith('{"kind":"action"'))
    assert actions == undisturbed.action_text
    assert json.loads(out.splitlines()[-2])["restarts"] == 1


def test_a_reader_that_leaves_ends_the_session_quietly(recording):
    process = start("replay", recording, "--speed", "max", *EVENTFUL)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("pictures", [31, 40, 56])
def test_of_a_recording_shorter_than_a_window_no_time_lies_behind_its_end(tmp_path, pictures):
    path = write_numbered(tmp_path / "short.mp4", [round(index * 1000 / 30) for index in range(pictures)])
    done = manet_live("replay", path, "--speed", "max", *EVENTFUL)
    assert done.code == 0, done.err
    assert done.of("stats")[-1]["windows"] == 1
    actions, end_s = done.of("action"), round((pictures - 1) * 1000 / 30) / 1000
    assert {line["offset_s"] for line in actions if line["state"] == "ended"} == {end_s}
    assert {line["emitted_s"] for line in actions} == {end_s}
    assert all(0.0 <= line["onset_s"] < end_s for line in actions)
