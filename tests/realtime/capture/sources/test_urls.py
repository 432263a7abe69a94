from __future__ import annotations

import pytest

from engines.common.errors import BadInput
from realtime.capture.sources import CameraSpec, StreamSpec, probe
from realtime.capture.sources.urls import check_url, public_name


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://cam.local/stream",
        "rtsps://cam.local:322/a",
        "rtsp://user:p%40ss@10.0.0.2:554/h264?channel=1",
        "http://127.0.0.1:8080/",
        "https://cam.example/video.mjpg",
        "udp://@:5004",
        "udp://239.0.0.1:1234",
        "udp://127.0.0.1:5004?fifo_size=100000",
        "tcp://127.0.0.1:9000",
        "rtsp://[::1]:8554/live",
    ],
)
def test_good_urls_pass(url: str) -> None:
    probe(StreamSpec(url))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/a.ts", "ftp"),
        ("file:///etc/passwd", "file"),
        ("camera.local/stream", "without a scheme"),
        ("", "without a scheme"),
        ("rtsp://", "with a host"),
        ("http:///path", "with a host"),
        ("rtsp://ho st/a", "host"),
        ("udp://127.0.0.1", "with a port"),
        ("udp://@", "with a port"),
        ("rtsp://host:99999/a", "host:port"),
        ("rtsp://[::1/a", "host:port"),
        ("concat:a|b", "concat"),
    ],
)
def test_bad_urls_get_one_clear_line(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        check_url(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://admin:secret@10.0.0.2:554/h264", "rtsp://10.0.0.2:554/h264"),
        ("rtsp://admin:se/cr@et@10.0.0.2/h264/x", "rtsp://10.0.0.2/h264/x"),
        ("http://cam/video?user=admin&password=secret", "http://cam/video?…"),
        ("rtsp://cam/user=admin_password=secret_channel=1.sdp", "rtsp://cam/user=…_password=…_channel=1.sdp"),
        ("udp://@:5004", "udp://:5004"),
        ("admin:secret@cam/h264", "cam/h264"),
    ],
)
def test_names_hold_no_secrets(url: str, name: str) -> None:
    assert public_name(url) == name
    assert StreamSpec(url).name == name
    assert "secret" not in repr(StreamSpec(url))


def test_errors_hold_no_secrets() -> None:
    for url in ("rtsp://admin:secret@host:99999/a", "ftp://admin:secret@host/a", "admin:secret@host/a"):
        with pytest.raises(BadInput) as caught:
            check_url(url)
        assert "secret" not in str(caught.value)


def test_a_camera_number_is_checked() -> None:
    probe(CameraSpec(0))
    with pytest.raises(BadInput, match="-1"):
        probe(CameraSpec(-1))
