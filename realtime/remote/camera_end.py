"""The camera's end: the `capture` command. Serves one session after another until it is stopped."""

from __future__ import annotations

import threading

import msgspec
import zmq

from engines.common.errors import BadInput, Failed
from engines.common.log import log
from realtime.capture.order import CaptureOrder
from realtime.capture.process import Capture, CaptureSpec
from realtime.capture.sources import LocalSpec
from realtime.capture.sources.urls import control_endpoint
from realtime.capture.views.make import fetch_models
from realtime.clock import NS_PER_S, Clock
from realtime.clock_offset import ClockOffset
from realtime.messages import CaptureState
from realtime.remote.protocol import (
    BURST,
    BURST_EVERY_S,
    MAX_BYTES,
    PING_EVERY_S,
    SILENT_S,
    Bye,
    Hello,
    Order,
    Ping,
    Pong,
    decode_reply,
    encode,
)
from realtime.transport.authentication import ClientKeys
from realtime.transport.wire import ENCRYPTION_BYTES, PROTOCOL

POLL_S = 0.1


def serve(source: LocalSpec, endpoint: str, keys: ClientKeys, clock: Clock, stop: threading.Event) -> None:
    """Film for whoever analyses at `endpoint`, session after session, until `stop` is set or the source ends.

    Args:
        clock: this machine's; only tests give another.

    Raises:
        BadInput: the source does not open, or the two machines run different versions.
        Failed: the source was lost.
    """
    log.info(f"{source.name}: waiting for an analysis at {endpoint}")
    while not stop.is_set():
        with _Link(endpoint, keys, clock, stop) as link:
            order = link.hello()
            if order is None:
                continue
            capture = _session(source, endpoint, keys, clock, link, order)
            if capture is None:
                if not stop.is_set():
                    log.info(f"{link.ended}; connecting again")
                continue
            status = capture.status
            if status.state is CaptureState.FAILED:
                raise BadInput.from_line(status.detail) if status.bad_input else Failed(status.detail)
            if status.state is CaptureState.ENDED:
                return
            log.info(f"{link.ended}; {capture.sent} frames sent")


def _session(
    source: LocalSpec, endpoint: str, keys: ClientKeys, clock: Clock, link: _Link, order: CaptureOrder
) -> Capture | None:
    """Film until the session is over; None where the clocks could not be compared, so that no frame has a time."""
    if not source.tracked:
        fetch_models(order.view)
    offset, over = ClockOffset(), threading.Event()
    reading = offset.reading(clock.now_ns()) if link.burst(offset) else None
    if reading is None:
        return None
    log.info(
        f"connected; the analysis' clock is {reading.offset_ns / 1e6:+.3f} ms from this one, "
        f"within {reading.error_ns / 1e6:.3f} ms"
    )
    spec = CaptureSpec(source, order, endpoint, keys)
    capture = Capture(spec, clock, over, offset)
    exchanges = threading.Thread(target=link.exchange, args=(offset, over), name="control socket", daemon=True)
    exchanges.start()
    try:
        capture.run()
    finally:
        over.set()
        exchanges.join()
    return capture


class _Link:
    """The control socket, from the camera's side. One thread at a time."""

    def __init__(self, endpoint: str, keys: ClientKeys, clock: Clock, stop: threading.Event) -> None:
        self._clock, self._stop = clock, stop
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.maxmsgsize = MAX_BYTES + ENCRYPTION_BYTES
        keys.apply(self._socket)
        self._socket.connect(control_endpoint(endpoint))
        self._generation = 0
        self.ended = "stopped"  # why the session was over

    def __enter__(self) -> _Link:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._context.term()

    def hello(self) -> CaptureOrder | None:
        """What the analysis wants; None when `stop` was set, or none answered: it may have left, so try again.

        Raises:
            BadInput: it runs another version.
        """
        self._socket.send(encode(Hello()))
        for _ in range(round(SILENT_S / POLL_S)):
            if self._stop.is_set():
                return None
            reply = self._receive(POLL_S)
            if isinstance(reply, Order):
                if reply.protocol != PROTOCOL:
                    raise BadInput(
                        f"an analysis that speaks protocol {PROTOCOL}",
                        f"one of {reply.protocol}",
                        "install the same version on both machines",
                    )
                self._generation = reply.order.generation
                return reply.order
            if isinstance(reply, Bye):
                return None
        return None

    def burst(self, offset: ClockOffset) -> bool:
        """The first exchanges, so that the first frame has its time already; False where none was answered."""
        self.ended = "the analysis does not answer"
        for _ in range(BURST):
            self._ask()
            reply = self._receive(1.0)
            if isinstance(reply, Bye) or self._stop.is_set():
                return False
            if isinstance(reply, Pong):
                self._note(reply, offset)
                self.ended = "stopped"
            self._stop.wait(BURST_EVERY_S)
        return offset.reading(self._clock.now_ns()) is not None

    def exchange(self, offset: ClockOffset, over: threading.Event) -> None:
        """Compare clocks until the session is over, on whichever side, and set `over`."""
        asked_ns = answered_ns = self._clock.now_ns()
        self._ask()
        while not (over.is_set() or self._stop.is_set()):
            reply = self._receive(POLL_S)
            now_ns = self._clock.now_ns()
            if isinstance(reply, Bye):
                self.ended = "the session is over"
                break
            if isinstance(reply, Pong):
                answered_ns = now_ns
                self._note(reply, offset)
                if reply.generation != self._generation:
                    self.ended = (
                        "another camera took this one's place"
                        if reply.generation > self._generation
                        else ("the analysis was started again")
                    )
                    break
            if now_ns - answered_ns > SILENT_S * NS_PER_S:
                self.ended = f"nothing from the analysis for {SILENT_S:g} s"
                break
            if now_ns - asked_ns > PING_EVERY_S * NS_PER_S:
                asked_ns = now_ns
                self._ask()
        over.set()

    def _ask(self) -> None:
        if self._socket.poll(0, zmq.POLLOUT):
            self._socket.send(encode(Ping(self._generation, self._clock.now_ns())))

    def _note(self, pong: Pong, offset: ClockOffset) -> None:
        offset.add(pong.sent_ns, pong.received_ns, pong.replied_ns, self._clock.now_ns())

    def _receive(self, timeout_s: float) -> Order | Pong | Bye | None:
        if not self._socket.poll(int(timeout_s * 1000)):
            return None
        try:
            reply: Order | Pong | Bye = decode_reply(self._socket.recv())
        except (msgspec.DecodeError, RecursionError):
            return None
        return reply
