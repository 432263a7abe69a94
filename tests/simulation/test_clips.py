from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulation.__main__ import main
from training.data.clip_lists import Entry, read_list
from training.data.video import read_frames

pytestmark = pytest.mark.slow


def test_a_small_data_set_of_simulated_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists as MA-52 has them, of people that the splits do not share; the drawings move."""
    words = ["clips", "--out", str(tmp_path / "set"), "--train", "2", "--val", "1", "--actions", "5,24", "--size", "64"]
    assert main(words) == 0
    assert "6 clips of 2 actions, simulated" in capsys.readouterr().out
    train, val = (read_list(tmp_path / "set" / f"{name}_list.txt", tmp_path / "set") for name in ("train", "val"))
    assert [entry.index for entry in train] == [5, 5, 24, 24]
    assert val == (Entry("val_05_000.mp4", 5), Entry("val_24_000.mp4", 24))
    clips = [np.stack(read_frames(tmp_path / "set" / one.name, np.arange)).astype(int) for one in (*train, *val)]
    for clip in clips:
        assert clip.shape[1:] == (64, 64, 3)
        assert 10 <= len(clip) <= 125
        assert np.abs(np.diff(clip, axis=0)).max() > 60
    assert len({clip[0].tobytes() for clip in clips}) == len(clips)
    assert main(words) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--actions", "5,52"], "--actions of indices 0 to 51, got '52'"),
        (["--train", "0"], "--train and --val of 1 or more"),
        (["--size", "65"], "an even --size"),
        (["--seed", "-1"], "a --seed of 0 or more"),
    ],
)
def test_impossible_sets_are_refused(
    change: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clips", "--out", str(tmp_path / "set"), *change]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
