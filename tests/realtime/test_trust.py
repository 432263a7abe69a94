"""Frames that are mutated, replayed, forged or too many: nothing gets in, nothing crashes, memory stays bounded."""

import contextlib
import select
import socket
import threading
import time

import numpy as np
import psutil
import pytest
import zmq

from realtime.analysis.queues import WindowQueue
from realtime.analysis.window import SlidingWindow
from realtime.clock import MonotonicClock
from realtime.messages import Frame, Framing
from realtime.transport import wire
from realtime.transport.authentication import ClientKeys, KeyPair, Token, link_keys, new_link
from tests.realtime.conftest import receiver_thread
from tests.realtime.sessions import free_port
from tests.realtime.transport.test_authentication import GIGABYTE_CLAIM, ZMTP_CURVE, ZMTP_PLAIN
from tests.realtime.transport.test_wire import as_bytes

pytestmark = pytest.mark.clock

SIDE, MUTATIONS = 8, 10_000


def frame(index: int, side: int = SIDE) -> Frame:
    body = np.full((side, side, 3), index % 256, np.uint8)
    framing = Framing(0.5, 2.0, True, ("hands",), 1, 1_000)
    return Frame(0, index, 10, index * 1_000_000, body, preview=body[:4], framing=framing)


def mutated(rng: np.random.Generator, parts: list[bytes]) -> list[bytes]:
    """A message with some of its bytes, lengths or parts changed."""
    parts = list(parts)
    for _ in range(int(rng.integers(1, 4))):
        kind, at = int(rng.integers(6)), int(rng.integers(len(parts)))
        data = bytearray(parts[at])
        if kind <= 2 and data:  # most often in the header, where it hurts
            at = 0 if kind and parts[0] else at
            data = bytearray(parts[at])
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        elif kind == 3:
            data = data[: int(rng.integers(len(data) + 1))]
        elif kind == 4:
            data += rng.bytes(int(rng.integers(1, 64)))
        elif len(parts) < 12:
            parts.insert(at, rng.bytes(int(rng.integers(64))))
            continue
        parts[at] = bytes(data)
    return parts


class Analysis:
    """The receiving end of a session, without an engine."""

    def __init__(self, endpoint: str, keys, queue_frames: int = 60) -> None:
        self.receiver = wire.Receiver(endpoint, queue_frames, keys, SIDE)
        self.queue = WindowQueue(lossless=False, staleness_ns=10**10, clock=MonotonicClock())
        window = SlidingWindow(0, 2, 10**8, 10**8, 10**9)
        self.intake = receiver_thread(self.receiver, window, self.queue, SIDE)

    def __enter__(self):
        self.intake.start()
        return self

    def __exit__(self, *_):
        self.queue.close(discard=True)
        self.intake.stop(5.0)
        self.receiver.close()

    @property
    def handled(self) -> int:
        return self.intake.received + sum(self.intake.refused.values())

    def until(self, condition, seconds=60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.intake.error is None
            assert time.monotonic() < deadline, (self.handled, self.intake.refused, self.receiver.refused)
            time.sleep(0.005)


def test_ten_thousand_mutations_from_one_who_holds_the_key_are_all_accounted_for(tmp_path):
    rng = np.random.default_rng(0)
    endpoint = f"ipc://{tmp_path}/frames"
    server, client = link_keys(endpoint)
    with Analysis(endpoint, server) as analysis:
        sender = wire.Sender(endpoint, 60, client)
        before, sent = psutil.Process().memory_info().rss, 0
        while sent < MUTATIONS:
            parts = mutated(rng, as_bytes(wire.encode(frame(sent))))
            if any(len(part) > 8192 for part in parts):
                continue
            assert sender.send(parts, 30.0)
            sent += 1
        analysis.until(lambda: analysis.handled >= MUTATIONS)
        assert analysis.handled == MUTATIONS
        assert analysis.intake.refused["corrupt"] > MUTATIONS // 2
        assert analysis.intake.error is None
        assert psutil.Process().memory_info().rss - before < 100e6
        sender.close()


@pytest.mark.parametrize("scheme", ["ipc", "tcp"])
@pytest.mark.parametrize("keys", ["none", "a stranger's", "another server's", "a token"])
def test_frames_of_one_without_the_right_keys_never_arrive(tmp_path, context, keys, scheme):
    endpoint = f"ipc://{tmp_path}/frames" if scheme == "ipc" else f"tcp://127.0.0.1:{free_port()}"
    server, client = link_keys(endpoint)
    assert isinstance(client, Token if scheme == "ipc" else ClientKeys)
    with Analysis(endpoint, server) as analysis:
        forger = context.socket(zmq.PUSH)
        if keys == "a stranger's":
            ClientKeys(KeyPair.new(), getattr(client, "server", KeyPair.new().public)).apply(forger)
        elif keys == "another server's":
            ClientKeys(getattr(client, "own", KeyPair.new()), KeyPair.new().public).apply(forger)
        elif keys == "a token":
            Token.new().apply(forger)
        forger.connect(endpoint)
        for index in range(50):
            with contextlib.suppress(zmq.Again):
                forger.send_multipart(wire.encode(frame(index)), zmq.NOBLOCK)
        analysis.until(lambda: sum(analysis.receiver.refused.values()) > 0)
        sender = wire.Sender(endpoint, 60, client)  # the rightful one still gets in
        assert sender.send(wire.encode(frame(1)), 10.0)
        analysis.until(lambda: analysis.intake.received == 1)
        assert analysis.handled == 1
        sender.close()


class Tapped:
    """A TCP relay between sender and receiver that remembers what the sender says, and may flip bytes of it."""

    def __init__(self, port: int, flip_after: int | None) -> None:
        self._target, self._flip_after = ("127.0.0.1", port), flip_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self.flipped = 0
        self._closing = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        heard = 0
        with contextlib.suppress(OSError), near, socket.create_connection(self._target) as far:
            while not self._closing:
                for ready in select.select([near, far], [], [], 0.1)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is near:
                        heard += len(data)
                        if self._flip_after is not None and heard > self._flip_after:
                            data = data[:-1] + bytes([data[-1] ^ 1])
                            self.flipped += 1
                        self.heard.append(data)
                    (far if ready is near else near).sendall(data)

    def close(self) -> None:
        self._closing = True
        self._listener.close()


def test_a_recorded_connection_that_is_played_again_brings_no_frame(tmp_path):
    server, client = new_link()
    with Analysis("tcp://127.0.0.1:*", server) as analysis:
        port = int(analysis.receiver.endpoint.rsplit(":", 1)[1])
        tap = Tapped(port, None)
        sender = wire.Sender(f"tcp://127.0.0.1:{tap.port}", 60, client)
        for index in range(20):
            assert sender.send(wire.encode(frame(index)), 10.0)
        analysis.until(lambda: analysis.intake.received == 20)
        sender.close()
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port)) as again:
                again.sendall(b"".join(tap.heard))
                again.settimeout(20)
                with contextlib.suppress(ConnectionResetError):
                    while again.recv(65536):  # the end: it saw through it
                        pass
        analysis.until(lambda: sum(analysis.receiver.refused.values()) >= 5)
        assert analysis.handled == 20
        tap.close()


def test_a_message_that_is_changed_under_way_brings_no_frame(tmp_path):
    server, client = new_link()
    with Analysis("tcp://127.0.0.1:*", server) as analysis:
        tap = Tapped(int(analysis.receiver.endpoint.rsplit(":", 1)[1]), flip_after=2000)
        sender = wire.Sender(f"tcp://127.0.0.1:{tap.port}", 60, client)
        taken: list[np.ndarray] = []
        original = analysis.intake._take
        analysis.intake._take = lambda one: (taken.append(one), original(one))
        index = 0
        while tap.flipped < 20:
            sender.send(wire.encode(frame(index)), 1.0)
            index += 1
            time.sleep(0.002)
        analysis.until(lambda: analysis.receiver.refused.get("protocol", 0) > 0)
        assert analysis.intake.refused["corrupt"] == 0  # it does not come as far as the decoder
        for one in taken:  # what came before the first change is whole
            assert np.array_equal(one.body, frame(one.frame_id).body)
        sender.close()
        tap.close()


@pytest.mark.parametrize("greeting", [ZMTP_CURVE, ZMTP_PLAIN])
def test_a_gigabyte_claim_is_answered_by_closing(tmp_path, greeting):
    server = new_link()[0] if greeting == ZMTP_CURVE else Token.new()
    with Analysis(f"ipc://{tmp_path}/frames", server) as analysis:
        before = psutil.Process().memory_info().rss
        for _ in range(50):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(tmp_path / "frames"))
                raw.sendall(greeting + GIGABYTE_CLAIM)
                raw.settimeout(20)
                with contextlib.suppress(ConnectionResetError):
                    while raw.recv(4096):
                        pass
            assert psutil.Process().memory_info().rss - before < 100e6
        assert analysis.handled == 0


def test_a_flood_meets_a_full_queue_at_the_sender(tmp_path):
    endpoint = f"ipc://{tmp_path}/frames"
    server, client = link_keys(endpoint)
    receiver = wire.Receiver(endpoint, 60, server, 128)  # nobody reads
    sender = wire.Sender(receiver.endpoint, 60, client)
    parts = wire.encode(frame(0, 128))
    assert sender.send(parts, 10.0)
    before = psutil.Process().memory_info().rss
    let_in = sum(sender.send(parts, 0.0) for _ in range(20_000))
    assert let_in < 500  # two queues of 60, and what the socket holds
    assert psutil.Process().memory_info().rss - before < 100e6
    sender.close()
    receiver.close()
