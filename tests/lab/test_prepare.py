"""What an engine would see of a recording, written to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.prepare import main

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("face_model")
def test_pictures_faces_and_times_are_kept(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "seen.npz"
    assert (
        main([str(recording), "--out", str(out), "--view", "rgb", "--size", "48", "--face-size", "32", "--rate", "5"])
        == 0
    )
    with np.load(out) as arrays:
        assert arrays["body"].shape == (50, 48, 48, 3)  # ten seconds
        assert arrays["face"].shape == (50, 32, 32, 3)
        assert arrays["body_seen"].all()
        np.testing.assert_array_equal(arrays["face"].any(axis=(1, 2, 3)), arrays["face_seen"] == 1)  # black where none
        np.testing.assert_allclose(np.diff(arrays["times_ns"]) * 1e-9, 0.2, atol=0.04)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("absent.mp4", "--out", "x.npz"), "absent.mp4, which is no file"),
        ((__file__, "--out", "x.txt"), "--out FILE.npz"),
        ((__file__, "--out", "x.npz", "--rate", "0"), "--rate of 1 to 120"),
        ((__file__, "--out", "x.npz", "--size", "8"), "sizes of 32 to 512"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(arguments)) == 2
    assert line in capsys.readouterr().err
