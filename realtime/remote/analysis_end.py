"""The analysis' end of the control socket, with the interface of a `CaptureProcess`."""

from __future__ import annotations

import contextlib
import threading

import msgspec
import zmq

from realtime.capture.order import CaptureOrder
from realtime.capture.supervisor import ENDED_STATES
from realtime.clock import NS_PER_S, Clock
from realtime.messages import CaptureState
from realtime.remote.protocol import MAX_BYTES, SILENT_S, Bye, Hello, Order, Ping, Pong, decode_request, encode
from realtime.transport.authentication import Authenticator, ServerKeys
from realtime.transport.wire import ENCRYPTION_BYTES, PROTOCOL

POLL_MS = 50


class RemoteCapture:
    """Answers the capture process of another machine: orders what it sends, and says what time it is here.

    Args:
        order: what is wanted; its generation counts up with every one that comes.

    Raises:
        zmq.ZMQError: the endpoint cannot be bound.
    """

    pid = 0  # none of this machine's

    def __init__(self, endpoint: str, keys: ServerKeys, order: CaptureOrder, clock: Clock) -> None:
        self._order, self._clock = order, clock
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 200  # ms that the message of the end may take
        self._socket.maxmsgsize = MAX_BYTES + ENCRYPTION_BYTES
        self._authenticator = Authenticator(self._context, self._socket, keys)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError:
            self._shut()
            raise
        self._connections = 0  # capture processes that said hello
        self._peer: bytes | None = None  # the newest
        self._heard_ns = 0
        self._reported = (0, False)  # connections, and whether the newest was silent, as of the last `check`
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control socket", daemon=True)

    @property
    def restarts(self) -> int:
        return max(0, self._connections - 1)

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in at the control socket, by cause."""
        return dict(self._authenticator.refused)

    def start(self) -> None:
        self._thread.start()

    def check(self, state: CaptureState, waiting_since_ns: int | None, last_media_ns: int | None) -> str | None:  # noqa: ARG002 - as of a capture process of this machine
        """One line when one came, was replaced by another, went silent or spoke again."""
        connections, (reported, was_silent) = self._connections, self._reported
        silent_ns = self._clock.now_ns() - self._heard_ns
        silent = connections > 0 and state not in ENDED_STATES and silent_ns > SILENT_S * NS_PER_S
        self._reported = (connections, silent)
        if connections != reported:
            return (
                "the camera's machine is connected"
                if connections == 1
                else f"the camera connected again ({connections - 1} times)"
            )
        if silent != was_silent:
            return f"nothing from the camera's machine for {SILENT_S:g} s" if silent else "the camera's machine is back"
        return None

    def pause(self) -> None:
        """It goes on: a camera does not wait."""

    def resume(self) -> None:
        """It never paused."""

    def ask_to_stop(self) -> None:
        """Announce the end of the session; do not wait."""
        self._stop.set()

    def stop(self, timeout_s: float) -> bool:
        """End the thread, which closes its socket; harmless when it has ended. False: it still runs."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        elif not self._socket.closed:
            self._shut()
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if self._socket.poll(POLL_MS):
                    self._answer(self._socket.recv_multipart(), self._clock.now_ns())
            if self._peer is not None:
                self._send(self._peer, encode(Bye()))
        finally:
            self._shut()

    def _answer(self, parts: list[bytes], received_ns: int) -> None:
        try:
            peer, data = parts
            request = decode_request(data)
        except (ValueError, msgspec.DecodeError, RecursionError):
            self._authenticator.refused.add("protocol")
            return
        if isinstance(request, Hello):
            if request.protocol == PROTOCOL:
                self._peer, generation = peer, self._connections
                self._connections += 1
                self._heard_ns = received_ns
            else:  # it says so itself
                generation = 0
            order = msgspec.structs.replace(self._order, generation=generation)
            self._send(peer, encode(Order(PROTOCOL, order)))
        elif isinstance(request, Ping):
            if peer == self._peer:
                self._heard_ns = received_ns
            current = max(0, self._connections - 1)
            self._send(peer, encode(Pong(current, request.sent_ns, received_ns, self._clock.now_ns())))

    def _send(self, peer: bytes, data: bytes) -> None:
        with contextlib.suppress(zmq.Again):  # it does not read: its own loss
            self._socket.send_multipart([peer, data], zmq.NOBLOCK)

    def _shut(self) -> None:
        self._authenticator.close()
        self._socket.close()
        self._context.term()
