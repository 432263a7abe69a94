"""The messages of the control socket. Every field is bounded before anything is allocated from it."""

from __future__ import annotations

import msgspec

from realtime.bounded_fields import Count, Id
from realtime.capture.order import CaptureOrder
from realtime.transport.wire import PROTOCOL

MAX_BYTES = 4096
PING_EVERY_S = 1.0
BURST, BURST_EVERY_S = 8, 0.02  # exchanges before the first frame
SILENT_S = 10.0  # then the other machine counts as gone


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class Hello(_Message, frozen=True, tag="hello"):
    """The camera's machine: here I am, what shall I send?"""

    protocol: int = PROTOCOL


class Order(_Message, frozen=True, tag="order"):
    """The analysis: this. What came before it is replaced."""

    protocol: int
    order: CaptureOrder


class Ping(_Message, frozen=True, tag="ping"):
    """The camera's machine: what time is it?"""

    generation: Id
    sent_ns: Count  # on its own clock


class Pong(_Message, frozen=True, tag="pong"):
    """The analysis: this time. A generation that is not the asker's means that another took over."""

    generation: Id
    sent_ns: Count  # as it was asked
    received_ns: Count
    replied_ns: Count


class Bye(_Message, frozen=True, tag="bye"):
    """The analysis: the session is over."""


Request = Hello | Ping
Reply = Order | Pong | Bye

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
