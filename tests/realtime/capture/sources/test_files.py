from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.common.errors import BadInput
from realtime.capture.sources import EndOfSource, FileSpec, Image, Source, open_source, probe
from realtime.capture.sources.files import FileSource
from realtime.messages import CaptureState

pytestmark = pytest.mark.slow

NOISE = ["-vf", "noise=alls=20:allf=t"]  # makes packets large enough for damage to hit pictures, not headers


def read_all(source: Source) -> list[Image]:
    images: list[Image] = []
    while True:
        try:
            image = source.read(5.0)
        except EndOfSource:
            return images
        assert image is not None
        images.append(image)


def read_file(path: Path, resume_after_ns: int | None = None) -> list[Image]:
    with open_source(FileSpec(str(path), resume_after_ns)) as source:
        return read_all(source)


def test_every_picture_comes_once_in_order_with_its_time(lab: Any, counted: Path) -> None:
    with open_source(FileSpec(str(counted))) as source:
        assert (source.live, source.state, source.detail) == (False, CaptureState.STREAMING, "160x96 at 25.0 fps")
        images = read_all(source)
        assert (source.state, source.detail, source.left_out.total()) == (CaptureState.ENDED, "50 pictures", 0)
    assert [lab.number(image.pixels) for image in images] == list(range(50))
    assert [image.frame_id for image in images] == list(range(50))
    assert [image.media_ns for image in images] == [index * 40_000_000 for index in range(50)]
    captured = [image.captured_ns for image in images]
    assert captured == sorted(captured)
    assert len({id(image.pixels.base) for image in images}) in (1, 50)  # no two pictures share memory
    assert not np.shares_memory(images[0].pixels, images[1].pixels)


def test_making_a_source_touches_nothing() -> None:
    assert open_source(FileSpec("not/there.mp4")).state is CaptureState.OPENING


def test_a_spec_crosses_a_process_boundary(counted: Path) -> None:
    spec = FileSpec(str(counted), 7)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.name == "counted.mp4"


def test_true_times_of_a_variable_frame_rate(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "vfr.mp4"
    keep = "select='not(between(n,10,19))*not(eq(mod(n,3),1))'"
    lab.ffmpeg(*lab.counting(), "-vf", keep, "-fps_mode", "vfr", "-c:v", "libx264", path)
    wanted = [n for n in range(50) if not 10 <= n <= 19 and n % 3 != 1]
    images = read_file(path)
    assert [lab.number(image.pixels) for image in images] == wanted
    assert [image.media_ns for image in images] == [n * 40_000_000 for n in wanted]


def test_times_agree_with_ffprobe_on_a_real_variable_rate_recording(clips: Path) -> None:
    path = clips / "variable_frame_rate.mp4"
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=pts", "-of", "json", path]
    try:
        probed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["frames"]
    except FileNotFoundError:
        pytest.skip("no ffprobe on this machine")
    assert [image.media_ns for image in read_file(path)] == [
        round(frame["pts"] * 1_000_000_000 / 15360) for frame in probed
    ]


def test_a_late_start_is_kept(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    lab.ffmpeg(*lab.counting(seconds=0.4), "-c:v", "libx264", "-output_ts_offset", "3.2", path)
    assert [image.media_ns for image in read_file(path)][:2] == [3_200_000_000, 3_240_000_000]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_range", "tv"],
        ["-pix_fmt", "yuv420p", "-colorspace", "smpte170m", "-color_range", "tv"],
        ["-pix_fmt", "yuvj420p", "-colorspace", "bt470bg", "-color_range", "pc"],
        ["-pix_fmt", "yuv444p", "-colorspace", "bt709", "-color_range", "pc"],
    ],
    ids=["bt709", "bt601", "full", "444"],
)
def test_colours_are_ffmpegs_own(lab: Any, tmp_path: Path, arguments: list[str]) -> None:
    path = tmp_path / "colours.mp4"
    lab.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x96:r=5:d=1", *arguments, "-c:v", "libx264", path)
    raw = lab.ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(-1, 96, 160, 3)
    assert np.array_equal(np.stack([image.pixels for image in read_file(path)]), expected)


@pytest.mark.parametrize(
    "matrix",
    [
        ["-display_rotation", "90"],
        ["-display_rotation", "180"],
        ["-display_rotation", "270"],
        ["-display_hflip"],
        ["-display_rotation", "90", "-display_hflip"],
        ["-display_rotation", "90", "-display_vflip"],
    ],
    ids=lambda matrix: "".join(matrix),
)
def test_a_phone_held_sideways_is_turned_upright(lab: Any, counted: Path, tmp_path: Path, matrix: list[str]) -> None:
    path = tmp_path / "turned.mp4"
    lab.ffmpeg(*matrix, "-i", counted, "-c", "copy", path)
    first = read_file(path)[0].pixels
    raw = lab.ffmpeg("-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")  # turns by itself
    assert first.flags.c_contiguous
    assert first.shape == ((160, 96, 3) if {"90", "270"} & set(matrix) else (96, 160, 3))
    assert np.array_equal(first, np.frombuffer(raw, np.uint8).reshape(first.shape))


def test_resume_goes_on_after_the_last_picture_seen(lab: Any, counted: Path) -> None:
    images = read_file(counted, resume_after_ns=1_240_000_000)
    assert [image.frame_id for image in images] == list(range(32, 50))
    assert [lab.number(image.pixels) for image in images] == list(range(32, 50))
    assert images[0].media_ns == 1_280_000_000
    assert read_file(counted, resume_after_ns=10**12) == []


def test_a_long_skip_returns_now_and_then(counted: Path) -> None:
    """The caller must be able to send heartbeats meanwhile."""
    with open_source(FileSpec(str(counted), 1_960_000_000 - 1)) as source:
        assert source.read(0.0) is None
        assert source.detail == "skipping to 2.0 s"
        image = source.read(5.0)
        assert image is not None
        assert image.frame_id == 49
        assert source.detail == "160x96 at 25.0 fps"


def test_a_damaged_stretch_is_skipped_and_counted(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "damaged.avi"
    lab.ffmpeg(*lab.counting(), "-c:v", "mjpeg", path)
    data = bytearray(path.read_bytes())
    start = data.index(b"00dc", len(data) // 2) + 8  # one packet's payload
    length = int.from_bytes(data[start - 4 : start], "little")
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    source = FileSource(path)
    with source:
        images = read_all(source)
    numbers = [lab.number(image.pixels) for image in images]
    assert (source.pictures, source.left_out) == (50, {"damaged": 1})
    assert source.detail == "49 pictures, 1 damaged"
    assert len(numbers) == 49
    assert numbers[-1] == 49
    assert [image.media_ns for image in images] == [number * 40_000_000 for number in numbers]


@pytest.mark.parametrize("container", ["mkv", "ts"])
def test_damage_inside_a_stream_does_not_end_it(lab: Any, tmp_path: Path, container: str) -> None:
    path = tmp_path / f"damaged.{container}"
    lab.ffmpeg(*lab.counting(), *NOISE, "-c:v", "libx264", "-g", "10", path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(data)
    images = read_file(path)
    times = [image.media_ns for image in images]
    assert len(images) >= 35
    assert times == sorted(set(times))
    assert lab.number(images[-1].pixels) == 49


@pytest.mark.parametrize("container", ["mkv", "ts", "avi"])
def test_a_recording_that_breaks_off_ends_there(lab: Any, tmp_path: Path, container: str) -> None:
    path = tmp_path / f"cut.{container}"
    lab.ffmpeg(*lab.counting(), *NOISE, "-c:v", "libx264", "-g", "10", "-bf", "0", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    images = read_file(path)
    assert 10 <= len(images) < 50
    assert [lab.number(image.pixels) for image in images][:10] == list(range(10))


def test_b_frames_in_avi_keep_their_order(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "b.avi"
    lab.ffmpeg(*lab.counting(), "-c:v", "libx264", "-bf", "2", path)
    images = read_file(path)
    numbers = [lab.number(image.pixels) for image in images]
    assert len(images) >= 48
    assert numbers == sorted(numbers)


def test_a_stream_without_times_gets_its_nominal_rate(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "bare.h264"
    lab.ffmpeg(*lab.counting(seconds=0.4), "-c:v", "libx264", path)
    source = FileSource(path)
    with source:
        assert [image.media_ns for image in read_all(source)] == [n * 40_000_000 for n in range(10)]
    assert source.detail == "10 pictures, 10 without a time"


def test_cover_art_is_not_the_video(lab: Any, tmp_path: Path) -> None:
    cover, path = tmp_path / "cover.png", tmp_path / "song.mp3"
    lab.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1", cover)
    lab.ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
        "-i",
        cover,
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "copy",
        "-disposition:v",
        "attached_pic",
        path,
    )
    with pytest.raises(BadInput, match="sound alone"):
        probe(FileSpec(str(path)))


def test_each_mistake_gets_one_clear_line(lab: Any, counted: Path, tmp_path: Path) -> None:
    def says(path: Path, words: str) -> None:
        with pytest.raises(BadInput, match=words) as caught:
            probe(FileSpec(str(path)))
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)

    says(tmp_path / "missing.mp4", "No such file")
    says(tmp_path, "a folder")
    (tmp_path / "empty.mp4").touch()
    says(tmp_path / "empty.mp4", "empty file")
    for name in ("notes.txt", "notes.mp4"):
        (tmp_path / name).write_text("not a video\n" * 50)
    says(tmp_path / "notes.txt", "a text file")
    says(tmp_path / "notes.mp4", "complete recording")
    lab.ffmpeg("-f", "lavfi", "-i", "sine=d=1", tmp_path / "sound.m4a")
    says(tmp_path / "sound.m4a", "sound alone")
    lab.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1", tmp_path / "still.png")
    says(tmp_path / "still.png", "a still picture")
    (tmp_path / "cut.mp4").write_bytes(counted.read_bytes()[:3000])
    says(tmp_path / "cut.mp4", "complete recording")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    says(tmp_path / "list.m3u8", "video file")


def test_a_video_stream_without_pictures(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "none.avi"
    lab.ffmpeg(*lab.counting(seconds=0.2), "-c:v", "mjpeg", path)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(BadInput, match=r"none\.avi"):
        probe(FileSpec(str(path)))


def test_closing_twice_and_reading_after(counted: Path) -> None:
    source = open_source(FileSpec(str(counted)))
    source.open()
    source.close()
    source.close()
    with pytest.raises(EndOfSource):
        source.read(0.1)


def test_nothing_is_printed(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mkv"
    data = bytearray((clips / "upper_body_asl_no.mkv").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    bad.write_bytes(data)
    code = (
        "import sys; from realtime.capture.sources import *\n"
        "s = open_source(FileSpec(sys.argv[1])); s.open()\n"
        "try:\n    while True: s.read(1)\nexcept EndOfSource: pass"
    )
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run([sys.executable, "-c", code, str(bad)], cwd=root, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
