"""Standard output and error may be closed: nothing of ours takes their numbers or is printed in their place."""

import json
import shlex
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def run(redirections, *arguments):
    command = shlex.join(map(str, (sys.executable, ROOT / "run_live.py", *arguments)))
    return subprocess.run(["sh", "-c", f"{command} {redirections}"], capture_output=True, text=True, timeout=120)


@pytest.fixture
def demo(tmp_path):
    return (
        "demo",
        "--seconds",
        "3",
        "--speed",
        "max",
        "--record",
        tmp_path / "log",
        "--publish",
        f"ipc://{tmp_path}/events",
        "--no-emotion",
    )


def recorded(tmp_path):
    return [json.loads(line) for line in (tmp_path / "log" / "events.jsonl").read_text().splitlines()]


def test_without_standard_output_the_record_is_whole(tmp_path, demo):
    done = run(">&-", *demo)
    assert done.returncode == 0
    first, *_, last = done.stderr.splitlines()
    assert first == "manet-live: standard output is closed: no overlay is drawn, no event stream printed"
    assert last.startswith("manet-live: judged 17 of 17 windows")
    lines = recorded(tmp_path)
    assert (lines[0]["state"], lines[-1]["state"]) == ("started", "ended")


def test_without_standard_error_only_the_event_stream_is_printed(tmp_path, demo):
    done = run("2>&-", *demo, "--headless", "-v")
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == recorded(tmp_path)


def test_without_either_the_session_ends_as_ever(tmp_path, demo):
    assert run(">&- 2>&- <&-", *demo).returncode == 0
    assert recorded(tmp_path)[-1]["state"] == "ended"


def test_bad_input_is_told_by_the_exit_code_alone():
    assert run(">&- 2>&-", "replay", "missing.mp4").returncode == 2
