"""Wire round trip, and every way a message can be wrong."""

import contextlib
import threading
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from engines.expressions import NUMBERS
from engines.landmarks.steps import CHANNELS, POINTS
from realtime.bounded_fields import MAX_SIDE
from realtime.clock_offset import ClockReading
from realtime.messages import CaptureState, CaptureStatus, Frame, Framing, Recording
from realtime.transport import wire
from realtime.transport.authentication import link_keys

SERVER, CLIENT = link_keys("ipc://")


def make_frame(side: int = 8, frame_id: int = 3, face: bool = False, preview: bool = False) -> Frame:
    noise = np.random.default_rng(frame_id).integers(0, 256, (side, side, 3), np.uint8)
    return Frame(
        0,
        frame_id,
        10,
        -5,
        noise,
        noise[:4, :4].copy() if face else None,
        noise[:3].copy() if preview else None,
        Framing(0.5, 2.0, True, ("hands", "feet"), 2, 7_000),
        11,
        12,
    )


def as_bytes(parts) -> list[bytes]:
    return [bytes(part) for part in parts]


def assert_same(left: Frame, right: Frame) -> None:
    for name in (
        "camera_id",
        "frame_id",
        "captured_ns",
        "read_ns",
        "viewed_ns",
        "faced_ns",
        "media_ns",
        "framing",
        "generation",
    ):
        assert getattr(left, name) == getattr(right, name)
    for name in ("body", "face", "preview", "landmarks", "expression"):
        one, other = getattr(left, name), getattr(right, name)
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


def make_landmarks(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(POINTS, CHANNELS)).astype(np.float32)


@given(st.integers(1, 32), st.booleans(), st.booleans(), st.integers(0, 2**31), st.booleans())
def test_a_frame_survives_the_round_trip(side, face, preview, generation, landmarks):
    numbers = make_landmarks(side) if landmarks else None
    frame = replace(make_frame(side, 7, face, preview), generation=generation, landmarks=numbers)
    message = wire.decode(as_bytes(wire.encode(frame)))
    assert isinstance(message, Frame)
    assert_same(message, frame)
    assert not message.body.flags.writeable


def test_expression_numbers_travel_in_the_header_and_only_as_many_finite_ones_as_there_are():
    numbers = np.linspace(-9.0, 7.5, NUMBERS, dtype=np.float32)
    frame = replace(make_frame(), expression=numbers)
    (first, *pictures) = as_bytes(wire.encode(frame))
    assert_same(wire.decode([first, *pictures]), frame)
    header = msgspec.msgpack.decode(first[1:])
    for wrong, fault in (
        (numbers[1:].tolist(), f"length >= {NUMBERS}"),
        ([*numbers.tolist(), 0.0], f"length <= {NUMBERS}"),
        ([float("nan")] * NUMBERS, "expression: expected finite values"),
        ([1e300] * NUMBERS, "expression: expected finite values"),
    ):
        with pytest.raises(wire.WireError, match=fault):
            wire.decode([first[:1] + msgspec.msgpack.encode(header | {"expression": wrong}), *pictures])


def test_landmarks_travel_without_an_image():
    frame = replace(make_frame(), body=None, landmarks=make_landmarks())
    parts = as_bytes(wire.encode(frame))
    assert len(parts) == 2
    message = wire.decode(parts)
    assert_same(message, frame)
    assert not message.landmarks.flags.writeable
    with pytest.raises(wire.WireError, match=f"landmarks have {4 * POINTS * CHANNELS} bytes, got 4"):
        wire.decode([parts[0], b"abcd"])
    with pytest.raises(wire.WireError, match="expected 1 parts behind the header, got 2"):
        wire.decode([*parts, parts[1]])
    bad = np.full((POINTS, CHANNELS), np.nan, np.float32).tobytes()
    with pytest.raises(wire.WireError, match="landmarks: expected finite values"):
        wire.decode([parts[0], bad])


def test_a_frame_shows_something():
    with pytest.raises(ValueError, match="a body image or landmarks"):
        replace(make_frame(), body=None)


def test_a_status_survives_the_round_trip():
    status = CaptureStatus(
        0,
        2,
        CaptureState.RECONNECTING,
        "connection lost",
        False,
        100,
        90,
        {"wire": 10},
        ClockReading(-5, 7),
        Recording(-40, 512, 480, 15.0, 2, 1),
    )
    assert wire.decode(as_bytes(wire.encode(status))) == status


def tampered(**changes) -> list[bytes]:
    header, *payload = as_bytes(wire.encode(make_frame()))
    fields = msgspec.msgpack.decode(header[1:])
    return [header[:1] + msgspec.msgpack.encode({**fields, **changes}), *payload]


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ([], "expected 1 to 5 parts, got 0"),
        ([b""] * 6, "expected 1 to 5 parts, got 6"),
        ([b""], "header"),
        ([b"\x0a" * 9000], "expected 1 to 8192 bytes, got 9000"),
        ([b"\x0anot msgpack at all"], "header"),
        (as_bytes(wire.encode(make_frame()))[:1], "expected 1 parts behind the header, got 0"),
        ([as_bytes(wire.encode(make_frame()))[0], b"short"], "body announces 8x8x3 = 192 bytes, got 5"),
        ([b"c" + as_bytes(wire.encode(make_frame()))[0][1:]], "expected protocol 10, got 99"),
        (tampered(body=[100000, 100000]), "body"),
        (tampered(body=[2**30, 1]), "body"),
        (tampered(body=[8, 4]), "body announces"),
        (tampered(frame_id=-1), "frame_id"),
        (tampered(magnified=0.0), "magnified"),
        (tampered(surprise=1), "surprise"),
        (tampered(kind="mystery"), "mystery"),
        ([*as_bytes(wire.encode(CaptureStatus(0, 0, CaptureState.ENDED))), b"x"], "expected no payload"),
    ],
)
def test_a_wrong_message_names_its_fault(parts, fault):
    with pytest.raises(wire.WireError, match=fault.replace("(", r"\(")):
        wire.decode(parts)


@given(st.data())
def test_a_truncated_or_corrupted_message_is_an_error_or_a_whole_message(data):
    parts = as_bytes(wire.encode(make_frame(face=True, preview=True)))
    at = data.draw(st.integers(0, len(parts) - 1))
    cut = data.draw(st.integers(0, len(parts[at]) - 1))
    if data.draw(st.booleans()):
        parts[at] = parts[at][:cut]  # truncated: always caught, each length is announced
        with pytest.raises(wire.WireError):
            wire.decode(parts)
        return
    corrupt = bytearray(parts[at])
    corrupt[cut] ^= data.draw(st.integers(1, 255))
    parts[at] = bytes(corrupt)
    with contextlib.suppress(wire.WireError):  # a flipped pixel cannot be told
        wire.decode(parts)


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_noise_is_refused(parts):
    with pytest.raises(wire.WireError):
        wire.decode(parts)


def test_frames_cross_a_real_socket_in_order_and_a_full_queue_refuses(tmp_path):
    endpoint = f"ipc://{tmp_path}/frames"
    sender = wire.Sender(endpoint, 4, CLIENT)
    refused = 0
    for index in range(20):  # nobody listens yet: the queue fills
        refused += not sender.send(wire.encode(make_frame(frame_id=index)), 0.0)
    assert refused == 16
    receiver = wire.Receiver(endpoint, 4, SERVER)
    got = []
    for _ in range(4):
        message = receiver.receive(5.0)
        assert isinstance(message, Frame)
        got.append(message.frame_id)
        assert_same(message, make_frame(frame_id=message.frame_id))
    assert got == [0, 1, 2, 3]
    assert receiver.receive(0.01) is None
    sender.close()
    receiver.close()


def test_an_oversized_message_cannot_get_in(tmp_path, context):
    endpoint = f"ipc://{tmp_path}/frames"
    receiver = wire.Receiver(endpoint, 4, SERVER)
    flood = context.socket(zmq.PUSH)
    CLIENT.apply(flood)
    flood.connect(endpoint)
    flood.send(bytes(MAX_SIDE * MAX_SIDE * 3 + 100))
    assert receiver.receive(0.3) is None  # the connection that claimed it is closed by the transport
    sender = wire.Sender(endpoint, 4, CLIENT)
    assert sender.send(wire.encode(make_frame()), 1.0)
    assert isinstance(receiver.receive(5.0), Frame)
    sender.close()
    receiver.close()


def test_a_waiting_sender_is_let_through_when_there_is_room(tmp_path):
    endpoint = f"ipc://{tmp_path}/frames"
    receiver = wire.Receiver(endpoint, 1, SERVER)
    count = 300
    body = make_frame(128)

    read = threading.Event()

    def push() -> None:
        sender = wire.Sender(endpoint, 1, CLIENT)
        for index in range(count):
            frame = Frame(0, index, 0, index, body.body)
            while not sender.send(wire.encode(frame), 1.0):
                pass
        read.wait(60)
        sender.close()

    thread = threading.Thread(target=push)
    thread.start()
    ids = []
    while len(ids) < count:
        message = receiver.receive(5.0)
        assert isinstance(message, Frame)
        ids.append(message.frame_id)
    read.set()
    thread.join(5)
    assert ids == list(range(count))
    receiver.close()
