"""Pictures from one process to another: our wire, other people's, and what lies beneath; each in two real processes.

`python -m benchmarks.transport` is one end of a link; its first line of standard input is the `End` as JSON.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import zmq

from benchmarks.harness import Result, machine
from engines.preprocess import center_crop
from realtime.messages import Frame
from realtime.transport import wire
from realtime.transport.authentication import ClientKeys, ServerKeys, Token, link_keys, new_link

FULL, CROP = (1080, 1920, 3), (224, 224, 3)
SQUARE = (1440, 1440, 3)  # the bytes of FULL in the shape that our frames have
WARM_UP = 10
ROUNDS = 5
QUEUE = 60  # messages
SLOTS = 8  # pictures in shared memory

UInt8Array = npt.NDArray[np.uint8]
Rates = Mapping[str, float]  # frames/s of each link


class End(msgspec.Struct, frozen=True):
    """One end of a link. `crop`: what counts is a full picture made into a crop, on whichever side that is done."""

    link: str
    receives: bool
    endpoint: str
    count: int
    full: bool
    crop: bool = False
    server: ServerKeys | Token | None = None
    client: ClientKeys | Token | None = None

    @property
    def picture(self) -> UInt8Array:
        """A drawn scene with a camera's noise, the same every time."""
        height, width, _ = FULL if self.full or self.crop else CROP
        rng = np.random.default_rng(0)
        scene = cv2.resize(rng.integers(0, 256, (9, 16, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(np.clip(scene + rng.normal(0.0, 3.0, scene.shape), 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Link:
    """How one way of sending pictures is called. `receive` gives a picture a time, `send` takes one."""

    scheme: str
    keys: Callable[[str], tuple[ServerKeys | Token, ClientKeys | Token]] | None
    receiver: Callable[[End], Iterator[UInt8Array]]
    sender: Callable[[End], Callable[[UInt8Array], object]]
    crops_first: bool = False  # the crop is made before the wire, as this program does


def _our_receiver(end: End) -> Iterator[UInt8Array]:
    if end.server is None:
        raise ValueError("our wire never goes without keys")
    receiver = wire.Receiver(end.endpoint, QUEUE, end.server)
    while True:
        message = receiver.receive(10.0)
        if not isinstance(message, Frame):
            raise RuntimeError("no frame came for 10 s")
        if message.body is not None:
            yield message.body


def _our_sender(end: End) -> Callable[[UInt8Array], object]:
    if end.client is None:
        raise ValueError("our wire never goes without keys")
    sender = wire.Sender(end.endpoint, QUEUE, end.client)
    side = SQUARE if end.full and not end.crop else CROP

    def send(picture: UInt8Array) -> None:
        frame = Frame(0, 0, 0, 0, picture.reshape(side))
        if not sender.send(wire.encode(frame), 10.0):
            raise RuntimeError("no room for a frame for 10 s")

    return send


def _socket(kind: int) -> zmq.Socket[bytes]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    return context.socket(kind)


def _raw_receiver(end: End) -> Iterator[UInt8Array]:
    pull = _socket(zmq.PULL)
    pull.rcvhwm = QUEUE
    pull.bind(end.endpoint)
    while True:
        _, picture = pull.recv_multipart(copy=False)
        yield np.frombuffer(picture.buffer, np.uint8)


def _raw_sender(end: End) -> Callable[[UInt8Array], object]:
    push = _socket(zmq.PUSH)
    push.sndhwm = QUEUE
    push.connect(end.endpoint)
    header = bytes(150)
    return lambda picture: push.send_multipart([header, picture.data], copy=False)


def _imagezmq_receiver(end: End) -> Iterator[UInt8Array]:
    import imagezmq

    hub = imagezmq.ImageHub(open_port=end.endpoint)
    while True:
        _, picture = hub.recv_image()
        hub.send_reply(b"OK")
        yield picture


def _imagezmq_sender(end: End) -> Callable[[UInt8Array], object]:
    import imagezmq

    sender = imagezmq.ImageSender(connect_to=end.endpoint)
    return lambda picture: sender.send_image("camera", picture)


def _netgear(end: End, jpeg: bool) -> Any:
    from vidgear.gears import NetGear

    port = end.endpoint.rsplit(":", 1)[1]
    options: dict[str, Any] = {"jpeg_compression": jpeg}
    return NetGear(address="127.0.0.1", port=port, protocol="tcp", receive_mode=end.receives, **options)


def _netgear_receiver(jpeg: bool) -> Callable[[End], Iterator[UInt8Array]]:
    def receiver(end: End) -> Iterator[UInt8Array]:
        gear = _netgear(end, jpeg)
        while (picture := gear.recv()) is not None:
            yield picture

    return receiver


def _netgear_sender(jpeg: bool) -> Callable[[End], Callable[[UInt8Array], object]]:
    return lambda end: _netgear(end, jpeg).send


def _slots(end: End) -> UInt8Array:
    """(SLOTS, bytes) that both processes see, made by the receiver; in memory where the system has such a folder."""
    path, size = Path(end.endpoint.removeprefix("ipc://")).with_name("slots"), end.picture.nbytes
    slots = np.memmap(path, np.uint8, "w+" if end.receives else "r+", shape=(SLOTS, size))
    if end.receives:
        slots[:] = 0  # its pages are there before the clock runs
    return slots


def _memory_receiver(end: End) -> Iterator[UInt8Array]:
    """Slots of shared memory; ZeroMQ carries their numbers alone. The picture is read where the sender put it."""
    slots = _slots(end)
    filled, freed = _socket(zmq.PULL), _socket(zmq.PUSH)
    filled.bind(end.endpoint)
    freed.bind(f"{end.endpoint}-freed")
    for slot in range(SLOTS):
        freed.send(bytes([slot]))
    while True:
        slot = filled.recv()[0]
        yield slots[slot]
        freed.send(bytes([slot]))


def _memory_sender(end: End) -> Callable[[UInt8Array], object]:
    filled, freed = _socket(zmq.PUSH), _socket(zmq.PULL)
    filled.connect(end.endpoint)
    freed.connect(f"{end.endpoint}-freed")
    slots: list[npt.NDArray[np.uint8]] = []

    def send(picture: UInt8Array) -> None:
        slot = freed.recv()[0]
        if not slots:  # the receiver has made it by now
            slots.append(_slots(end))
        np.copyto(slots[0][slot], picture.reshape(-1))
        filled.send(bytes([slot]))

    return send


LINKS: dict[str, Link] = {
    "ours": Link("ipc", link_keys, _our_receiver, _our_sender, crops_first=True),
    "ours, CURVE": Link("ipc", lambda _: new_link(), _our_receiver, _our_sender, crops_first=True),
    "raw pyzmq": Link("ipc", None, _raw_receiver, _raw_sender),
    "shared memory": Link("ipc", None, _memory_receiver, _memory_sender),
    "imagezmq": Link("tcp", None, _imagezmq_receiver, _imagezmq_sender),
    "imagezmq, ipc": Link("ipc", None, _imagezmq_receiver, _imagezmq_sender),
    "NetGear": Link("tcp", None, _netgear_receiver(True), _netgear_sender(True)),
    "NetGear, no JPEG": Link("tcp", None, _netgear_receiver(False), _netgear_sender(False)),
}


def frames_per_s(
    names: list[str],
    count: int,
    full: bool,
    crop: bool = False,
    counts: Mapping[str, int] | None = None,
    rounds: int = ROUNDS,
) -> dict[str, float]:
    """Median frames/s of each link over so many rounds, the links taken in turn so that drift hits all alike.

    Args:
        full: the bytes of a 1080p frame, else of a 224² crop.
        crop: a 1080p picture is made into a 224² crop on the way, before the wire or behind it.
        counts: other counts for slow links.
    """
    measured: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            measured[name].append(_measure(name, (counts or {}).get(name, count), full, crop))
    return {name: statistics.median(values) for name, values in measured.items()}


def against(other: str, full: Rates, crops: Rates, task: Rates, how: str, besides: tuple[str, str]) -> Result:
    """Our wire against another on full frames; crops, and full pictures that become crops (`task`), in the details.

    Args:
        how: what was done alike, and what was not.
        besides: a further link to set full frames against, in words and by its name.
    """
    words, link = besides
    return Result(
        ours=full["ours"],
        other=full[other],
        ratio=full["ours"] / full[other],
        unit="frames/s",
        compared=f"frames of 1080p size (6.2 MB) from process to process: {how}; medians of rounds in turn",
        machine=machine(),
        details={
            **{f"full {name}": value for name, value in full.items()},
            **{f"crop {name}": value for name, value in crops.items()},
            **{f"1080p picture to crop {name}": value for name, value in task.items()},
            f"full ratio {words}": full["ours"] / full[link],
            "crop ratio": crops["ours"] / crops[other],
            "1080p picture to crop ratio": task["ours"] / task[other],
        },
    )


def _measure(name: str, count: int, full: bool, crop: bool) -> float:
    link = LINKS[name]
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-", dir=memory) as folder:
        endpoint = f"ipc://{folder}/frames" if link.scheme == "ipc" else f"tcp://127.0.0.1:{_free_port()}"
        server, client = link.keys(endpoint) if link.keys else (None, None)
        receiver = End(name, True, endpoint, count, full, crop, server, None)
        sender = End(name, False, endpoint, count, full, crop, None, client)
        with _process(receiver) as taking, _process(sender):
            line = taking.stdout.readline() if taking.stdout else b""
        return float(line)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _process(end: End) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.transport"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if end.link.startswith("ours") else subprocess.DEVNULL,
    )
    try:
        if process.stdin:
            process.stdin.write(msgspec.json.encode(end) + b"\n")
            process.stdin.flush()
        yield process
        if process.stdin:
            process.stdin.close()
        process.wait(10)
    finally:
        process.kill()
        process.wait()


def _run(end: End) -> object:
    """What is returned must live until all has arrived."""
    link, wanted = LINKS[end.link], end.picture
    reduce = end.crop and not link.crops_first
    if end.receives:
        pictures = link.receiver(end)
        for at in range(WARM_UP + end.count):
            picture = next(pictures)
            if reduce:
                picture = center_crop(picture.reshape(FULL))
            if at == WARM_UP - 1:
                started = time.perf_counter()
        took = time.perf_counter() - started
        if picture.nbytes != (np.prod(CROP) if end.crop else wanted.nbytes):
            raise RuntimeError(f"{end.link}: a picture of {picture.nbytes} bytes came")
        print(end.count / took, flush=True)
        return pictures
    send = link.sender(end)
    for _ in range(WARM_UP + end.count):
        send(center_crop(wanted) if end.crop and link.crops_first else wanted)
    return send


if __name__ == "__main__":
    alive = _run(msgspec.json.decode(sys.stdin.buffer.readline(), type=End))
    sys.stdin.buffer.read()  # what is under way would be lost at a close
    del alive
    os._exit(0)  # NetGear's thread would wait for its other end
