"""Every mistake a user can make: exit code 2 and one line that says what was expected, what came and how to fix it."""

import pickle
import shutil
import subprocess

import imageio_ffmpeg
import pytest
import zmq

from engines.common.errors import BadInput
from tests.conftest import ROOT, manet_live, manet_live_here, refused
from tests.realtime.sessions import free_port

SHIPPED = ROOT / "engines" / "models" / "untrained-small"


@pytest.mark.slow
def test_a_missing_file():
    done = manet_live("replay", "no-such.mp4", "--headless")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("manet-live: error: expected ")
    assert done.err == f"{refused('replay', 'no-such.mp4', '--headless')}\n"


@pytest.mark.slow
def test_one_unreadable_recording_of_two(recording, tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("this is not a video\n" * 100)
    assert "notes.mp4" in refused("replay", recording, path, "--headless")


def test_the_same_source_twice(recording):
    assert "scenes.mp4 twice" in refused("replay", recording, recording, "--headless")
    assert "camera 1 twice" in refused("live", "--camera", "1", "--camera", "0", "--camera", "1", "--headless")
    url = "rtsp://user:secret@host/live"
    line = refused("live", "--url", url, "--url", url, "--headless")
    assert "host/live twice" in line
    assert "secret" not in line


def test_more_cameras_than_one_session_takes(tmp_path):
    assert "1 to 8 cameras" in refused("replay", *(tmp_path / f"{at}.mp4" for at in range(9)), "--headless")


@pytest.mark.slow
def test_one_camera_of_two_that_does_not_open():
    done = manet_live(
        "live",
        "--camera",
        "98",
        "--camera",
        "97",
        "--headless",
        "--model",
        "untrained-small",
        "--engine",
        "onnxruntime",
    )
    assert done.code == 2
    assert done.err.strip().splitlines()[-1].startswith("manet-live: error: expected ")
    last = done.of("session")[-1]
    assert (last["state"], last["camera"]) == ("failed", None)
    assert "camera 9" in last["detail"]


def test_a_text_file_as_video(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("this is not a video\n" * 100)
    assert "notes.mp4" in refused("replay", path, "--headless")


def test_a_folder_as_video(tmp_path):
    assert "a video" in refused("replay", tmp_path, "--headless")


def test_a_video_without_frames(tmp_path):
    path = tmp_path / "sound.mp4"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", str(path)], check=True
    )
    assert "sound.mp4" in refused("replay", path, "--headless")


@pytest.mark.slow
def test_a_camera_that_does_not_open():
    model = ("--model", "untrained-small", "--engine", "onnxruntime", "--no-emotion")
    done = manet_live("live", "--camera", "97", "--headless", *model)
    assert done.code == 2
    (line,) = done.err.strip().splitlines()
    assert line.startswith("manet-live: error: expected ")
    assert "97" in line
    assert done.of("session")[-1]["state"] == "failed"


@pytest.mark.parametrize("url", ["ftp://host/x", "nonsense", "rtsp://", "http://host:99999/"])
def test_a_url_that_is_none(url):
    refused("live", "--url", url, "--headless")


def test_a_busy_endpoint(recording, context):
    holder = context.socket(zmq.PUB)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    holder.bind(endpoint)
    assert endpoint in refused("replay", recording, "--headless", "--publish", endpoint)


def test_an_endpoint_that_others_could_reach(recording):
    assert "local endpoint" in refused("replay", recording, "--headless", "--publish", "tcp://0.0.0.0:5555")


def test_an_unknown_model_lists_the_known_ones(recording):
    assert "untrained-small" in refused("replay", recording, "--headless", "--model", "no-such-model")


@pytest.mark.parametrize("name", ["card.json", "model.onnx", "reference.npz"])
def test_a_bundle_with_a_changed_byte(recording, tmp_path, name):
    shutil.copytree(SHIPPED, tmp_path / "model", ignore=shutil.ignore_patterns("engines"))
    path = tmp_path / "model" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert name in refused("replay", recording, "--headless", "--model", tmp_path / "model")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[window]\nhop = 1\n", "`hop`"),
        ("[window]\nhop_s = 99\n", "window.hop_s"),
        ("[[[", "TOML"),
        ("[engine]\nruntime = 'abacus'\n", "abacus"),
    ],
)
def test_a_wrong_configuration(recording, tmp_path, text, fault):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    assert fault in refused("replay", recording, "--headless", "--config", path)


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf", ""])
def test_a_speed_that_is_none(recording, speed):
    assert "--speed" in refused("replay", recording, "--headless", f"--speed={speed}")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("replay",),
        ("fly",),
        ("replay", "x", "--no-such-flag"),
        ("live", "--camera", "-1"),
        ("live", "--camera", "x"),
        ("demo", "--seconds", "0"),
        ("demo", "--seconds", "nan"),
        ("demo", "--seed", "-1"),
    ],
)
def test_a_wrong_command_line(arguments):
    assert "--help" in refused(*arguments)


def test_settings_out_of_bounds_on_the_command_line(recording):
    assert "window.hop_s" in refused("replay", recording, "--hop", "0")
    assert "view.crop" in refused("replay", recording, "--crop", "left")


def test_a_record_folder_that_holds_a_session(recording, tmp_path):
    (tmp_path / "events.jsonl").write_text("precious\n")
    assert "holds a session" in refused("replay", recording, "--headless", "--record", tmp_path)
    assert (tmp_path / "events.jsonl").read_text() == "precious\n"


def test_print_config_shows_the_effective_settings_and_exits_with_0():
    done = manet_live_here("live", "--crop", "full", "--print-config")
    assert done.code == 0
    assert 'crop = "full"' in done.out


def test_bad_input_keeps_its_line_from_one_process_to_another():
    error = BadInput("a model", "none", "give one")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, BadInput)
    assert str(again) == str(error) == "expected a model, got none; give one"
