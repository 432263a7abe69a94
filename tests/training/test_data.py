from __future__ import annotations

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from engines.common.errors import BadInput
from engines.preprocess import center_crop, clip_frame_indices
from engines.specs.sampling import Sampling
from engines.taxonomy import ACTIONS
from tests.conftest import number_in, write_numbered
from tests.training.conftest import COLORS, DataSet, write_clip
from training.data.clip_lists import Entry, read_list, withheld
from training.data.clips import ClipSource, varied_indices
from training.data.examples import batches, epoch_order
from training.data.video import read_frames

pytestmark = pytest.mark.slow


def test_lists_of_the_official_format(data: DataSet) -> None:
    entries = read_list(data.train, data.folder)
    assert entries[0] == Entry("0001_01.mp4", 5)
    assert {entry.index for entry in entries} == COLORS.keys()
    assert not withheld(entries)
    assert withheld(read_list(data.test, data.folder))


def test_no_action_is_of_the_left_or_of_the_right() -> None:
    """Else a flipped clip would carry a wrong label."""
    assert not any(side in action.name.split() for action in ACTIONS for side in ("left", "right"))


@pytest.mark.parametrize("frames", [1, 3, 8, 60])
def test_training_takes_one_frame_of_each_segment(frames: int) -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([varied_indices(frames, Sampling(8), rng) for _ in range(300)])
    edges = np.arange(9) * frames / 8
    assert (drawn >= np.floor(edges[:-1])).all()
    assert (drawn < np.ceil(edges[1:])).all()
    if frames == 60:  # every frame of the first segment comes, none of the second
        assert set(drawn[:, 0].tolist()) == set(range(8))


@pytest.mark.parametrize(
    ("frames", "first", "last"),
    [(15, range(8), range(8)), (30, range(0, 22, 3), range(2, 24, 3)), (60, range(0, 50, 7), range(6, 56, 7))],
)
def test_the_released_code_never_draws_the_tail(frames: int, first: range, last: range) -> None:
    """Eight segments of N // 8 frames."""
    rng = np.random.default_rng(0)
    drawn = np.stack([varied_indices(frames, Sampling(8), rng, "mmaction2-0.x") for _ in range(300)])
    assert drawn.min(axis=0).tolist() == list(first)
    assert drawn.max(axis=0).tolist() == list(last)


@pytest.mark.parametrize(("frames", "wanted"), [(8, range(8)), (5, (0, 1, 1, 2, 2, 3, 4, 4)), (1, (0,) * 8)])
def test_the_released_codes_choice_of_few_frames_is_fixed(frames: int, wanted: range) -> None:
    rng = np.random.default_rng(0)
    assert all(varied_indices(frames, Sampling(8), rng, "mmaction2-1.x").tolist() == list(wanted) for _ in range(20))


def test_a_dense_clip_of_mmaction2_goes_on_from_its_start() -> None:
    drawn = varied_indices(57, Sampling(8, "dense", 32), np.random.default_rng(0), "mmaction2-1.x")
    assert drawn.tolist() == [0, 32, 7, 39, 14, 46, 21, 53]
    starts = {
        int(varied_indices(70, Sampling(32, "dense", 2), np.random.default_rng(seed), "mmaction2-0.x")[0])
        for seed in range(200)
    }
    assert starts == set(range(7))


def test_dense_sampling_keeps_its_stride_wherever_it_begins() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([varied_indices(60, Sampling(8, "dense", 4), rng) for _ in range(300)])
    assert (np.diff(drawn, axis=1) == 4).all()
    assert (drawn[:, 0].min(), drawn[:, 0].max()) == (0, 59 - 7 * 4)
    short = varied_indices(20, Sampling(8, "dense", 4), rng)
    assert short[0] < 3
    assert short[-1] >= 17


def test_evaluation_takes_the_official_frames(tmp_path: Path) -> None:
    """N = 60: 3 11 18 26 33 41 48 56. The numbers are read back from the pixels."""
    path = write_numbered(tmp_path / "numbered.mp4", range(0, 2000, 33)[:60])
    frames = read_frames(path, lambda count: clip_frame_indices(count, 8))
    assert [number_in(frame) for frame in frames] == [3, 11, 18, 26, 33, 41, 48, 56]


def test_evaluation_sees_what_live_views_see(data: DataSet) -> None:
    entry = read_list(data.val, data.folder)[0]
    example = ClipSource([entry], data.folder, Sampling(4), 32).item(0, 0)
    frames = read_frames(data.folder / entry.name, lambda count: clip_frame_indices(count, 4))
    np.testing.assert_array_equal(example["clips"], np.stack([center_crop(frame, 32) for frame in frames]))
    assert (example["targets"][entry.index], example["targets"].sum()) == (1.0, 1.0)


def test_examples_depend_on_seed_epoch_and_index_alone(data: DataSet) -> None:
    entries = read_list(data.train, data.folder)
    source = ClipSource(entries, data.folder, Sampling(4), 32, seed=1, augment=True)
    again = ClipSource(entries, data.folder, Sampling(4), 32, seed=1, augment=True)
    other = ClipSource(entries, data.folder, Sampling(4), 32, seed=2, augment=True)
    np.testing.assert_array_equal(source.item(3, 2)["clips"], again.item(3, 2)["clips"])
    assert (source.item(3, 2)["clips"] != source.item(3, 3)["clips"]).any()
    assert (source.item(3, 2)["clips"] != other.item(3, 2)["clips"]).any()
    assert epoch_order(9, 1, 0) == epoch_order(9, 1, 0) != epoch_order(9, 1, 1)


def test_worker_processes_change_nothing(data: DataSet) -> None:
    entries = read_list(data.train, data.folder)
    source = ClipSource(entries, data.folder, Sampling(4), 32, augment=True)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    alone, helped = (list(batches(source, range(5), 0, 2, workers)) for workers in (0, 2))
    assert [len(batch["clips"]) for batch in alone] == [2, 2, 1]
    for first, second in zip(alone, helped, strict=True):
        assert torch.equal(first["clips"], second["clips"])
        assert torch.equal(first["targets"], second["targets"])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("content", [b"", b"not a video", None])
@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_videos_are_bad_input_in_any_process(content: bytes | None, workers: int, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "broken.mp4").write_bytes(content)
    source = ClipSource([Entry("broken.mp4", 0)], tmp_path, Sampling(4), 32)
    with pytest.raises(BadInput, match=r"expected a video that can be read, got .*broken\.mp4"):
        list(batches(source, [0], 0, 1, workers))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_recording_is_seen_upright(degrees: int, tmp_path: Path) -> None:
    """As ffmpeg itself turns it."""
    write_clip(tmp_path / "plain.mp4", (200, 40, 40), 1)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    turned = ["-display_rotation", str(degrees), "-i", tmp_path / "plain.mp4", "-c", "copy", tmp_path / "turned.mp4"]
    subprocess.run([*ffmpeg, *turned], check=True)
    raw = ["-i", tmp_path / "turned.mp4", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run([*ffmpeg, *raw], check=True, capture_output=True).stdout
    image = read_frames(tmp_path / "turned.mp4", lambda _: np.zeros(1, np.int64))[0]
    wanted = np.frombuffer(pixels, np.uint8).reshape(image.shape)
    assert image.shape[:2] == ((60, 50) if degrees == 180 else (50, 60))
    assert np.abs(image.astype(int) - wanted).max() <= 2


def test_frames_that_an_edit_list_cuts_off_do_not_count(tmp_path: Path) -> None:
    """Cut without decoding: the file holds 60 frames from the key frame on, and shows the last 30."""
    path = write_numbered(tmp_path / "whole.mp4", range(0, 2000, 33))
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    subprocess.run([*ffmpeg, "-ss", "0.98", "-i", path, "-c", "copy", tmp_path / "cut.mp4"], check=True)
    counts: list[int] = []
    frames = read_frames(tmp_path / "cut.mp4", lambda count: counts.append(count) or np.arange(count))
    numbers = [number_in(frame) for frame in frames]
    with av.open(str(tmp_path / "cut.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert counts == [len(numbers)]
    assert len(packets) > len(numbers)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_video_cut_short_gives_what_there_is(data: DataSet, tmp_path: Path) -> None:
    whole = write_numbered(tmp_path / "whole.mkv", range(0, 1000, 33))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = read_frames(cut, lambda count: clip_frame_indices(count, 4))
    numbers = [number_in(frame) for frame in frames]
    assert len(numbers) == 4
    assert numbers == sorted(numbers)
