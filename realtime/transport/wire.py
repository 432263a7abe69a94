"""The one room that knows the wire: frames and capture states ↔ framed bytes on a ZeroMQ PUSH/PULL pair.

A message is a msgpack header followed by the raw bytes of each image it announces. Everything in a header is bounded
before anything is allocated from it; whatever does not fit is a `WireError` that names the fault, never end-of-stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Annotated

import msgspec
import numpy as np
import zmq
from msgspec import Meta

from realtime.clock_offset import ClockReading
from realtime.messages import (
    BODY_PARTS_SEEN,
    MAX_SIDE,
    MOST_PEOPLE,
    BodyPart,
    CaptureState,
    CaptureStatus,
    Frame,
    Framing,
    Recording,
    Sighting,
    UInt8Array,
)
from realtime.transport.authentication import ClientKeys, Door, ServerKeys, Token

PROTOCOL = 6
MAX_HEADER_BYTES = 8192
MOST_CODES = 16  # of a sighting
ENCRYPTION_BYTES = 64  # what CURVE adds to a part: 33, and some

Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Id = Annotated[int, Meta(ge=0, le=2**31)]
Time = Annotated[int, Meta(ge=-(2**62), le=2**62)]


class WireError(Exception):
    """A message that is not one of ours: says what was wrong with it."""


class _FrameHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="frame", tag_field="kind"):
    protocol: int
    generation: Id
    camera_id: Id
    frame_id: Count
    captured_ns: Count
    read_ns: Count
    viewed_ns: Count
    media_ns: Time
    body: tuple[Side, Side]  # (height, width); every image is uint8 RGB
    face: tuple[Side, Side] | None
    preview: tuple[Side, Side] | None
    seen: Annotated[float, Meta(ge=0.0, le=1.0)]
    magnified: Annotated[float, Meta(gt=0.0, le=1e4)]
    person_found: bool | None
    unseen: Annotated[tuple[BodyPart, ...], Meta(max_length=len(BODY_PARTS_SEEN))]
    people: Annotated[int, Meta(ge=0, le=MOST_PEOPLE)] | None
    followed_ns: Count | None


class _StatusHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="status", tag_field="kind"):
    protocol: int
    generation: Id
    camera_id: Id
    state: CaptureState
    detail: Annotated[str, Meta(max_length=1000)]
    bad_input: bool
    grabbed: Count
    sent: Count
    dropped: Annotated[dict[Annotated[str, Meta(max_length=40)], Count], Meta(max_length=20)]
    clock: tuple[Time, Count] | None  # offset and error, ns, where it runs on another machine
    recording: tuple[Time, Count, Count, float | None, Count, Count] | None  # as in messages.Recording


class _SightingHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sighting", tag_field="kind"):
    protocol: int
    generation: Id
    camera_id: Id
    captured_ns: Count
    codes: Annotated[tuple[Id, ...], Meta(max_length=MOST_CODES)]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_FrameHeader | _StatusHeader | _SightingHeader)


@dataclass(frozen=True, slots=True, eq=False)
class FrameMessage:
    """A frame and the generation of the capture process that sent it."""

    generation: int
    frame: Frame


def encode_frame(frame: Frame, generation: int) -> list[bytes | memoryview]:
    """Header and one part per image; the images are not copied."""
    images = (frame.body, frame.face, frame.preview)
    body, face, preview = (None if image is None else image.shape[:2] for image in images)
    header = _FrameHeader(
        PROTOCOL,
        generation,
        frame.camera_id,
        frame.frame_id,
        frame.captured_ns,
        frame.read_ns,
        frame.viewed_ns,
        frame.media_ns,
        body,  # type: ignore[arg-type]
        face,
        preview,
        frame.framing.seen,
        frame.framing.magnified,
        frame.framing.person_found,
        frame.framing.unseen,
        frame.framing.people,
        frame.framing.followed_ns,
    )
    parts = [np.ascontiguousarray(image).data for image in images if image is not None]
    return [_encoder.encode(header), *parts]


def encode_status(status: CaptureStatus) -> list[bytes | memoryview]:
    """A status is a header alone."""
    header = _StatusHeader(
        PROTOCOL,
        status.generation,
        status.camera_id,
        status.state,
        status.detail[:1000],
        status.bad_input,
        status.grabbed,
        status.sent,
        status.dropped,
        None if status.clock is None else (status.clock.offset_ns, status.clock.error_ns),
        None if status.recording is None else astuple(status.recording),
    )
    return [_encoder.encode(header)]


def encode_sighting(sighting: Sighting) -> list[bytes | memoryview]:
    """A sighting is a header alone."""
    header = _SightingHeader(
        PROTOCOL, sighting.generation, sighting.camera_id, sighting.captured_ns, sighting.codes[:MOST_CODES]
    )
    return [_encoder.encode(header)]


def decode(parts: Sequence[bytes | memoryview]) -> FrameMessage | CaptureStatus | Sighting:
    """Bytes to the domain.

    Raises:
        WireError: the message is truncated, corrupt, oversized or of another protocol.
    """
    if not parts or len(parts) > 4:
        raise WireError(f"expected 1 to 4 parts, got {len(parts)}")
    if len(parts[0]) > MAX_HEADER_BYTES:
        raise WireError(f"header: expected at most {MAX_HEADER_BYTES} bytes, got {len(parts[0])}")
    try:
        header = _decoder.decode(parts[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"header: {error}") from None
    if header.protocol != PROTOCOL:
        raise WireError(f"expected protocol {PROTOCOL}, got {header.protocol}")
    if not isinstance(header, _FrameHeader) and len(parts) > 1:
        raise WireError(f"{header.__struct_config__.tag}: expected no payload, got {len(parts) - 1} parts")
    if isinstance(header, _SightingHeader):
        return Sighting(header.camera_id, header.generation, header.captured_ns, header.codes)
    if isinstance(header, _StatusHeader):
        return CaptureStatus(
            header.camera_id,
            header.generation,
            header.state,
            header.detail,
            header.bad_input,
            header.grabbed,
            header.sent,
            header.dropped,
            None if header.clock is None else ClockReading(*header.clock),
            None if header.recording is None else Recording(*header.recording),
        )
    return FrameMessage(header.generation, _frame(header, parts[1:]))


def _frame(header: _FrameHeader, payload: Sequence[bytes | memoryview]) -> Frame:
    shapes = {"body": header.body, "face": header.face, "preview": header.preview}
    announced = {name: shape for name, shape in shapes.items() if shape is not None}
    if len(payload) != len(announced):
        raise WireError(f"frame {header.frame_id}: expected {len(announced)} images, got {len(payload)} parts")
    images: dict[str, UInt8Array] = {}
    for (name, (height, width)), data in zip(announced.items(), payload, strict=True):
        if len(data) != height * width * 3:
            raise WireError(
                f"frame {header.frame_id}: {name} announces {height}x{width}x3 = {height * width * 3} "
                f"bytes, got {len(data)}"
            )
        images[name] = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        images[name].flags.writeable = False
    try:
        framing = Framing(
            header.seen, header.magnified, header.person_found, header.unseen, header.people, header.followed_ns
        )
        return Frame(
            header.camera_id,
            header.frame_id,
            header.captured_ns,
            header.media_ns,
            framing=framing,
            read_ns=header.read_ns,
            viewed_ns=header.viewed_ns,
            **images,
        )
    except ValueError as error:
        raise WireError(f"frame {header.frame_id}: {error}") from None


class Sender:
    """The capture process's end (PUSH). Bounded: at the high-water mark it refuses or waits, as asked."""

    def __init__(self, endpoint: str, queue_frames: int, keys: ClientKeys | Token) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.sndhwm = queue_frames
        self._socket.linger = 0
        keys.apply(self._socket)
        self._socket.connect(endpoint)

    def send(self, parts: Sequence[bytes | memoryview], timeout_s: float) -> bool:
        """Push one message, waiting up to `timeout_s`; False when the queue stayed full.

        Large parts are not copied: they must not change any more.
        """
        if not self._socket.poll(int(timeout_s * 1000), zmq.POLLOUT):
            return False
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Close at once. What the receiver has not read by now may be lost, even if it has left this process."""
        self._socket.close()
        self._context.term()


class Receiver:
    """The analysis process's end (PULL). It binds, so that capture processes may come and go.

    Only who holds the client's keys gets in; a part that claims to be larger than the largest image of a frame is
    refused before memory is given to it.

    Raises:
        zmq.ZMQError: the endpoint cannot be bound.
    """

    def __init__(
        self, endpoint: str, queue_frames: int, keys: ServerKeys | Token, largest_side: int = MAX_SIDE
    ) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.rcvhwm = queue_frames
        self._socket.maxmsgsize = max(largest_side * largest_side * 3, MAX_HEADER_BYTES) + ENCRYPTION_BYTES
        self._door = Door(self._context, self._socket, keys)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError:
            self.close()
            raise
        self.endpoint = bytes(self._socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()

    def receive(self, timeout_s: float) -> FrameMessage | CaptureStatus | Sighting | None:
        """The next message; None when none came within `timeout_s`.

        Raises:
            WireError: a message came that is not one of ours.
        """
        if not self._socket.poll(int(timeout_s * 1000), zmq.POLLIN):
            return None
        parts = self._socket.recv_multipart(copy=False)
        return decode([part.buffer for part in parts])  # which keep their message alive

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in, by cause."""
        return dict(self._door.refused)

    def close(self) -> None:
        self._door.close()
        self._socket.close(linger=0)
        self._context.term()
