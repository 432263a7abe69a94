"""What is recorded beside the lines: landmarks that give the same events again, and the picture with its true times."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from engines.landmarks.landmark_file import read_header, read_pictures
from realtime.capture.media import MOST_WAITING, MediaFiles, MediaRecorder
from realtime.capture.sources.base import Image
from realtime.messages import Frame
from tests.bundles import untrained_landmarks
from tests.conftest import manet_live, number_in, numbered_picture, refused, write_numbered


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> tuple[str | Path, ...]:
    """Options with which an untrained model finds events, however slowly a busy machine loads the trackers."""
    config = tmp_path_factory.mktemp("settings") / "eventful.toml"
    text = Path(__file__).with_name("eventful.toml").read_text()
    config.write_text(f"{text}\n[supervision]\nhang_s = 120.0\n")
    return ("--headless", "--engine", "onnxruntime", "--config", config)


@pytest.fixture(scope="module")
def landmark_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_landmarks(tmp_path_factory.mktemp("models") / "landmarks").path


@pytest.mark.slow
def test_landmarks_give_the_same_bytes_as_the_session_they_are_of(landmark_model, eventful, tmp_path) -> None:
    options = ("--speed", "max", "--model", landmark_model, "--no-emotion", *eventful)
    file = tmp_path / "session.landmarks"
    recorded = ("--record-landmarks", file, "--record", tmp_path / "record")
    first = manet_live("demo", "--seconds", "8", *options, *recorded, timeout=280)
    again = manet_live("replay", file, *options)
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert first.action_text.count("\n") > 3
    assert again.action_text == first.action_text
    assert again.of("stats")[-1]["frames"] == first.of("stats")[-1]["frames"] == 240
    described = json.loads((tmp_path / "record" / "session.json").read_text())
    assert described["media"] == [{"camera": 0, "kind": "landmarks", "path": str(file)}]


@pytest.mark.slow
@pytest.mark.long
def test_a_filmed_person_is_judged_the_same_from_landmarks(landmark_model, eventful, clips, trackers, tmp_path) -> None:
    options = ("--speed", "max", "--model", landmark_model, *eventful)
    landmarks, video = tmp_path / "session.landmarks", tmp_path / "session.mp4"
    recorded = ("--record-landmarks", landmarks, "--record-video", video, "--consent", "written")
    clip = clips / "upper_body_asl_book.mkv"
    first = manet_live("replay", clip, *options, *recorded)
    again = manet_live("replay", landmarks, *options)
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert again.action_text == first.action_text
    assert len(first.of("emotion")) > 0
    for kind in ("visibility", "summary", "emotion"):
        assert again.of(kind) == first.of(kind)
    (here,), (there,) = again.of("recording"), first.of("recording")
    assert {key: value for key, value in here.items() if key != "source"} == {
        key: value for key, value in there.items() if key != "source"
    }
    assert read_header(landmarks).consent == "written"
    times = [one.rounded.media_ns for one in read_pictures(landmarks)]
    with av.open(str(video)) as container:
        shown = [round(frame.pts * frame.time_base * 10**9) for frame in container.decode(video=0)]
    assert len(shown) == len(times) > 10
    assert max(abs(one - other + times[0]) for one, other in zip(shown, times, strict=True)) <= 10**9 / 90_000 + 1


def recorder(folder: Path, generation: int = 0, live: bool = True) -> MediaRecorder:
    return MediaRecorder(MediaFiles(video=str(folder / "video.mp4")), "camera 0", generation, live)


def take(made: MediaRecorder, index: int, side: int = 64) -> None:
    pixels = np.repeat(np.repeat(numbered_picture(index), side // 64, 0), side // 64, 1)
    image = Image(pixels, index, 1, 10**9 + index * index * 10**6)
    made.take(image, Frame(0, index, 1, image.media_ns, pixels), None, None)


def pictures(path: Path) -> list[tuple[int, int]]:
    """(number drawn into it, time in ms) of each."""
    with av.open(str(path)) as container:
        return [
            (number_in(frame.to_ndarray(format="rgb24")), round(frame.pts * frame.time_base * 1000))
            for frame in container.decode(video=0)
        ]


def test_the_video_has_the_pictures_own_times_and_a_restart_another_file(tmp_path) -> None:
    for generation, name in ((0, "video.mp4"), (1, "video-restart1.mp4")):
        made = recorder(tmp_path, generation, live=False)
        for index in range(60):
            take(made, index)
        made.close(30.0)
        assert (made.fault, made.left_out) == ("", 0)
        assert pictures(tmp_path / name) == [(index, index * index) for index in range(60)]


def test_what_does_not_fit_into_the_queue_is_counted_and_nothing_is_overwritten(tmp_path) -> None:
    made = recorder(tmp_path)
    disk_stands_still = threading.Event()
    made._write = lambda taken: disk_stands_still.wait(30)
    for index in range(200):
        take(made, index)
    assert made.left_out in (200 - MOST_WAITING, 200 - MOST_WAITING - 1)  # one may be in the writer's hands
    disk_stands_still.set()
    made.close(30.0)
    (tmp_path / "video.mp4").write_text("mine")
    other = recorder(tmp_path)
    take(other, 0)
    other.close(30.0)
    assert other.fault == "nothing more is recorded of camera 0: File exists"
    assert (tmp_path / "video.mp4").read_text() == "mine"


@pytest.mark.slow
def test_a_killed_session_leaves_a_video_that_plays(tmp_path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from tests.realtime.test_recorded_media import recorder, take\n"
        "made = recorder(Path(sys.argv[1]), live=False)\n"
        "for index in range(110): take(made, index)\n"
        "made._changed.acquire(); made._changed.wait_for(lambda: not made._waiting, 60); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=120)
    assert done.returncode == -9
    numbers = [number for number, _ in pictures(tmp_path / "video.mp4")]
    assert numbers[:60] == list(range(60))


@pytest.mark.slow
def test_the_record_of_a_video_says_whose_it_is(landmark_model, eventful, tmp_path) -> None:
    source = write_numbered(tmp_path / "in.mp4", range(0, 2000, 40))
    form = tmp_path / "form.toml"
    form.write_text('participant = "P07 李"\nroom = "Lab 2"\n', encoding="utf-8")
    options = ("--crop", "full", "--model", landmark_model, "--consent", "written", "--form", form, "--room", "Lab 3")
    record, video = tmp_path / "record", tmp_path / "out.mp4"
    done = manet_live(
        "replay", source, "--speed", "max", *options, "--record", record, "--record-video", video, *eventful
    )
    assert done.code == 0, done.err
    described = json.loads((record / "session.json").read_text())
    assert described["metadata"] == {"participant": "P07 李", "room": "Lab 3"}
    assert described["media"] == [{"camera": 0, "kind": "video", "path": str(video)}]
    assert [at for _, at in pictures(video)] == list(range(0, 2000, 40))


def test_what_cannot_be_recorded_is_refused(tmp_path) -> None:
    source = write_numbered(tmp_path / "in.mp4", range(0, 200, 40))
    (tmp_path / "there.mp4").write_text("mine")
    replay = ("replay", source, "--headless")
    for arguments, message in (
        (("--record-video", tmp_path / "out.mp4"), "expected --record-video with --consent"),
        (("--record-video", tmp_path / "out.avi", "--consent", "yes"), "expected a .mp4 file for --record-video"),
        (("--record-video", tmp_path / "there.mp4", "--consent", "yes"), "expected a new --record-video file"),
        (("--record-landmarks", tmp_path / "none" / "file"), "expected a --record-landmarks file that can be written"),
        (("--form", tmp_path / "none.toml"), "expected a form in TOML"),
        (("--participant", "x" * 300), "expected a form of participant"),
    ):
        assert message in refused(*replay, *arguments)
    assert "expected --record-video of what this machine films" in refused(
        "demo", "--headless", "--record-video", tmp_path / "out.mp4", "--consent", "yes"
    )
    assert (tmp_path / "there.mp4").read_text() == "mine"


def test_a_model_that_sees_pixels_has_no_use_for_landmarks(tmp_path) -> None:
    file = tmp_path / "x.landmarks"
    file.write_bytes(b'manet-live landmarks 2\n{"source":"a","height":4,"width":4,"begins_ns":0}\n')
    assert "expected --fps and --stream with a video" in refused("replay", file, "--fps", "25", "--headless")
    pixels = ("--model", "untrained-small", "--no-emotion", "--headless")
    assert "expected a model that sees landmarks, got untrained-small" in refused("replay", file, *pixels)
