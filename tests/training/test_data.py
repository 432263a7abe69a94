from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.common.errors import BadInput
from engines.preprocess import center_crop, clip_frame_indices
from engines.specs.sampling import Sampling
from engines.taxonomy import ACTIONS
from tests.conftest import number_in, write_numbered
from tests.training.conftest import COLORS, DataSet
from training.data.clip_lists import Entry, read_list, withheld
from training.data.clips import ClipSource, varied_indices, vary
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


def test_variation_is_the_same_for_all_frames_of_a_clip_and_keeps_their_size() -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 50, 3), np.uint8)
    seen = set()
    for seed in range(40):
        clip = vary([image, image, image], 32, np.random.default_rng(seed))
        assert (clip.shape, clip.dtype) == ((3, 32, 32, 3), np.uint8)
        assert (clip[0] == clip[1]).all()
        assert (clip[0] == clip[2]).all()
        seen.add(clip.tobytes())
    assert len(seen) > 35


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


def test_a_video_cut_short_gives_what_there_is(data: DataSet, tmp_path: Path) -> None:
    whole = write_numbered(tmp_path / "whole.mkv", range(0, 1000, 33))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = read_frames(cut, lambda count: clip_frame_indices(count, 4))
    numbers = [number_in(frame) for frame in frames]
    assert len(numbers) == 4
    assert numbers == sorted(numbers)
