"""Ctrl-Z for a while, then `fg`: a recording waits, and the capture process is not taken for one that hangs."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, manet_live
from tests.realtime.sessions import ENTER, EVENTFUL, LEAVE, Terminal

pytestmark = pytest.mark.clock

PAUSE_S = 4.0  # longer than the capture process may be silent


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stopped(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_a_recording_loses_nothing_while_the_session_is_stopped(recording, tmp_path, number):
    """SIGTSTP is the terminal's; SIGSTOP gives no warning."""
    settings = tmp_path / "settings.toml"
    settings.write_text(EVENTFUL[-1].read_text() + "\n[supervision]\nhang_s = 2.0\n")
    options = (*EVENTFUL[:-1], settings)
    process = subprocess.Popen(
        [sys.executable, ROOT / "run_live.py", "replay", recording, *map(str, options)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=os.setpgrp,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(map(json.loads, process.stdout)))
    reader.start()
    wait_for(lambda: any(line["kind"] == "action" for line in lines), 60)
    os.killpg(process.pid, number)
    wait_for(lambda: stopped(process))
    count = len(lines)
    time.sleep(PAUSE_S)
    assert len(lines) <= count + 50  # what was in the pipe
    os.killpg(process.pid, signal.SIGCONT)
    assert process.wait(60) == 0
    reader.join()
    stats = [line for line in lines if line["kind"] == "stats"][-1]
    assert (stats["frames"], stats["restarts"], stats["dropped"], stats["skipped"]) == (300, 0, {}, {})
    undisturbed = manet_live("replay", recording, *options, "--speed", "max")
    assert [line for line in lines if line["kind"] == "action"] == undisturbed.of("action")
    (detail,) = [line["detail"] for line in lines if line["kind"] == "session" and line["state"] == "paused"]
    assert re.fullmatch(r"this process stood still for [4-9]\.\d s", detail)


def test_the_terminal_is_given_back_meanwhile_and_drawn_again_afterwards():
    terminal = Terminal("demo", "--seconds", "30", "--no-emotion", orphan=False)
    try:
        terminal.read_until(re.escape(ENTER))
        terminal.read_until(rb"MICRO|EVENTS|NOW|WHAT")
        os.killpg(terminal.process.pid, signal.SIGTSTP)
        wait_for(lambda: stopped(terminal.process))
        seen = terminal.read_until(re.escape(LEAVE))
        os.killpg(terminal.process.pid, signal.SIGCONT)
        terminal.read_until(re.escape(ENTER), since=seen)
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.process.wait(5) == 0
    finally:
        terminal.close()
