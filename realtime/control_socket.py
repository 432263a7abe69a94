"""Markers from another program of this machine: lines of text on a local socket.

    marker question 1        →   ok 12.345

The time is the marker's on the session's clock. Any other line is answered with an error and ends the connection: a web
page's request, which a browser may send anywhere, marks nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import selectors
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from engines.common.errors import BadInput
from engines.common.printable import printable
from realtime.about import MOST_LETTERS
from realtime.transport.ipc_paths import BACKLOG, IpcListener

COMMAND = "marker "
MOST_BYTES = 1024  # of a line
MOST_CONNECTIONS = 8
POLL_S = 0.2

Mark = Callable[[str], "float | None"]


class ControlSocket:
    """Listens until it is closed.

    Args:
        mark: writes a marker; its time in s, None before the first picture.

    Raises:
        BadInput: no local endpoint, or one that is taken.
    """

    def __init__(self, endpoint: str, mark: Mark) -> None:
        self._mark = mark
        self._listener: IpcListener | None = None
        parts = urlsplit(endpoint)
        if parts.scheme == "ipc" and (path := endpoint.removeprefix("ipc://")):
            self._listener = listener = IpcListener(path, "--control")
            self._socket = socket.socket(fileno=listener.detach())
        else:
            self._socket = _bound(endpoint)
        self._socket.setblocking(False)
        self._buffers: dict[socket.socket, bytes] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    @property
    def port(self) -> int:
        """Of a TCP endpoint."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(2 * POLL_S)
        self._socket.close()
        if self._listener is not None:
            self._listener.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while not self._closing.is_set():
                for key, _ in selector.select(POLL_S):
                    if key.fileobj is self._socket:
                        self._accept(selector)
                    elif isinstance(key.fileobj, socket.socket) and not self._serve(key.fileobj):
                        selector.unregister(key.fileobj)
                        self._buffers.pop(key.fileobj)
                        key.fileobj.close()
            for connection in self._buffers:
                connection.close()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            if len(self._buffers) >= MOST_CONNECTIONS:
                connection.close()
                return
            connection.setblocking(False)
            self._buffers[connection] = b""
            selector.register(connection, selectors.EVENT_READ)

    def _serve(self, connection: socket.socket) -> bool:
        """Read what came; False once the connection is over."""
        try:
            data = connection.recv(MOST_BYTES)
            *lines, rest = (self._buffers[connection] + data).split(b"\n")
            self._buffers[connection] = rest
            for line in lines:
                answer, go_on = self._answer(line)
                connection.sendall(answer.encode() + b"\n")
                if not go_on:
                    return False
        except OSError:
            return False
        return bool(data) and len(rest) <= MOST_BYTES

    def _answer(self, line: bytes) -> tuple[str, bool]:
        text = line.decode(errors="replace").strip()
        label = printable(text.removeprefix(COMMAND).strip())
        if not text.startswith(COMMAND) or not 1 <= len(label) <= MOST_LETTERS:
            return f"error: expected marker LABEL, of 1 to {MOST_LETTERS} letters", False
        time_s = self._mark(label)
        return ("error: no picture has come yet", True) if time_s is None else (f"ok {time_s:.3f}", True)


def _bound(endpoint: str) -> socket.socket:
    parts = urlsplit(endpoint)
    try:
        port, address = parts.port, ipaddress.ip_address((parts.hostname or "").replace("localhost", "127.0.0.1"))
        if parts.scheme != "tcp" or port is None or not address.is_loopback:
            raise ValueError(endpoint)
    except ValueError:
        wanted = "a local endpoint for --control, ipc://PATH or tcp://127.0.0.1:PORT"
        raise BadInput(wanted, endpoint, "fix --control") from None
    try:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        return socket.create_server((str(address), port), family=family, backlog=BACKLOG)
    except OSError as error:
        got = f"{endpoint} ({error.strerror})"
        raise BadInput("a free endpoint for --control", got, "choose another port, or stop what holds it") from None
