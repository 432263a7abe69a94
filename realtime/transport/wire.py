"""The one module that knows the wire: frames and reports ↔ framed bytes on a ZeroMQ PUSH/PULL pair.

A message is one byte of protocol version and a msgpack header, followed by the raw bytes of each image that the header
announces, and of the landmarks; the few expression numbers are in the header. Everything in it is bounded before
anything is allocated from it; whatever does not fit is a `WireError` that names the fault, never end-of-stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
import zmq
from msgspec import Meta

from engines.expressions import NUMBERS
from engines.landmarks.steps import CHANNELS, POINTS
from realtime.bounded_fields import MAX_SIDE, Count, Side, Time
from realtime.messages import CaptureStatus, Float32Array, Frame, Framing, Sighting, WireMessage
from realtime.transport.authentication import Authenticator, ClientKeys, ServerKeys, Token

PROTOCOL = 10
MAX_HEADER_BYTES = 8192
ENCRYPTION_BYTES = 64  # what CURVE adds to a part: 33, and some
IMAGES = ("body", "face", "preview")  # of a frame, in the order of their parts; landmarks follow
MOST_PARTS = 2 + len(IMAGES)
LANDMARK_BYTES = 4 * POINTS * CHANNELS  # float32

Message = Frame | CaptureStatus | Sighting
Parts = Sequence[bytes | memoryview]
Shape = tuple[Side, Side]  # (height, width); every image is uint8 RGB


class WireError(Exception):
    """A message that is not one of ours; says what was wrong with it."""


class _FrameHeader(WireMessage, frozen=True, tag="frame"):
    """A frame with the shapes of its images in their places."""

    frame_id: Count
    captured_ns: Count
    read_ns: Count
    viewed_ns: Count
    faced_ns: Count
    media_ns: Time
    framing: Framing
    body: Shape | None
    face: Shape | None
    preview: Shape | None
    landmarks: bool
    expression: Annotated[tuple[float, ...], Meta(min_length=NUMBERS, max_length=NUMBERS)] | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_FrameHeader | CaptureStatus | Sighting)


def encode(message: Message) -> Parts:
    """A header, and for a frame one part per image and one for landmarks; none is copied."""
    payload: list[memoryview] = []
    header: _FrameHeader | CaptureStatus | Sighting
    if isinstance(message, Frame):
        fields = {name: getattr(message, name) for name in _FrameHeader.__struct_fields__}
        for name in IMAGES:
            if fields[name] is not None:
                payload.append(np.ascontiguousarray(fields[name]).data)
                fields[name] = fields[name].shape[:2]
        fields["landmarks"] = message.landmarks is not None
        if message.landmarks is not None:
            payload.append(np.ascontiguousarray(message.landmarks).data.cast("B"))
        fields["expression"] = None if message.expression is None else tuple(message.expression.tolist())
        header = _FrameHeader(**fields)
    else:
        header = message
    return [bytes([PROTOCOL]) + _encoder.encode(header), *payload]


def decode(parts: Parts) -> Message:
    """Bytes to the domain.

    Raises:
        WireError: the message is truncated, corrupt, oversized or of another protocol.
    """
    if not 1 <= len(parts) <= MOST_PARTS:
        raise WireError(f"expected 1 to {MOST_PARTS} parts, got {len(parts)}")
    if not 1 <= len(parts[0]) <= MAX_HEADER_BYTES:
        raise WireError(f"header: expected 1 to {MAX_HEADER_BYTES} bytes, got {len(parts[0])}")
    if parts[0][0] != PROTOCOL:
        raise WireError(f"expected protocol {PROTOCOL}, got {parts[0][0]}")
    try:
        header = _decoder.decode(parts[0][1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"header: {error}") from None
    if isinstance(header, _FrameHeader):
        return _frame(header, parts[1:])
    report: CaptureStatus | Sighting = header
    if len(parts) > 1:
        raise WireError(f"{report.__struct_config__.tag}: expected no payload, got {len(parts) - 1} parts")
    return report


def _frame(header: _FrameHeader, payload: Parts) -> Frame:
    fields = msgspec.structs.asdict(header)
    announced = {name: fields[name] for name in IMAGES if fields[name] is not None}
    if len(payload) != len(announced) + header.landmarks:
        wanted = len(announced) + header.landmarks
        raise WireError(f"frame {header.frame_id}: expected {wanted} parts behind the header, got {len(payload)}")
    for (name, (height, width)), data in zip(announced.items(), payload, strict=not header.landmarks):
        if len(data) != height * width * 3:
            raise WireError(
                f"frame {header.frame_id}: {name} announces {height}x{width}x3 = {height * width * 3} bytes, "
                f"got {len(data)}"
            )
        fields[name] = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        fields[name].flags.writeable = False
    fields["landmarks"] = _landmarks(header, payload[-1]) if header.landmarks else None
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as not finite
        fields["expression"] = None if header.expression is None else np.array(header.expression, np.float32)
    try:
        return Frame(**fields)
    except ValueError as error:
        raise WireError(f"frame {header.frame_id}: {error}") from None


def _landmarks(header: _FrameHeader, data: bytes | memoryview) -> Float32Array:
    if len(data) != LANDMARK_BYTES:
        raise WireError(f"frame {header.frame_id}: landmarks have {LANDMARK_BYTES} bytes, got {len(data)}")
    landmarks = np.frombuffer(data, np.float32).reshape(POINTS, CHANNELS)
    landmarks.flags.writeable = False
    return landmarks


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
        self._socket.maxmsgsize = (
            max(largest_side * largest_side * 3, LANDMARK_BYTES, MAX_HEADER_BYTES) + ENCRYPTION_BYTES
        )
        self._authenticator = Authenticator(self._context, self._socket, keys)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError:
            self.close()
            raise
        self.endpoint = bytes(self._socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()

    def receive(self, timeout_s: float) -> Message | None:
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
        return dict(self._authenticator.refused)

    def close(self) -> None:
        self._authenticator.close()
        self._socket.close(linger=0)
        self._context.term()
