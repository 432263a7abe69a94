"""Where the event stream goes: standard output, a ZeroMQ PUB socket, the log of a recorded session."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec
import zmq

from engines.errors import BadInput

PUBLISH_LINGER_MS = 200


class StdoutOutput:
    """JSON lines on standard output; a reader that went away raises BrokenPipeError, which ends the session."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stdout.buffer

    def write(self, kind: str, line: bytes) -> None:  # noqa: ARG002 - the kind is in the line
        self._stream.write(line + b"\n")
        self._stream.flush()

    def close(self) -> None:
        """Standard output is not ours to close."""


class PublishOutput:
    """Two-part messages (kind, JSON line) on a PUB socket, so that a subscriber may filter by kind.

    A subscriber that cannot keep up loses lines, as PUB sockets do; the session log never does.
    """

    def __init__(self, endpoint: str) -> None:
        check_local(endpoint)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close(linger=0)
            self._context.term()
            raise BadInput("a free endpoint for --publish", f"{endpoint} ({error.strerror})",
                           "choose another port or path, or stop what holds it") from None
        self.endpoint = endpoint

    def write(self, kind: str, line: bytes) -> None:
        self._socket.send_multipart([kind.encode(), line])

    def close(self) -> None:
        self._socket.close(linger=PUBLISH_LINGER_MS)
        self._context.term()
        if self.endpoint.startswith("ipc://"):
            Path(self.endpoint.removeprefix("ipc://")).unlink(missing_ok=True)


def check_local(endpoint: str) -> None:
    """Refuse an endpoint that other hosts could reach: nothing leaves this machine in the clear.

    Raises:
        BadInput: not ipc:// and not tcp:// on a loopback address.
    """
    parts = urlsplit(endpoint)
    try:
        local = parts.scheme == "ipc" and bool(parts.netloc or parts.path)
        if parts.scheme == "tcp":
            host = parts.hostname or ""
            local = parts.port is not None and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        local = False
    if not local:
        raise BadInput("a local endpoint, ipc://PATH or tcp://127.0.0.1:PORT", endpoint,
                       "events are not sent to other hosts")


class RecordOutput:
    """The log of a session: `events.jsonl`, append-only, handed to the system line by line.

    Raises:
        BadInput: the folder cannot be made, or already holds a session.
    """

    def __init__(self, folder: Path, session: dict[str, object]) -> None:
        path = folder / "events.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb", buffering=0)
            (folder / "session.json").write_bytes(msgspec.json.format(msgspec.json.encode(session)) + b"\n")
        except FileExistsError:
            raise BadInput("a new folder for --record", f"{folder}, which holds a session", "name another") from None
        except OSError as error:
            raise BadInput("a folder that can be written for --record", f"{folder} ({error.strerror})",
                           "name another") from None

    def write(self, kind: str, line: bytes) -> None:  # noqa: ARG002 - the kind is in the line
        self._file.write(line + b"\n")

    def close(self) -> None:
        self._file.close()
