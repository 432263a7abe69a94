"""Key files, and who gets in through a door that is guarded."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest
import zmq

from engines.common.errors import BadInput
from realtime.output.event_stream import EventStream
from realtime.output.lines import SessionLine
from realtime.output.outputs import PublishOutput
from realtime.transport.authentication import ClientKeys, KeyPair, ServerKeys, Token, load_keys, make_keys
from tests.conftest import ROOT, manet_live, refused
from tests.realtime.sessions import EVENTFUL, free_port, start

pytestmark = pytest.mark.slow

LINE = SessionLine("started", "m", "nothing", "torch", "s", None)
ZMTP_CURVE = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
ZMTP_PLAIN = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"PLAIN".ljust(20, b"\0") + bytes(32)
GIGABYTE_CLAIM = b"\x06" + (1 << 30).to_bytes(8, "big")  # a long command frame


def client_of(folder, name) -> ClientKeys:
    fields = json.loads((folder / f"{name}.key").read_text())
    return ClientKeys(KeyPair(**fields["own"]), fields["server"])


def subscriber(context: zmq.Context, endpoint: str, keys: ClientKeys | None) -> zmq.Socket:
    """Reads all of an event stream."""
    made = context.socket(zmq.SUB)
    if keys:
        keys.apply(made)
    made.subscribe(b"")
    made.connect(endpoint)
    return made


def test_every_key_file_is_its_owners_alone(tmp_path):
    folder = tmp_path / "keys"
    old = os.umask(0)
    try:
        made = make_keys(folder, ["lab", "desk-2"])
    finally:
        os.umask(old)
    assert {path.relative_to(folder).as_posix() for path in made} == {
        "server.key",
        "lab.key",
        "desk-2.key",
        "clients/lab.pub",
        "clients/desk-2.pub",
    }
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert folder.stat().st_mode & 0o777 == (folder / "clients").stat().st_mode & 0o777 == 0o700
    keys = load_keys(folder)
    assert set(keys.allowed) == {client_of(folder, name).own.public for name in ("lab", "desk-2")}
    assert keys.own.secret not in repr(keys)
    server = (folder / "server.key").read_bytes()
    make_keys(folder, ["third"])  # the server's keys stay
    assert (folder / "server.key").read_bytes() == server
    assert len(load_keys(folder).allowed) == 3


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "server", "x" * 65, "a b"])
def test_a_client_name_that_is_none(tmp_path, name):
    with pytest.raises(BadInput, match="expected a client's name"):
        make_keys(tmp_path, [name])


def test_keys_that_cannot_be_used(tmp_path):
    with pytest.raises(BadInput, match="expected a folder with keys"):
        load_keys(tmp_path / "none")
    make_keys(tmp_path, [])
    with pytest.raises(BadInput, match="at least one client"):
        load_keys(tmp_path)
    make_keys(tmp_path, ["lab"])
    with pytest.raises(BadInput, match="keys are never overwritten"):
        make_keys(tmp_path, ["lab"])
    (tmp_path / "clients" / "lab.pub").write_text("not a key\n")
    with pytest.raises(BadInput, match="40 Z85 characters"):
        load_keys(tmp_path)
    (tmp_path / "server.key").chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        load_keys(tmp_path)
    (tmp_path / "server.key").chmod(0o600)
    (tmp_path / "server.key").write_text("{}")
    with pytest.raises(BadInput, match="as `keys` makes it"):
        load_keys(tmp_path)


def test_only_those_on_the_list_read_the_stream_and_the_others_are_counted(tmp_path, context):
    make_keys(tmp_path, ["lab"])
    endpoint, lab = f"tcp://127.0.0.1:{free_port()}", client_of(tmp_path, "lab")
    stranger = ClientKeys(KeyPair.new(), lab.server)
    misled = ClientKeys(lab.own, KeyPair.new().public)  # another server's key
    output = PublishOutput(endpoint, load_keys(tmp_path))
    stream = EventStream([output])
    intruders = [subscriber(context, endpoint, keys) for keys in (None, stranger, misled)]
    reader = subscriber(context, endpoint, lab)
    deadline = time.monotonic() + 30
    while not (reader.poll(20) and {"key", "protocol"} <= set(stream.refused)):
        stream.write(LINE)
        assert time.monotonic() < deadline, stream.refused
    for _ in range(100):
        stream.write(LINE)
    assert reader.recv_multipart()[0] == b"session"
    assert [intruder.poll(100) for intruder in intruders] == [0, 0, 0]
    stream.close(5.0)


def test_a_gigabyte_claim_and_junk_before_the_handshake_get_nothing(tmp_path, context):
    make_keys(tmp_path, ["lab"])
    port = free_port()
    output = PublishOutput(f"tcp://127.0.0.1:{port}", load_keys(tmp_path))
    before = peak = resident_mb()
    for said in (ZMTP_CURVE + GIGABYTE_CLAIM, os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n", ZMTP_CURVE) * 50:
        # closed with a reset where some of it was not read yet
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(said)
            if said.endswith(GIGABYTE_CLAIM):
                raw.settimeout(20)
                while raw.recv(4096):  # our greeting; then the end: the claim is answered by closing
                    pass
        peak = max(peak, resident_mb())
    assert peak - before < 100
    reader = subscriber(context, output.endpoint, client_of(tmp_path, "lab"))
    while not reader.poll(20):
        output.on_line(LINE)
    output.close()


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def resident_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6


def test_a_session_on_every_interface_serves_its_client_and_shows_whom_it_refuses(
    recording, tmp_path, context, request
):
    folder, port = tmp_path / "keys", free_port()
    made = manet_live("keys", folder, "--client", "lab")
    assert made.code == 0
    assert "lab" in made.out
    secret = json.loads((folder / "server.key").read_text())["secret"]
    assert secret not in made.out + made.err
    config = tmp_path / "settings.toml"
    config.write_text("[output]\nstats_every_s = 0.5\n[aggregator]\nenter = 0.02\nexit = 0.01\n")
    process = start(
        "replay",
        recording,
        "--headless",
        "--model",
        "landmarks-small",
        "--engine",
        "onnxruntime",
        "--config",
        config,
        "--publish",
        f"tcp://0.0.0.0:{port}",
        "--keys",
        folder,
    )
    request.addfinalizer(partial(end, process))
    reader = subscriber(context, f"tcp://127.0.0.1:{port}", client_of(folder, "lab"))
    intruder = subscriber(context, f"tcp://127.0.0.1:{port}", None)
    shown = subprocess.Popen(
        [sys.executable, ROOT / "docs" / "subscribe.py", f"tcp://127.0.0.1:{port}", folder / "lab.key"],
        stdout=subprocess.PIPE,
        text=True,
    )
    request.addfinalizer(partial(end, shown))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    causes = [line for line in lines if line["kind"] == "stats"][-1]["refused"]
    assert causes.keys() <= {"protocol", "handshake"}  # the latter where the one without keys has hung up first
    assert sum(causes.values()) >= 1
    assert any(line["kind"] == "session" and line["state"] == "refused" for line in lines)
    assert secret not in out + err
    got = []
    while reader.poll(500):
        got.append(reader.recv_multipart()[1].decode())
    assert got
    assert got == out.splitlines()[-len(got) :]
    assert not intruder.poll(0)
    assert " s  " in shown.stdout.readline()  # the documented client


def test_wrong_use_is_one_line(recording, tmp_path):
    outside = ("--publish", "tcp://0.0.0.0:5555")
    assert "--keys DIR" in refused("replay", recording, "--headless", *outside)
    assert "a folder with keys" in refused("replay", recording, "--headless", *outside, "--keys", tmp_path / "none")
    assert "name an endpoint to publish on" in refused("replay", recording, *EVENTFUL, "--keys", tmp_path)
    assert "client's name" in refused("keys", tmp_path, "--client", "../up")


def test_server_keys_do_not_show_their_secret():
    pair = KeyPair.new()
    assert pair.secret not in repr(ServerKeys(pair, ())) + repr(ClientKeys(pair, "x")) + str(pair)
    token = Token.new()
    assert token.secret not in repr(token) + str(token)
