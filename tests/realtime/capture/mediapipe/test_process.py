"""What MediaPipe leaves as it was: standard error for the others, and FFmpeg's way to a camera."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from realtime.capture.mediapipe.process import for_ffmpeg_alone

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]
PROXIES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
OPEN = """
import sys, av
from realtime.capture.mediapipe.process import block_reports
if sys.argv[2] == "blocked":
    block_reports()
try:
    av.open(sys.argv[1], format="mjpeg", timeout=5)
except av.error.FFmpegError:
    pass
"""
THREE_THREADS = """
import os, sys, threading
import numpy as np
from realtime.capture.mediapipe.task import VideoTask
tasks = [VideoTask(kind, path) for kind, path in zip(("pose", "hand", "face"), sys.argv[1:], strict=True)]
ready = threading.Barrier(3)
def first(task):
    ready.wait()
    task.detect(np.zeros((96, 96, 3), np.uint8), 0)
threads = [threading.Thread(target=first, args=(task,)) for task in tasks]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("still heard", file=sys.stderr, flush=True)
os.write(2, b"and natively\\n")
os._exit(0)
"""
QUIET_TOGETHER = """
import os, sys, threading
from realtime.capture.mediapipe.process import quiet
ready = threading.Barrier(8)
def chatter():
    for _ in range(500):
        with quiet():
            os.write(2, b"chatter")
        ready.wait()
threads = [threading.Thread(target=chatter) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
os.write(2, f"{len(os.listdir('/proc/self/fd'))} open".encode() if os.path.isdir("/proc/self/fd") else b"open")
"""


class Server(ThreadingHTTPServer):
    """Notes what it is asked for, as a camera and as a proxy would be."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """A camera and a proxy."""
    pair = Server(), Server()
    for server in pair:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield pair
    for server in pair:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ({}, False),
        ({"no_proxy": "127.0.0.1"}, True),
        ({"no_proxy": "*"}, True),
        ({"no_proxy": "intranet.example, *.0.0.1"}, True),
        ({"no_proxy": ".0.1 intranet.example"}, True),
        ({"no_proxy": "27.0.0.1,intranet.example"}, False),
        ({"no_proxy": ""}, False),
        ({"NO_PROXY": "127.0.0.1"}, False),  # FFmpeg knows it in small letters alone
    ],
    ids=str,
)
def test_a_camera_is_asked_where_ffmpeg_would_ask_it(
    servers: tuple[Server, Server], no_proxy: dict[str, str], direct: bool
) -> None:
    camera, proxy = servers
    url = f"http://127.0.0.1:{camera.server_port}/video.mjpg"
    environment = {name: value for name, value in os.environ.items() if name not in PROXIES}
    environment |= {"http_proxy": f"http://127.0.0.1:{proxy.server_port}", **no_proxy}
    for blocked in ("untouched", "blocked"):
        camera.asked.clear()
        proxy.asked.clear()
        subprocess.run([sys.executable, "-c", OPEN, url, blocked], cwd=ROOT, env=environment, check=True)
        assert (camera.asked, proxy.asked) == ((["/video.mjpg"], []) if direct else ([], [url])), blocked


def test_without_a_proxy_a_camera_is_asked_directly(servers: tuple[Server, Server]) -> None:
    camera, _ = servers
    url = f"http://127.0.0.1:{camera.server_port}/video.mjpg"
    environment = {name: value for name, value in os.environ.items() if name not in PROXIES}
    subprocess.run([sys.executable, "-c", OPEN, url, "blocked"], cwd=ROOT, env=environment, check=True)
    assert camera.asked == ["/video.mjpg"]


def test_the_capture_process_has_its_environment_before_its_threads() -> None:
    code = """
import os, threading
from realtime.capture import process as capture
start = threading.Thread.start
def checked(thread):
    print(os.environ["https_proxy"], os.environ["no_proxy"], flush=True)
    os._exit(0)
threading.Thread.start = checked
capture.CaptureSpec.from_json = lambda *_: None
capture.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in PROXIES} | {"no_proxy": "camera.example"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "http://127.0.0.1:9 *.camera.example\n"


@pytest.mark.parametrize(
    ("no_proxy", "written"),
    [
        ("", ""),
        ("*", "*,*"),
        ("a.example", "*.a.example"),
        (".a.example,*.b", "*.a.example,*.b"),
        ("*, a", "*,*.a"),
        (" 10.0.0.1  ::1 ", "*.10.0.0.1,*.::1"),
    ],
)
def test_exempt_hosts_as_ffmpeg_alone_reads_them(no_proxy: str, written: str) -> None:
    assert for_ffmpeg_alone(no_proxy) == written
    if written != "*,*":
        assert for_ffmpeg_alone(written) == written  # so a child process may do it again


def test_the_users_proxies_are_kept_for_what_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime.capture.mediapipe import process as mediapipe_process

    monkeypatch.setattr(mediapipe_process, "_before", {})
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", "b.example")
    monkeypatch.setenv("no_proxy", "a.example")
    for _ in range(2):
        mediapipe_process.block_reports()
        assert os.environ["https_proxy"] == os.environ["HTTPS_PROXY"] == "http://127.0.0.1:9"
        assert os.environ["no_proxy"] == "*.a.example"
        before = mediapipe_process.environment_before()
        assert [before[name] for name in ("https_proxy", "no_proxy", "NO_PROXY")] == [
            "http://proxy.example",
            "a.example",
            "b.example",
        ]


def test_three_tasks_at_once_leave_standard_error_open(trackers: list[Path]) -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", THREE_THREADS, *map(str, trackers)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.endswith("still heard\nand natively\n")


def test_whoever_is_quiet_last_opens_standard_error_again() -> None:
    done = subprocess.run([sys.executable, "-c", QUIET_TOGETHER], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.removesuffix("open").strip() in ("", "4")  # 0, 1, 2 and the listing's own: none is left behind


def test_a_closed_standard_error_is_left_alone(tmp_path: Path) -> None:
    code = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
from realtime.capture.mediapipe.process import quiet
with quiet():
    os.write(file, b"kept")
print(file)
"""
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "$0" "$1" 2>&-', code, str(tmp_path / "file")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == "2\n"  # the file took the descriptor
    assert (tmp_path / "file").read_bytes() == b"kept"
