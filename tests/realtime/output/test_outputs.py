"""The event stream reaches each output, and endpoints that others could reach are refused."""

import json
import os
import socket

import msgspec
import numpy as np
import pytest
import zmq

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from events.types import ActionEvent, Candidate, Delay, EventState
from realtime.output.event_stream import EventStream
from realtime.output.lines import Posteriors, SessionLine, action_line, encode
from realtime.output.outputs import PublishOutput, RecordOutput, StdoutOutput, check_endpoint
from realtime.output.posterior_file import POSTERIORS_FILE, read_posteriors
from tests.realtime.conftest import LINE, record
from tests.realtime.sessions import free_port

MS = 1_000_000


def test_the_line_of_a_part_has_its_candidates_and_no_action():
    event = ActionEvent(
        3,
        0,
        EventState.ENDED,
        None,
        "head-hand",
        5 * 1000 * MS,
        35 * 1000 * MS,
        0.9,
        36 * 1000 * MS,
        Delay(600 * MS, 30400 * MS),
        (Candidate(ACTIONS[46], 0.4), Candidate(ACTIONS[41], 0.3)),
        posture=True,
    )
    line = msgspec.to_builtins(action_line(event, session_start_ns=0))
    assert (line["action"], line["index"], line["body_part"]) == (None, None, "head-hand")
    assert list(line["candidates"].items()) == [("covering mouth", 0.4), ("scratching or touching face", 0.3)]
    assert line["posture"] is True


def test_an_action_line_is_what_the_design_shows(tmp_path):
    event = ActionEvent(
        12,
        0,
        EventState.CONFIRMED,
        ACTIONS[9],
        "head",
        5250 * MS,
        None,
        0.81234,
        6100 * MS,
        Delay(600 * MS, 138 * MS, 2 * MS, 110 * MS),
    )
    descriptor = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    stream = EventStream([StdoutOutput(descriptor)])
    stream.write(action_line(event, session_start_ns=2000 * MS))
    stream.close(5.0)
    os.close(descriptor)
    written = (tmp_path / "out").read_bytes()
    assert json.loads(written) == {
        "kind": "action",
        "id": 12,
        "camera": 0,
        "state": "confirmed",
        "action": "nodding",
        "index": 9,
        "body_part": "head",
        "onset_s": 3.25,
        "offset_s": None,
        "confidence": 0.8123,
        "emitted_s": 4.1,
        "delay_ms": {"window": 600.0, "queue": 2.0, "compute": 110.0, "confirmation": 138.0},
    }
    assert written.endswith(b"}\n")


@pytest.mark.parametrize("kind", ["ipc", "tcp"])
def test_a_subscriber_in_another_context_reads_the_same_lines(tmp_path, context, kind):
    endpoint = f"ipc://{tmp_path}/events" if kind == "ipc" else f"tcp://127.0.0.1:{free_port()}"
    output = PublishOutput(endpoint)
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe(b"session")
    subscriber.connect(endpoint)
    stream = EventStream([output])
    while not subscriber.poll(20):  # until the subscription has arrived
        stream.write(SessionLine("started", "m", "nothing", "torch", "s", None))
    topic, line = subscriber.recv_multipart()
    assert topic == b"session"
    assert json.loads(line)["state"] == "started"
    stream.close(5.0)
    assert not (tmp_path / "events").exists()


def test_a_busy_endpoint_is_one_clear_line():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(BadInput, match="expected a free endpoint for --publish, got tcp://127"):
            PublishOutput(f"tcp://127.0.0.1:{holder.getsockname()[1]}")


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:5555",
        "tcp://*:5555",
        "tcp://192.168.1.2:5555",
        "tcp://127.0.0.1",
        "udp://127.0.0.1:1",
        "nonsense",
        "tcp://example.org:5555",
        "ipc://",
        "tcp://127.0.0.1:99999",
        "",
    ],
)
def test_only_local_endpoints_are_let_through(endpoint):
    with pytest.raises(BadInput, match=r"expected an? (local )?endpoint"):
        check_endpoint(endpoint, keyed=False)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5555", "tcp://[::1]:5555", "tcp://localhost:1", "ipc:///tmp/x"])
def test_local_endpoints_are(endpoint):
    check_endpoint(endpoint, keyed=False)


def test_a_record_is_appended_line_by_line_and_never_overwritten(tmp_path):
    folder = tmp_path / "sessions" / "one"
    output = record(folder, {"consent": "signed"})
    output.on_line(LINE)
    assert (folder / "events.jsonl").read_bytes() == encode(LINE) + b"\n"  # before it is closed
    assert json.loads((folder / "session.json").read_bytes())["consent"] == "signed"
    output.close()
    with pytest.raises(BadInput, match="which holds a session"):
        RecordOutput(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="a folder that can be written"):
        RecordOutput(tmp_path / "file" / "below")


def test_posteriors_are_recorded_where_they_are_asked_for(tmp_path):
    values = np.linspace(0.0, 1.0, 59, dtype=np.float32)
    for wanted in (False, True):
        output = RecordOutput(tmp_path / str(wanted), posteriors=wanted)
        output.start({})
        output.begin()
        for camera, time_s in ((0, 0.25), (1, 0.25), (0, 0.3125)):
            output.on_posteriors(Posteriors(camera, time_s, 7, values))
        output.close()
    assert not (tmp_path / "False" / POSTERIORS_FILE).exists()
    times_s, found = read_posteriors(tmp_path / "True" / POSTERIORS_FILE, 0)
    assert times_s.tolist() == [0.25, 0.3125]
    np.testing.assert_allclose(found, [values, values], atol=5e-4)
