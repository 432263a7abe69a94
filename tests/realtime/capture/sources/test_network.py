"""Real loopback streams from a real ffmpeg, killed and restarted on the way."""

from __future__ import annotations

import http.server
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.capture.sources import Image, Source, StreamSpec, network, open_source
from realtime.capture.sources.base import DAMAGED, SourceLost
from realtime.capture.sources.network import StreamSource
from realtime.config import StreamSettings
from realtime.messages import CaptureState

pytestmark = pytest.mark.clock

RATE = 25
QUICK = StreamSettings(open_timeout_s=3.0, read_timeout_s=0.6, backoff_min_s=0.05, backoff_max_s=0.2, give_up_s=30.0)

SENDERS: dict[str, tuple[str, list[str]]] = {  # kind -> URL and ffmpeg output arguments
    "udp": (
        "udp://127.0.0.1:{port}",
        [
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-g",
            "5",
            "-f",
            "mpegts",
            "udp://127.0.0.1:{port}?pkt_size=1316",
        ],
    ),
    "mpjpeg": (
        "http://127.0.0.1:{port}/",
        ["-c:v", "mjpeg", "-q:v", "4", "-f", "mpjpeg", "-listen", "1", "http://127.0.0.1:{port}/"],
    ),
}


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def sender(lab: Any, kind: str, port: int) -> Any:
    output = [part.format(port=port) for part in SENDERS[kind][1]]
    # Made at full speed once and sent at its own pace: drawing costs too much to be done while time is measured.
    source = lab.stock / "stream.mkv"
    if not source.exists():
        lab.ffmpeg(*lab.counting(RATE, 10.0), "-c:v", "ffv1", source)
    return running(lab.command("-re", "-i", source, *output))


def url(kind: str, port: int) -> str:
    return SENDERS[kind][0].format(port=port)


def read_until(source: Source, done: Callable[[Image | None], bool], timeout_s: float = 10.0) -> Image | None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        image = source.read(0.05)
        if done(image):
            return image
    pytest.fail(f"nothing in {timeout_s} s: {source.state} {source.detail}")


def got(image: Image | None) -> bool:
    return image is not None


def phase(lab: Any, image: Image) -> float:
    """When the sender's picture 0 was grabbed, judged by this one, s: grows by as much as pictures come late."""
    return image.captured_ns / 1e9 - lab.number(image.pixels) / RATE


@pytest.fixture(autouse=True)
def stock(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    if not hasattr(lab, "stock"):
        lab.stock = tmp_path_factory.mktemp("stock")


@pytest.mark.parametrize("kind", ["udp", "mpjpeg"])
def test_newest_picture_for_a_slow_reader_then_loss_and_return(lab: Any, port: int, kind: str) -> None:
    with open_source(StreamSpec(url(kind, port), QUICK)) as source:
        assert source.live
        assert source.state in (CaptureState.OPENING, CaptureState.RECONNECTING)
        with sender(lab, kind, port):
            read_until(source, got)
            assert source.state is CaptureState.STREAMING
            assert source.detail.startswith("160x96")
            settled = time.monotonic() + 0.6
            read_until(source, lambda image: image is not None and time.monotonic() > settled)
            usual = min(phase(lab, image) for _ in range(10) if (image := source.read(1.0)))
            before, overwritten = source.read(1.0), source.left_out["grabber"]
            time.sleep(1.0)
            asked_ns = time.monotonic_ns()
            image = source.read(0.5)
            assert before is not None
            assert image is not None
            assert lab.number(image.pixels) - lab.number(before.pixels) >= 0.7 * RATE
            assert phase(lab, image) - usual < 0.25  # it did not wait in a buffer
            assert asked_ns - image.captured_ns < 250_000_000
            assert image.media_ns == image.captured_ns
            assert source.left_out["grabber"] - overwritten >= 0.5 * RATE
            last_id = image.frame_id
        read_until(source, lambda _: source.state is CaptureState.RECONNECTING)
        assert source.detail.startswith("connection lost: ")
        assert source.read(0.05) is None
        with sender(lab, kind, port):
            image = read_until(source, got)
            assert source.state is CaptureState.STREAMING
            assert image is not None
            assert image.frame_id > last_id
        start = time.monotonic()
    assert time.monotonic() - start < 1.0


def test_gives_up_and_says_why(port: int) -> None:
    settings = StreamSettings(backoff_min_s=0.05, backoff_max_s=0.2, give_up_s=1.0)
    with open_source(StreamSpec(f"http://user:secret@127.0.0.1:{port}/", settings)) as source:
        states = set()
        start = time.monotonic()

        def read_on() -> None:
            while source.read(0.05) is None:
                states.add((source.state, source.detail))

        with pytest.raises(SourceLost, match=r"no connection for 1 s .*refused") as caught:
            read_on()
        assert 0.7 < time.monotonic() - start < 3.0
        assert any(state is CaptureState.RECONNECTING and "next try in 0.1 s" in detail for state, detail in states)
        assert source.state is CaptureState.FAILED
        assert "secret" not in f"{states} {caught.value} {source.detail}"


def test_waits_grow_up_to_their_limit(port: int) -> None:
    settings = StreamSettings(backoff_min_s=0.05, backoff_max_s=0.2, give_up_s=1.5)
    source = StreamSource(f"http://127.0.0.1:{port}/", settings)
    with source, pytest.raises(SourceLost):
        read_until(source, lambda _: False)
    assert 6 <= source.reconnects <= 9  # 0.05 + 0.1 + 0.2 + 0.2 ...


def test_closing_does_not_wait_for_a_silent_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        source = open_source(StreamSpec(address, StreamSettings(open_timeout_s=4.0)))
        source.open()
        assert source.read(0.3) is None
        start = time.monotonic()
        source.close()
        assert time.monotonic() - start < 1.0
        assert source.read(0.0) is None


def test_a_silent_server_times_out(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        settings = StreamSettings(open_timeout_s=0.3, backoff_min_s=0.05, give_up_s=60.0)
        with open_source(StreamSpec(f"tcp://127.0.0.1:{port}", settings)) as source:
            read_until(source, lambda _: source.state is CaptureState.RECONNECTING, 5.0)
            assert "no answer in time" in source.detail


class Handler(http.server.SimpleHTTPRequestHandler):
    refuse = False

    def do_GET(self) -> None:
        if self.refuse:
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def web(folder: Path, refuse: bool = False) -> Iterator[str]:
    handler = type("H", (Handler,), {"refuse": refuse})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def loss(address: str) -> str:
    with open_source(StreamSpec(address, QUICK)) as source, pytest.raises(SourceLost) as caught:
        read_until(source, lambda _: False, 5.0)
    return str(caught.value)


def test_a_refused_password_is_not_tried_again(tmp_path: Path) -> None:
    with web(tmp_path, refuse=True) as place:
        reason = loss(f"http://user:secret@{place}/stream")
    assert "access refused" in reason
    assert "secret" not in reason


def test_a_recording_behind_a_url_is_not_a_live_stream(counted: Path) -> None:
    with web(counted.parent) as place:
        assert "replay the file" in loss(f"http://{place}/counted.mp4")


def test_segment_play_lists_are_turned_away(lab: Any, counted: Path, tmp_path: Path) -> None:
    lab.ffmpeg("-i", counted, "-c", "copy", "-hls_flags", "omit_endlist", tmp_path / "list.m3u8")
    with web(tmp_path) as place:
        assert "HLS comes in bursts" in loss(f"http://{place}/list.m3u8")


def test_a_web_page_is_no_stream_but_may_become_one(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>not yet</html>")
    with web(tmp_path) as place, open_source(StreamSpec(f"http://{place}/index.html", QUICK)) as source:
        read_until(source, lambda _: source.state is CaptureState.RECONNECTING)
        assert "no connection yet: invalid data" in source.detail


RTSP_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(); server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory(); factory.set_shared(True)
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=96,framerate=25/1"
                   " ! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96 )")
server.get_mount_points().add_factory("/live", factory)
server.attach(None); print("ready", flush=True); GLib.MainLoop().run()
"""
SYSTEM_PYTHON = Path("/usr/bin/python3")


def rtsp_server(port: int) -> Any:
    return running([str(SYSTEM_PYTHON), "-c", RTSP_SERVER, str(port)], stdout=subprocess.PIPE)


def test_rtsp_comes_back_after_the_server_does(port: int) -> None:
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if not SYSTEM_PYTHON.exists() or subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True).returncode:
        pytest.skip("no GStreamer RTSP server on this machine")
    with open_source(StreamSpec(f"rtsp://127.0.0.1:{port}/live", QUICK)) as source:
        for _ in range(2):
            with rtsp_server(port) as server:
                assert server.stdout is not None
                assert server.stdout.readline() == b"ready\n"
                image = read_until(source, got)
                assert image is not None
                assert image.pixels.shape == (96, 160, 3)
                assert source.state is CaptureState.STREAMING
                time.sleep(0.5)
                image = read_until(source, got)
                assert image is not None
                assert time.monotonic_ns() - image.captured_ns < 250_000_000
            read_until(source, lambda _: source.state is CaptureState.RECONNECTING)
            assert "connection lost" in source.detail


X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-b:v", "800k"]
NOISE = ["-vf", "noise=alls=20:allf=t"]  # pictures of several packets, as a camera's are


@contextmanager
def lossy(lab: Any, port: int, loss: float, *encoder: str) -> Iterator[None]:
    """ffmpeg's MPEG-TS over UDP through a relay that loses this share of datagrams, the same ones each time."""
    source = lab.stock / "noisy.mkv"
    rng = random.Random(1)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inlet,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outlet,
    ):
        inlet.bind(("127.0.0.1", 0))
        inlet.settimeout(0.1)
        stop = threading.Event()

        def relay() -> None:
            while not stop.is_set():
                with suppress(TimeoutError):
                    datagram = inlet.recv(65536)
                    if rng.random() >= loss:
                        outlet.sendto(datagram, ("127.0.0.1", port))

        thread = threading.Thread(target=relay)
        thread.start()
        target = f"udp://127.0.0.1:{inlet.getsockname()[1]}?pkt_size=1316"
        try:
            with running(
                lab.command("-re", "-stream_loop", "-1", "-i", source, *X264, *encoder, "-f", "mpegts", target)
            ):
                yield
        finally:
            stop.set()
            thread.join()


def read_for(source: Source, seconds: float) -> tuple[list[Image], set[str]]:
    images: list[Image] = []
    details: set[str] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        image = source.read(0.05)
        details.add(source.detail)
        if image is not None:
            images.append(image)
    return images, details


def worst_block(lab: Any, image: Image) -> float:
    """How far the worst 8x8 block's brightness is from that of the picture that was sent, 0-255."""
    sent = lab.noisy[lab.number(image.pixels)].astype(float)
    blocks = (image.pixels.mean(2) - sent.mean(2)).reshape(12, 8, 20, 8).mean((1, 3))  # (H/8, W/8)
    return float(np.abs(blocks).max())


@pytest.fixture
def noisy(lab: Any) -> None:
    """The pictures that `lossy` sends, uint8 (250, 96, 160, 3)."""
    source = lab.stock / "noisy.mkv"
    if not source.exists():
        lab.ffmpeg(*lab.counting(RATE, 10.0), *NOISE, "-c:v", "ffv1", source)
        raw = lab.ffmpeg("-i", source, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        lab.noisy = np.frombuffer(raw, np.uint8).reshape(-1, 96, 160, 3)


@pytest.mark.usefixtures("noisy")
def test_what_rests_on_a_lost_packet_is_left_out_and_counted(lab: Any, port: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(network, "_LOSS_S", 2.0)
    with open_source(StreamSpec(url("udp", port), QUICK)) as source, lossy(lab, port, 0.1, "-g", "5"):
        images, details = read_for(source, 7.0)
        damaged = source.left_out[DAMAGED]
        assert source.pictures > 4 * RATE
        assert damaged > 0.4 * source.pictures
        assert len(images) + damaged + source.left_out["grabber"] in (source.pictures, source.pictures - 1)
        assert len(images) > 0.1 * source.pictures
    assert max(worst_block(lab, image) for image in images) < 8
    assert "160x96 at 25.0 fps, more than 50% of the pictures left out as damaged" in details


@pytest.mark.usefixtures("noisy")
def test_a_stream_without_loss_loses_nothing(lab: Any, port: int) -> None:
    with open_source(StreamSpec(url("udp", port), QUICK)) as source, lossy(lab, port, 0.0, "-g", "5"):
        read_until(source, got, 20.0)
        joined = source.left_out[DAMAGED]  # before the first key picture
        _, details = read_for(source, 2.0)
        assert source.left_out[DAMAGED] == joined
        assert details == {"160x96 at 25.0 fps"}


@pytest.mark.usefixtures("noisy")
def test_intra_refresh_that_is_never_whole_is_taken_as_it_is(lab: Any, port: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(network, "_KEYFRAME_S", 3.0)
    encoder = ["-x264-params", "intra-refresh=1:keyint=50"]
    with open_source(StreamSpec(url("udp", port), QUICK)) as source, lossy(lab, port, 0.1, *encoder):
        image = read_until(source, got, 20.0)
        assert source.detail == "160x96 at 25.0 fps, no whole picture for 3 s: going on with what there is"
        images, _ = read_for(source, 2.0)
        assert len(images) > 0.4 * RATE
        assert image is not None


@pytest.mark.parametrize("name", ["snapshot.jpg", "snapshot.png", "snapshot.bmp", "snapshot.webp", "snapshot"])
def test_a_still_picture_behind_a_url_is_no_stream(lab: Any, tmp_path: Path, name: str) -> None:
    encoder = ["-f", "image2", "-c:v", "mjpeg"] if name == "snapshot" else []
    lab.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240", "-frames:v", "1", *encoder, tmp_path / name)
    with web(tmp_path) as place:
        assert loss(f"http://{place}/{name}") == (
            f"http://{place}/{name}: this is a still picture, not a live stream; "
            "use the camera's RTSP, MJPEG or MPEG-TS address"
        )
