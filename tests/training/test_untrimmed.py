"""Untrimmed, multi-label video: lists, windows as the live path cuts them, and a run from recipe to thresholds."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.networks.registry import make_spec
from simulation.windows import samples
from tests.conftest import number_in, write_numbered
from training.__main__ import main
from training.data.interval_lists import LabelledRecording, read_interval_list
from training.data.untrimmed import LiveWindows, RandomWindows, Recordings

pytestmark = pytest.mark.slow

COLORS = {9: (200, 40, 40), 24: (40, 40, 200)}  # nodding, shaking legs
SPEC = make_spec("manet", ["depth=18", "width=8", "size=32", "length=4", "embedding=false"])
RECIPE = """
name = "open"
task = "untrimmed"
[network]
architecture = "manet"
depth = 18
width = 8
size = 32
length = 4
embedding = false
[data]
train_list = "list.csv"
val_list = "list.csv"
[optimiser]
epochs = 30
batch_size = 4
learning_rate = 1e-2
[selection]
keep = "best"
score = "map"
[calibration]
precision = 0.5
"""


def write_video(path: Path, seconds: float, events: list[tuple[int, float, float]]) -> None:
    """Grey, with a square of the colour of each action while it runs."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(round(seconds * 20)):
            picture = np.full((64, 64, 3), 90, np.uint8)
            for index, onset, offset in events:
                if onset <= number / 20 < offset:
                    left = 2 if index == 9 else 34
                    picture[8:56, left : left + 28] = COLORS[index]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos: one action, two that overlap, none."""
    made = tmp_path_factory.mktemp("untrimmed")
    events = {"a.mp4": [(9, 3.0, 6.0)], "b.mp4": [(9, 2.0, 5.0), (24, 4.0, 7.0)], "c.mp4": []}
    lines = ["video,onset_s,offset_s,action"]
    for name, intervals in events.items():
        write_video(made / name, 11.0, intervals)
        lines += [f"{name},{onset},{offset},{index}" for index, onset, offset in intervals] or [f"{name},,,"]
    (made / "list.csv").write_text("\n".join(lines) + "\n")
    write_video(made / "d.mp4", 21.0, [(9, 1.0, 3.0)])
    write_video(made / "e.mp4", 21.0, [(9, 1.0, 3.0)])
    (made / "busy.csv").write_text(f"{lines[0]}\nd.mp4,1,3,9\ne.mp4,1,3,9\n")
    return made


def test_lists_as_csv_and_as_json_say_the_same(folder: Path) -> None:
    found = read_interval_list(folder / "list.csv", folder)
    assert found[1] == LabelledRecording("b.mp4", ((9, 2.0, 5.0), (24, 4.0, 7.0)))
    assert found[2] == LabelledRecording("c.mp4", ())
    labels = {"a": [("nodding", 3, 6)], "b": [("B1", 2, 5), ("shaking legs", 4, 7)], "c.mp4": []}
    database = {
        name: {"annotations": [{"segment": [on, off], "label": label} for label, on, off in each]}
        for name, each in labels.items()
    }
    (folder / "list.json").write_text(json.dumps({"database": database}))
    assert read_interval_list(folder / "list.json", folder) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.mp4,1,2,nodding twice", "no action 'nodding twice' at line 2"),
        ("a.mp4,2,2,B1", "no interval from 2 to 2 s at line 2"),
        ("a.mp4,x,2,B1", "could not convert"),
        ("a.mp4,1,2", "3 values at line 2"),
        ("z.mp4,1,2,B1", "1 missing, the first z.mp4"),
        ("", "which has no videos"),
    ],
)
def test_faulty_lists_are_refused(text: str, words: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(f"video,onset_s,offset_s,action\n{text}\n")
    with pytest.raises(BadInput, match=words):
        read_interval_list(tmp_path / "bad.csv", folder)


def test_windows_are_the_live_paths(tmp_path: Path) -> None:
    """Pictures of a variable rate carry their numbers: each is the newest at its moment."""
    times_ms = np.cumsum(np.tile([20, 45, 33, 70], 30))
    write_numbered(tmp_path / "numbers.mp4", times_ms.tolist())
    recordings = Recordings([LabelledRecording("numbers.mp4", ((9, 1.0, 2.0),))], tmp_path, SPEC, 1.9)
    times_ns = (times_ms - times_ms[0]).astype(np.int64) * 1_000_000
    np.testing.assert_array_equal(recordings.times_ns[0], times_ns)
    ends = recordings.ends_ns(0)
    assert (ends[0], ends[1] - ends[0]) == (1_900_000_000, 250_000_000)
    for end in ends[::4]:
        seen = [number_in(picture) for picture in recordings.pictures(0, int(end))]
        assert seen == samples(times_ns, np.array([end]), 1_900_000_000, 4)[0].tolist()


def test_targets_are_shares_of_several_actions_and_of_none(folder: Path) -> None:
    recordings = Recordings(read_interval_list(folder / "list.csv", folder), folder, SPEC, 1.9)
    live = LiveWindows(recordings)
    found = np.stack([live.item(at, 0)["targets"] for at in range(len(live))])
    both = (found[:, 9] > 0.9) & (found[:, 24] > 0.9)
    assert both.any()
    assert (found.sum(axis=1) == 0).sum() > len(found) / 3, "background"
    windows = RandomWindows(recordings, seed=0)
    assert len(windows) == 3 * 5
    first, again, other = windows.item(5, 0), windows.item(5, 0), windows.item(5, 1)
    np.testing.assert_array_equal(first["clips"], again["clips"])
    assert (first["targets"] != other["targets"]).any() or (first["clips"] != other["clips"]).any()


@pytest.mark.long
def test_from_a_recipe_to_thresholds_fitted_on_labelled_video(
    folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    recipe = tmp_path / "open.toml"
    recipe.write_text(RECIPE)
    words = ["run", str(recipe), "--data", str(folder), "--threads", "1"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    card = Bundle.load(tmp_path / "run" / "model").card
    assert card.calibration.activation == "sigmoid"
    assert card.provenance.trained_on == "MMA-52: 3 untrimmed videos with 3 actions"
    assert "labelled video, 3 recordings" in card.calibration.basis
    assert len(card.calibration.enter) == 52
    evaluate = ["evaluate-untrimmed", str(tmp_path / "run" / "model"), "--data", str(folder)]
    evaluate += ["--list", str(folder / "list.csv"), "--engine", "onnxruntime", "--out"]
    assert main([*evaluate, str(tmp_path / "scores")]) == 0
    rows = dict(list(csv.reader((tmp_path / "scores" / "scores.csv").open()))[1:])
    judged = dict(list(csv.reader((tmp_path / "run" / "scores" / "scores.csv").open()))[1:])
    assert float(rows["map"]) == pytest.approx(float(judged["map"]), abs=0.01)
    assert float(rows["map"]) > 0.7, "two colours are learnt"
    assert float(rows["event_f1_micro"]) > 0.3
    short = refused(*words, "--out", tmp_path / "short", "--set", "data.span_s=12.0")
    assert "expected videos of 12 s or more, a window's length, got a.mp4 of 10.95 s" in short
    few = refused(*words, "--out", tmp_path / "few", "--set", "data.span_s=9.0")
    assert "expected 100 windows or more in data.val_list, got 24" in few
    budget = refused(
        *words, "--out", tmp_path / "few", "--set", "calibration.precision=null", "--set", "data.val_list=busy.csv"
    )
    assert "videos without any action" in budget
