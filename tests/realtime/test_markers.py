"""Markers from the keyboard and from another program, and a session's form."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.common.errors import BadInput
from realtime.about import load_about
from realtime.control_socket import ControlSocket
from tests.realtime.sessions import LEAVE, Terminal


class Marked:
    """A session's clock and what was marked."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.begun = True

    def mark(self, label: str) -> float | None:
        self.labels += [label] if self.begun else []
        return 12.345 if self.begun else None


@pytest.fixture(params=["ipc", "tcp"])
def listening(request, tmp_path: Path) -> Iterator[tuple[ControlSocket, Marked, tuple]]:
    marked = Marked()
    path = f"/tmp/manet-test-{os.getpid()}"
    control = ControlSocket(f"ipc://{path}" if request.param == "ipc" else "tcp://127.0.0.1:0", marked.mark)
    control.start()
    yield control, marked, (path if request.param == "ipc" else ("127.0.0.1", control.port))
    control.close()
    assert not Path(path).exists()


def ask(address: str | tuple, text: bytes, answers: int) -> list[bytes]:
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as client:
        client.settimeout(30)
        client.connect(address)
        client.sendall(text)
        found = b""
        with contextlib.suppress(ConnectionResetError):  # it was closed with some of the text unread
            while found.count(b"\n") < answers and (data := client.recv(100)):
                found += data
        return found.splitlines()


def test_a_line_sets_a_marker_and_says_when(listening):
    _, marked, address = listening
    assert ask(address, "marker question 1\nmarker  Stille, 李 \n".encode(), 2) == [b"ok 12.345", b"ok 12.345"]
    assert marked.labels == ["question 1", "Stille, 李"]
    marked.begun = False
    assert ask(address, b"marker early\n", 1) == [b"error: no picture has come yet"]


@pytest.mark.parametrize(
    "text", [b"POST / HTTP/1.1\nmarker evil\n", b"marker \nmarker a\n", b"marker " + b"x" * 101 + b"\n"]
)
def test_anything_else_ends_the_connection(listening, text):
    _, marked, address = listening
    assert ask(address, text, 2) == [b"error: expected marker LABEL, of 1 to 100 letters"]
    assert ask(address, b"x" * 3000, 1) == []
    assert marked.labels == []


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:5000", "tcp://127.0.0.1", "ipc://", "here", "tcp://10.0.0.1:5000"])
def test_it_listens_on_this_machine_alone(endpoint):
    with pytest.raises(BadInput, match="a local endpoint for --control"):
        ControlSocket(endpoint, lambda _: None)


def test_a_port_that_is_taken_is_refused(listening):
    control, _, address = listening
    if isinstance(address, tuple):
        with pytest.raises(BadInput, match="a free endpoint for --control"):
            ControlSocket(f"tcp://127.0.0.1:{control.port}", lambda _: None)


def test_a_form_gives_the_fields_and_the_keys(tmp_path):
    form = tmp_path / "form.toml"
    form.write_text('participant = "P07"\nroom = "2"\n[markers]\n1 = "childhood"\n', encoding="utf-8")
    about = load_about(form, room="3", protocol=None)
    assert about.filled_in == {"participant": "P07", "room": "3"}
    assert about.markers == {"1": "childhood"}
    assert load_about(None).markers["3"] == "question 3"
    for text in ("participant = 7", 'name = "x"', '[markers]\nab = "x"', "=", '[markers]\na = ""'):
        form.write_text(text)
        with pytest.raises(BadInput, match="expected a form of participant"):
            load_about(form)


@pytest.mark.clock
def test_a_key_in_the_overlay_sets_a_marker(recording, tmp_path):
    record = tmp_path / "record"
    terminal = Terminal(
        "replay", recording, "--model", "untrained-small", "--engine", "onnxruntime", "--record", record, "--no-emotion"
    )
    try:
        terminal.read_until("▀".encode())
        os.write(terminal.master, b"2")
        at = terminal.read_until(rb"marker: question 2")
        os.write(terminal.master, b"\x1b[A")  # an arrow is no key of a marker
        os.write(terminal.master, b"s")
        terminal.read_until(rb"marker: silence", since=at)
        terminal.read_until(re.escape(LEAVE))
        assert terminal.process.wait(20) == 0
        assert b"Traceback" not in terminal.seen
    finally:
        terminal.close()
    lines = [json.loads(line) for line in (record / "events.jsonl").read_bytes().splitlines()]
    markers = [line for line in lines if line["kind"] == "marker"]
    assert [one["label"] for one in markers] == ["question 2", "silence"]
    assert 0.0 <= markers[0]["time_s"] <= markers[1]["time_s"] <= 10.0
