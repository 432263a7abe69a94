"""The overlay in a real pseudo-terminal: it draws, it resizes, it leaves the terminal as it was."""

import os
import re
import shutil
import signal

import pytest

from tests.realtime.sessions import ENTER, LEAVE, SHOW_CURSOR, Terminal

pytestmark = pytest.mark.clock


def test_the_overlay_draws_resizes_and_restores_the_terminal(recording):
    terminal = Terminal("replay", recording, "--model", "untrained-small", "--engine", "onnxruntime")
    try:
        at = terminal.read_until(rb"UNTRAINED WEIGHTS")
        assert ENTER in terminal.seen
        terminal.read_until("▀".encode(), since=0)  # the person's picture
        terminal.resize(120, 40)
        at = terminal.read_until(rb"UNTRAINED WEIGHTS[^\n]{80,}", since=at)  # drawn again at the new width
        os.kill(terminal.process.pid, signal.SIGINT)
        assert terminal.process.wait(5) == 0
        terminal.read_until(re.escape(LEAVE) + b"[^$]*UNTRAINED")  # the last state stays readable
        assert terminal.seen.count(ENTER) == terminal.seen.count(LEAVE) == 1
        assert SHOW_CURSOR in terminal.seen[terminal.seen.index(LEAVE) - 200 :]
        assert b"Traceback" not in terminal.seen
    finally:
        terminal.close()


def test_two_recordings_have_a_panel_each(recording, tmp_path):
    other = shutil.copy(recording, tmp_path / "other.mp4")
    terminal = Terminal(
        "replay", recording, other, "--model", "untrained-small", "--engine", "onnxruntime", "--speed", "max"
    )
    try:
        terminal.read_until(re.escape(LEAVE) + rb"[^$]*2 cameras[^$]*0 scenes\.mp4[^$]*1 other\.mp4")
        assert terminal.process.wait(10) == 0
        assert b"Traceback" not in terminal.seen
    finally:
        terminal.close()


def test_a_recording_ends_by_itself(recording):
    terminal = Terminal(
        "replay", recording, "--model", "untrained-small", "--engine", "onnxruntime", "--speed", "max", "--no-picture"
    )
    try:
        terminal.read_until(re.escape(LEAVE))
        assert terminal.process.wait(10) == 0
        assert "▀".encode() not in terminal.seen
    finally:
        terminal.close()


def test_bad_input_in_a_terminal_is_one_line(tmp_path):
    terminal = Terminal("replay", tmp_path / "none.mp4")
    try:
        assert terminal.process.wait(20) == 2
        terminal.read_until(rb"none\.mp4")
        assert ENTER not in terminal.seen
        assert terminal.seen.count(b"\n") == 1
    finally:
        terminal.close()


def test_a_terminal_that_cannot_draw_gets_the_event_stream():
    terminal = Terminal("demo", "--seconds", "2", "--speed", "max", "--no-emotion", term="dumb")
    try:
        terminal.read_until(rb'"state":"ended"')
        assert terminal.process.wait(10) == 0
        assert b"a terminal of TERM=dumb cannot show the overlay: printing the event stream" in terminal.seen
        assert b"\x1b" not in terminal.seen
    finally:
        terminal.close()
