"""Odd recordings through the whole command, as its user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, manet_live

pytestmark = pytest.mark.slow

OPTIONS = ("--headless", "--no-emotion", "--model", "untrained-small", "--engine", "onnxruntime")


@pytest.fixture(scope="module")
def odd() -> Path:
    folder = ROOT.parent / "shared" / "data" / "odd_recordings"
    if not folder.is_dir():
        pytest.skip("no odd recordings beside the repository")
    return folder


def test_the_stream_and_the_record_carry_the_offset_to_the_files_clock(odd: Path, tmp_path: Path) -> None:
    record = tmp_path / "session"
    done = manet_live("replay", odd / "video_starts_2s_late.mp4", "--speed", "max", *OPTIONS, "--record", record)
    assert done.code == 0, done.err
    expected = {
        "kind": "recording",
        "camera": 0,
        "source": "video_starts_2s_late.mp4",
        "file_offset_s": 2.0,
        "width": 512,
        "height": 512,
        "fps": 15.0,
        "streams": 1,
        "stream": 0,
    }
    assert done.of("recording") == [expected]
    recorded = [json.loads(line) for line in (record / "events.jsonl").read_text().splitlines()]
    assert [line for line in recorded if line["kind"] == "recording"] == [expected]


def test_each_recording_has_its_own_offset(odd: Path) -> None:
    done = manet_live("replay", odd / "small_ref.mp4", odd / "thumb_first_stream.mkv", "--speed", "max", *OPTIONS)
    assert done.code == 0, done.err
    lines = sorted(done.of("recording"), key=lambda line: line["camera"])
    assert [(line["file_offset_s"], line["streams"], line["stream"]) for line in lines] == [(0.0, 1, 0), (0.0, 2, 1)]


def test_what_is_left_out_is_in_the_stats(odd: Path) -> None:
    done = manet_live("replay", odd / "jump_two_pts.mkv", "--speed", "realtime", *OPTIONS, timeout=60)
    assert done.code == 0, done.err
    stats = done.of("stats")[-1]
    assert (stats["frames"], stats["dropped"]) == (58, {"time": 2})
    assert stats["time_s"] < 4.0


def test_an_impossible_frame_rate_is_refused_in_one_line(odd: Path) -> None:
    refused = manet_live("replay", odd / "avi_scale_4e9.avi", "--speed", "max", *OPTIONS)
    assert refused.code == 2
    assert refused.err.strip().count("\n") == 0
    assert "--fps" in refused.err
    done = manet_live("replay", odd / "avi_scale_4e9.avi", "--fps", "15", "--speed", "max", *OPTIONS)
    assert done.code == 0, done.err
    assert done.of("stats")[-1]["frames"] == 22


def test_standard_input_is_read_as_the_file_is(odd: Path) -> None:
    path = odd / "small_ref.mp4"
    command = [sys.executable, str(ROOT / "run_live.py"), "replay", "-", "--speed", "max", *OPTIONS]
    cat = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE)  # a pipe, which cannot be sought in
    piped = subprocess.run(command, stdin=cat.stdout, capture_output=True, text=True, timeout=60, check=False)
    cat.wait()
    assert piped.returncode == 0, piped.stderr
    lines = [json.loads(line) for line in piped.stdout.splitlines()]
    assert lines[0]["source"] == "standard input"
    stats = [line for line in lines if line["kind"] == "stats"][-1]
    assert (stats["frames"], stats["dropped"], stats["capture"]) == (60, {}, "ended")


@pytest.mark.parametrize("stdin", ["empty", "closed"])
def test_nothing_on_standard_input_is_refused(stdin: str) -> None:
    shell = "<&-" if stdin == "closed" else "</dev/null"
    command = ["sh", "-c", f'"$0" "$@" {shell}', sys.executable, str(ROOT / "run_live.py"), "replay", "-", *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "a recording on standard input" in done.stderr.splitlines()[-1]


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    done = manet_live("replay", pipe, *OPTIONS, timeout=30)  # nobody writes into it: opening it would block
    assert done.code == 2
    assert done.err.strip().count("\n") == 0
    assert f"replay - < {pipe}" in done.err
