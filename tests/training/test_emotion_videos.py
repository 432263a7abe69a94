"""Training on real video files, and videos that cannot be used."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.specs.maenet import MAENetSpec
from engines.specs.manet import MANetSpec
from tests.training.conftest import TINY_MAENET, run_command
from training.__main__ import main
from training.data.emotion_lists import HEADER, LabelledVideo
from training.data.emotion_videos import Prepared, Videos, check, prepared_path, read_prepared

pytestmark = pytest.mark.slow

BRANCH = MANetSpec(depth=18, width=8, length=16, size=32, embedding=False)
SPEC = MAENetSpec(BRANCH, BRANCH)
TINY = f"""
name = "tiny"
task = "emotion-videos"
{TINY_MAENET}[data]
labels = "list.csv"
view = "rgb"
held_out = 0.3
[optimiser]
epochs = 1
batch_size = 3
learning_rate = 1e-3
"""


def write_video(path: Path, picture: np.ndarray, frames: int = 30, rate: int = 15) -> None:
    rng = np.random.default_rng(len(path.name))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = picture.shape[:2]
        for _ in range(frames):
            noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def data(face_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of one photograph, and one of nobody."""
    folder = tmp_path_factory.mktemp("videos")
    portrait = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))[..., ::-1]
    portrait = cv2.resize(portrait, (256, 300))
    for name, light in (("a", 1.0), ("b", 0.8), ("c", 0.6)):
        write_video(folder / f"{name}.mp4", portrait * light)
    write_video(folder / "nobody.mp4", np.full((128, 128, 3), 90.0))
    return folder


def write_list(data: Path, name: str, *lines: str) -> Path:
    path = data / name
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


@pytest.mark.long
def test_a_model_is_trained_on_videos_and_judged_on_other_people(
    data: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    write_list(data, "list.csv", "a.mp4,joy,B1 G2,s1", "b.mp4,anger,B1,s2", "c.mp4,joy,,s3")
    prepared = ("--cache", str(data / "prepared"))
    assert main([*run_command(recipe, tmp_path / "run", data=data), *prepared]) == 0
    bundle = Bundle.load(tmp_path / "run" / "model")
    assert bundle.card.provenance.trained_on == "emotion videos: 2 videos of 2 subjects, 1 epochs"
    assert bundle.card.view == "rgb"
    scores = {row["score"]: row["value"] for row in csv.DictReader((tmp_path / "run/scores/scores.csv").open())}
    assert 0.0 <= float(scores["accuracy"]) <= 1.0
    found = [read_prepared(path, SPEC) for path in sorted((data / "prepared").glob("*.npz"))]
    assert len(found) == 3
    for one in found:
        assert one.inputs["face_seen"].mean() > 0.9
        assert one.inputs["body"].shape[1:] == (32, 32, 3)
        assert 1.5 < one.seconds < 2.1

    write_list(data, "wrong.csv", "a.mp4,joy,,s1", "nobody.mp4,anger,,s2")
    wrong = run_command(recipe, tmp_path / "wrong", "data.labels=wrong.csv", data=data)
    assert "videos that show a face, got nobody.mp4, in which none was found" in refused(*wrong, *prepared)
    both = run_command(recipe, tmp_path / "both", "data.held_labels=wrong.csv", data=data)
    assert "lists without a subject in both, got 's1' in both" in refused(*both, *prepared)


def prepared_of(count: int, step_s: float = 0.1, face: int = 1, body: int = 1) -> Prepared:
    inputs = {name: np.zeros((count, *shape[1:]), np.uint8) for name, shape in SPEC.inputs.items()}
    inputs["face_seen"][:], inputs["body_seen"][:] = face, body
    inputs["body"] += np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Prepared((np.arange(count) * step_s * 1e9).astype(np.int64), inputs)


@pytest.mark.parametrize(
    ("prepared", "match"),
    [
        (prepared_of(15), r"at least T = 16 pictures, got x.mp4, of which 15"),
        (prepared_of(20, 0.04), r"videos of 1 s or more, got x.mp4 of 0.76 s"),
        (prepared_of(30, face=0), "show a face, got x.mp4"),
        (prepared_of(30, body=0), "show a person, got x.mp4"),
    ],
)
def test_videos_that_cannot_be_used_are_named(prepared: Prepared, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        check(prepared, "x.mp4", SPEC)
    check(prepared_of(16, 0.1), "x.mp4", SPEC)


def test_windows_are_cut_as_live_and_varied_in_training(tmp_path: Path) -> None:
    one = prepared_of(100)  # 9.9 s
    np.savez(tmp_path / "one.npz", times_ns=one.times_ns, **one.inputs)
    entries = (LabelledVideo("x.mp4", 2, (9, 51), "s"),)

    def videos(augment: bool = False, span_s: float = 3.2, per_video: int = 1) -> Videos:
        files = [tmp_path / "one.npz"]
        return Videos(augment, 1, False, entries=entries, files=files, spec=SPEC, span_s=span_s, per_video=per_video)

    plain = videos(per_video=3)
    assert len(plain) == 3
    numbers = [plain.item(index, 0)["body"][:, 0, 0, 0].tolist() for index in range(3)]
    assert all(np.allclose(np.diff(each), 2, atol=1) for each in numbers)  # 0.2 s apart, 10 pictures a second
    assert numbers[0][0] < 20 < numbers[1][0] < 50 < numbers[2][0]
    felt, actions = plain.labels()
    assert felt.tolist() == [[0, 0, 1, 0, 0, 0]] * 3
    assert np.flatnonzero(actions[2]).tolist() == [9, 51]
    varied = videos(augment=True)
    first = [varied.item(0, epoch)["body"][:, 0, 0, 0].tolist() for epoch in range(8)]
    assert len({tuple(each) for each in first}) == 8
    assert all(np.all(np.diff(each) >= 0) and 28 <= each[-1] - each[0] <= 33 for each in np.array(first, int).tolist())
    assert np.array_equal(varied.item(0, 3)["body"], varied.item(0, 3)["body"])
    short = videos(span_s=30.0).item(0, 0)["body"][:, 0, 0, 0]
    assert (short[0], short[-1]) == (6, 99), "all of a shorter video"
    whole = replace(videos(), whole=True).item(0, 0)["body"][:, 0, 0, 0]
    assert (whole == short).all()
    drawn = replace(videos(augment=True), whole=True)
    for epoch in range(8):  # a random picture of each sixteenth of the video
        numbers = drawn.item(0, epoch)["body"][:, 0, 0, 0].astype(int)
        assert (numbers * 16 // 99 - np.arange(16) <= 0).all()
        assert (numbers * 16 // 99 - np.arange(16) >= -1).all()


def test_what_was_prepared_for_other_drawings_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    entry = LabelledVideo("a.mp4", 0, (), "s01")

    def path(view: str) -> Path:
        return prepared_path(tmp_path, entry, tmp_path, view, SPEC)

    before = path("landmarks"), path("rgb")
    monkeypatch.setattr("training.data.emotion_videos.DRAWING", 99)
    assert path("landmarks") != before[0]
    assert path("rgb") == before[1]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(BadInput, match="a prepared video"):
        read_prepared(tmp_path / "bad.npz", SPEC)
    np.savez(
        tmp_path / "other.npz",
        times_ns=np.zeros(3, np.int64),
        **{name: np.zeros((3, 8), np.uint8) for name in SPEC.inputs},
    )
    with pytest.raises(BadInput, match=r"body of \(32, 32, 3\) in other.npz"):
        read_prepared(tmp_path / "other.npz", SPEC)
