"""Where the event stream goes: standard output, a ZeroMQ PUB socket, the log of a recorded session."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec
import zmq

from engines.common.errors import BadInput
from engines.common.new_files import NewFiles, what_stands_at
from realtime.output.lines import Line, Posteriors, encode, kind_of
from realtime.output.observer import Observer, OutputLost, ReaderLeft
from realtime.output.posterior_file import POSTERIORS_FILE, encode_posteriors
from realtime.transport.authentication import Authenticator, ServerKeys
from realtime.transport.ipc_paths import IpcListener

PUBLISH_LINGER_MS = 200
_NO_FILE = "@"  # begins the name of a Linux socket that is in no folder
MAX_SUBSCRIPTION_BYTES = 1024
EVENTS_FILE, SESSION_FILE = "events.jsonl", "session.json"  # of a record
RECORD_FILES = (EVENTS_FILE, SESSION_FILE, POSTERIORS_FILE)


class StdoutOutput(Observer):
    """JSON lines on standard output.

    They are written to the descriptor: the lock of `sys.stdout`, held by a thread that waits for a reader, would keep
    the interpreter from ending.
    """

    name = "standard output"

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor, self._lines = descriptor, 0

    def on_line(self, line: Line) -> None:
        rest = memoryview(encode(line) + b"\n")
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # whoever made the pipe wants no waiting; we do
                select.select([], [self._descriptor], [])
            except BrokenPipeError:
                raise ReaderLeft("its reader left") from None
            except OSError as error:
                raise OutputLost(f"{self.name} stopped after {self._lines} lines: {error.strerror}") from None
        self._lines += 1

    def close(self) -> None:
        """Standard output is not ours to close."""


class PublishOutput(Observer):
    """Two-part messages (kind, JSON line) on a PUB socket, so that a subscriber may filter by kind.

    With keys it is encrypted, and only clients on the allow-list get in. A subscriber that cannot keep up loses lines,
    as PUB sockets do. ZeroMQ tells when one falls behind, not what it loses until it reads again: `lost` counts the
    first line of each time.
    """

    name = "publish"

    def __init__(self, endpoint: str, keys: ServerKeys | None = None) -> None:
        """Raises BadInput: an endpoint that is none, is taken, or that others could reach without keys."""
        check_endpoint(endpoint, keys is not None)
        path = endpoint.removeprefix("ipc://") if endpoint.startswith("ipc://") else ""
        self._listener = IpcListener(path, "--publish") if path and path[0] not in _NO_FILE else None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.maxmsgsize = MAX_SUBSCRIPTION_BYTES  # all that a subscriber has to say
        self._socket.ipv6 = True
        self._socket.xpub_nodrop = True
        self._authenticator = Authenticator(self._context, self._socket, keys) if keys else None
        try:
            if self._listener:  # bound already: ZeroMQ is given the socket, and deletes nothing
                self._socket.setsockopt(zmq.USE_FD, self._listener.detach())
            self._socket.bind("ipc://listening" if self._listener else endpoint)
        except zmq.ZMQError as error:
            self._shut(linger_ms=0)
            raise BadInput(
                "a free endpoint for --publish",
                f"{endpoint} ({error.strerror})",
                "choose another address, port or path, or stop what holds it",
            ) from None
        self.endpoint = endpoint

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in, by cause."""
        return dict(self._authenticator.refused) if self._authenticator else {}

    def on_line(self, line: Line) -> None:
        parts = [kind_of(line).encode(), encode(line)]
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:  # a subscriber's queue is full: the others get it
            self.lost += 1
            self._socket.xpub_nodrop = False
            self._socket.send_multipart(parts)
            self._socket.xpub_nodrop = True

    def close(self) -> None:
        self._shut(PUBLISH_LINGER_MS)

    def _shut(self, linger_ms: int) -> None:
        if self._authenticator:
            self._authenticator.close()
        self._socket.close(linger=linger_ms)
        self._context.term()
        if self._listener:
            self._listener.close()


def check_endpoint(endpoint: str, keyed: bool) -> None:
    """Refuse an endpoint that other hosts could reach, unless it has keys: nothing leaves this machine in the clear.

    Raises:
        BadInput: neither ipc:// nor tcp:// with a port, or not local without keys.
    """
    parts = urlsplit(endpoint)
    local = known = parts.scheme == "ipc" and bool(parts.netloc or parts.path)
    if parts.scheme == "tcp":
        try:
            host, known = parts.hostname or "", parts.port is not None and bool(parts.hostname)
            local = known and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
        except ValueError:  # a port out of range, or an address by name
            local = False
    if not known:
        raise BadInput("an endpoint, ipc://PATH or tcp://ADDRESS:PORT", endpoint, "fix --publish")
    if not local and not keyed:
        raise BadInput(
            "a local endpoint, ipc://PATH or tcp://127.0.0.1:PORT",
            endpoint,
            "for other hosts make keys with `keys DIR --client NAME` and give --keys DIR",
        )


def check_record(folder: Path) -> None:
    """Before anything is opened for a session: can its record be made at `folder`?

    Raises:
        BadInput: something else stands there, it holds a session, or it cannot be written.
    """
    try:
        standing = what_stands_at(folder)
        if standing == "a folder":
            held = next((name for name in RECORD_FILES if os.path.lexists(folder / name)), "")
            if held:
                raise BadInput("a new folder for --record", f"{folder}, which holds a session ({held})", "name another")
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        elif standing:
            raise BadInput("a new folder for --record", f"{folder}, {standing}", "name another")
        else:
            with NewFiles() as trial:  # and away again
                trial.folder(folder)
    except OSError as error:
        raise _no_record(folder, error) from None


def _no_record(folder: Path, error: OSError) -> BadInput:
    return BadInput("a folder that can be written for --record", f"{folder} ({error.strerror})", "name another")


class RecordOutput(Observer):
    """The log of a session: `events.jsonl`, append-only, handed to the system line by line; posteriors where asked for.

    What was written survives the death of this process. Where the disk is full or does not keep up, the log ends behind
    its last whole line.
    """

    name = "the event log"
    whole = True

    def __init__(self, folder: Path, posteriors: bool = False) -> None:
        """Raises BadInput: something else stands there, it holds a session, or it cannot be written."""
        check_record(folder)
        self.wants_posteriors = posteriors
        self._folder, self._made = folder, NewFiles()
        self._lines = 0
        self._file: BinaryIO | None = None
        self._posteriors: BinaryIO | None = None

    def start(self, session: Mapping[str, object]) -> None:
        check_record(self._folder)
        try:
            self._made.folder(self._folder)
            self._made.write(self._folder / SESSION_FILE, msgspec.json.format(msgspec.json.encode(session)) + b"\n")
            self._file = self._made.open(self._folder / EVENTS_FILE)
            if self.wants_posteriors:
                self._posteriors = self._made.open(self._folder / POSTERIORS_FILE)
        except OSError as error:
            self._made.discard()
            raise _no_record(self._folder, error) from None

    def begin(self) -> None:
        self._made.keep()

    def on_line(self, line: Line) -> None:
        if self._file is not None:
            self._append(self._file, encode(line) + b"\n")
            self._lines += 1

    def on_posteriors(self, posteriors: Posteriors) -> None:
        if self._posteriors is not None:
            self._append(self._posteriors, encode_posteriors(posteriors))

    def _append(self, file: BinaryIO, data: bytes) -> None:
        """Whole, or not at all."""
        size, rest = file.tell(), memoryview(data)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                file.truncate(size)  # no half line
            raise OutputLost(f"{self.name} stopped after {self._lines} lines: {error.strerror}") from None

    def close(self) -> None:
        for file in (self._file, self._posteriors):
            if file is not None:
                file.close()
        self._made.discard()  # what was not kept: the session never began
