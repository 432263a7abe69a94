"""Recordings that are not as they should be: the handed ones, and others made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from engines.common.errors import BadInput
from realtime.capture.sources import EndOfSource, FileSpec, Image, Source, open_source
from realtime.messages import CaptureState

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def odd() -> Path:
    folder = Path(__file__).resolve().parents[5] / "shared" / "data" / "odd_recordings"
    if not folder.is_dir():
        pytest.skip("no odd recordings beside the repository")
    return folder


def read(spec: FileSpec) -> tuple[list[Image], Source]:
    """All that is handed over. Whatever else there was must have been counted."""
    images: list[Image] = []
    with open_source(spec) as source:
        while True:
            try:
                image = source.read(5.0)
            except EndOfSource:
                break
            assert image is not None
            images.append(image)
    assert source.state is CaptureState.ENDED
    assert len(images) + source.left_out.total() == source.pictures
    times = [image.media_ns for image in images]
    assert times == sorted(set(times))
    return images, source


def lose_packet(path: Path, where: float) -> None:
    """Take one packet out of the middle of a picture of an MPEG transport stream; where: 0..1 of the file."""
    data = path.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    lost = next(
        at
        for at in range(int(where * len(packets)), len(packets))
        if packets[at][1] & 0x5F == 0x01 and packets[at][2] == 0 and packets[at][3] & 0x20 == 0
    )
    path.write_bytes(b"".join(packets[:lost] + packets[lost + 1 :]))


def test_lost_packets_damage_everything_until_the_next_key_picture(odd: Path) -> None:
    """The recording has one key picture, the first; the first loss hits a picture that the sixth rests on."""
    whole, _ = read(FileSpec(str(odd / "small_ref.mp4")))
    images, source = read(FileSpec(str(odd / "ts_1pct_loss.ts")))
    assert (source.pictures, source.left_out) == (60, {"damaged": 55})
    assert len(images) == 5
    for image, good in zip(images, whole, strict=False):
        assert np.array_equal(image.pixels, good.pixels)


def test_concealed_pictures_are_damaged(odd: Path) -> None:
    whole, _ = read(FileSpec(str(odd / "small_ref.mp4")))
    images, source = read(FileSpec(str(odd / "mjpeg_damaged.avi")))
    assert (source.pictures, source.left_out) == (33, {"damaged": 6})
    assert source.detail.startswith("27 pictures, 6 damaged")
    numbers = {round(image.media_ns * 15 / 1e9) for image in images}
    assert set(range(33)) - numbers == {4, 9, 14, 19, 24, 29}  # FFmpeg alone notices 9 and 24
    assert images[0].pixels.shape == (256, 256, 3)
    for image in images:
        good = whole[round(image.media_ns * 15 / 1e9)].pixels.reshape(256, 2, 256, 2, 3).mean((1, 3))
        assert np.abs(image.pixels - good).reshape(16, 16, 16, 16, 3).mean((1, 3)).max() < 12  # of 255, each 16x16


def test_a_camera_whose_every_picture_is_invalid_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "sloppy.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=15)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        for index in range(40):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 5 * index, np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                head, tables, rest = bytes(packet).partition(b"\xff\xdb")
                sloppy = av.Packet(head + b"\x11\x22\x33" + tables + rest)  # bytes between two segments
                sloppy.stream, sloppy.pts, sloppy.dts = stream, packet.pts, packet.dts
                sloppy.time_base, sloppy.is_keyframe = packet.time_base, True
                container.mux(sloppy)
    images, source = read(FileSpec(str(path)))
    assert (source.pictures, source.left_out) == (40, {"damaged": 7})
    assert [image.frame_id for image in images] == list(range(33))
    assert "every picture is invalid JPEG" in source.detail


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("h264.ts", ["-c:v", "libx264", "-x264-params", "keyint=10:min-keyint=10:scenecut=0"]),
        ("open.ts", ["-c:v", "libx264", "-x264-params", "keyint=10:min-keyint=10:scenecut=0:open-gop=1"]),
        ("mpeg2.ts", ["-c:v", "mpeg2video", "-g", "10", "-bf", "2", "-sc_threshold", "1000000000"]),
    ],
)
def test_the_next_key_picture_is_clean_again(lab: Any, tmp_path: Path, name: str, codec: list[str]) -> None:
    path = tmp_path / name
    lab.ffmpeg(*lab.counting(), "-vf", "noise=alls=20:allf=t", *codec, path)
    whole = {image.media_ns: image for image in read(FileSpec(str(path)))[0]}
    lose_packet(path, 0.5)
    images, source = read(FileSpec(str(path)))
    assert 1 <= source.left_out["damaged"] <= 13
    assert lab.number(images[-1].pixels) == 49
    assert all(np.array_equal(image.pixels, whole[image.media_ns].pixels) for image in images)


def test_intra_refresh_is_clean_again_after_a_whole_cycle(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "refresh.ts"
    lab.ffmpeg(
        *lab.counting(seconds=6),
        "-vf",
        "noise=alls=20:allf=t",
        "-c:v",
        "libx264",
        "-x264-params",
        "intra-refresh=1:keyint=20:bframes=0:scenecut=0",
        path,
    )
    whole = {image.media_ns: image for image in read(FileSpec(str(path)))[0]}
    assert len(whole) == 150
    lose_packet(path, 0.33)
    images, source = read(FileSpec(str(path)))
    assert 20 <= source.left_out["damaged"] <= 45
    assert images[-1].media_ns == max(whole)
    assert all(np.array_equal(image.pixels, whole[image.media_ns].pixels) for image in images)


def test_a_recording_shorter_than_it_declares_says_so(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    lab.ffmpeg(*lab.counting(seconds=6), "-c:v", "mjpeg", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    images, source = read(FileSpec(str(path)))
    assert f"ends at {images[-1].media_ns / 1e9:.1f} s of the 6.0 s that it declares" in source.detail


def test_timestamps_far_off_are_left_out(odd: Path) -> None:
    whole, _ = read(FileSpec(str(odd / "small_ref.mp4")))
    images, source = read(FileSpec(str(odd / "jump_two_pts.mkv")))
    assert (source.pictures, source.left_out) == (60, {"time": 2})
    assert source.detail == "58 pictures, 2 time"
    there = [image for number, image in enumerate(whole) if number not in (30, 31)]
    for image, good in zip(images, there, strict=True):
        assert abs(image.media_ns - good.media_ns) < 1_000_000
        assert np.array_equal(image.pixels, good.pixels)


def test_an_impossible_frame_rate_is_refused_unless_the_true_one_is_given(odd: Path) -> None:
    path = odd / "avi_scale_4e9.avi"
    with pytest.raises(BadInput, match=r"claims 4.66e-10 frames/s.*--fps") as caught:
        read(FileSpec(str(path)))
    assert "\n" not in str(caught.value)
    images, source = read(FileSpec(str(path), fps=15))
    assert source.detail == "22 pictures"
    assert [image.media_ns for image in images] == [round(number * 1e9 / 15) for number in range(22)]


def test_a_film_that_claims_600_frames_a_second_is_reported(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "fast.mp4"
    lab.ffmpeg(*lab.counting(rate=600, seconds=0.1), "-c:v", "libx264", path)
    _, source = read(FileSpec(str(path)))
    assert "claims 600 frames/s throughout; if that is wrong give the true rate with --fps" in source.detail


def test_pixels_are_made_square(odd: Path) -> None:
    whole, _ = read(FileSpec(str(odd / "small_ref.mp4")))
    images, source = read(FileSpec(str(odd / "anamorphic_sar2.mp4")))
    assert source.detail == "60 pictures"
    for image, good in zip(images, whole, strict=True):
        assert image.media_ns == good.media_ns
        assert image.pixels.shape == (480, 512, 3)
        assert good.pixels.shape == (512, 512, 3)  # its own pixels are 15:16
        same = cv2.resize(good.pixels, (512, 480)).astype(int)
        assert np.abs(image.pixels - same).mean() < 5  # of 255: half the columns are interpolated


def test_pixels_are_made_square_before_the_picture_is_turned(lab: Any, counted: Path, tmp_path: Path) -> None:
    wide, path = tmp_path / "wide.mp4", tmp_path / "turned.mp4"
    lab.ffmpeg("-i", counted, "-vf", "setsar=2", "-c:v", "libx264", wide)
    lab.ffmpeg("-display_rotation", "90", "-i", wide, "-c", "copy", path)
    with open_source(FileSpec(str(path))) as source:
        assert source.detail == "320x96 at 25.0 fps, from pixels of 2:1"
        image = source.read(5.0)
    assert image is not None
    assert image.pixels.shape == (320, 96, 3)


def test_the_film_is_read_not_the_thumbnail_before_it(odd: Path) -> None:
    whole, _ = read(FileSpec(str(odd / "small_ref.mp4")))
    spec = FileSpec(str(odd / "thumb_first_stream.mkv"))
    with open_source(spec) as source:
        assert source.detail == "512x512 at 15.0 fps, from pixels of 15:16, video stream 1 of 2 (--stream 0 to 1)"
    images, _ = read(spec)
    assert len(images) == 60
    assert all(np.array_equal(image.pixels, good.pixels) for image, good in zip(images, whole, strict=True))
    assert len(read(FileSpec(spec.path, stream=0))[0]) == 1
    with pytest.raises(BadInput, match="--stream 0 to 1"):
        read(FileSpec(spec.path, stream=2))


def test_without_a_default_the_longest_is_read(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    lab.ffmpeg(
        *lab.counting(seconds=0.4),
        *lab.counting(seconds=1.0),
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "libx264",
        "-disposition",
        "0",
        "-default_mode",
        "passthrough",
        path,
    )
    assert len(read(FileSpec(str(path)))[0]) == 25


def test_without_any_key_picture_it_goes_on_with_what_there_is(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "endless.ts"
    lab.ffmpeg(
        *lab.counting(seconds=30),
        "-vf",
        "noise=alls=20:allf=t",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-x264-params",
        "keyint=infinite:scenecut=0:bframes=0",
        path,
    )
    lose_packet(path, 0.02)
    images, source = read(FileSpec(str(path)))
    assert "no whole picture among 600: going on with what there is" in source.detail
    assert 600 <= source.left_out["damaged"] <= 603
    assert source.pictures == 750
    assert images[-1].media_ns - images[0].media_ns == 749 * 40_000_000


def test_a_stream_that_nothing_decodes_is_refused(odd: Path, tmp_path: Path) -> None:
    path = tmp_path / "unknown.mp4"
    path.write_bytes((odd / "small_ref.mp4").read_bytes().replace(b"avc1", b"zzz1"))
    with pytest.raises(BadInput, match="nothing here decodes") as caught:
        read(FileSpec(str(path)))
    assert "\n" not in str(caught.value)
