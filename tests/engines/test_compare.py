from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines.bundle import Bundle, find
from engines.common.errors import BadInput
from engines.compare import compare, compare_bundles, read_clip
from engines.patterns import moving_patterns
from engines.runtimes import open_runtime

pytestmark = pytest.mark.slow


def write_grey(path: Path, frames: int) -> Path:
    """A video whose frame i is grey of value 4·i."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 128, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        stream.codec_context.qmin = stream.codec_context.qmax = 2
        for index in range(frames):
            picture = np.full((128, 96, 3), 4 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_two_runtimes_of_one_bundle_agree(small_bundle: Bundle) -> None:
    clips = moving_patterns(1, 4, 8, 64)
    with open_runtime(small_bundle, "onnxruntime", 1) as one, open_runtime(small_bundle, "torch", 1) as other:
        result = compare(one, other, {"clips": clips})
    assert (result.first, result.second, result.clips, result.top1_agreement) == ("onnxruntime", "torch", 4, 1.0)
    assert 0 <= result.mean_difference <= result.max_difference <= 1e-3 * result.largest_logit
    assert result.speed_up == pytest.approx(result.first_ms / result.second_ms)
    assert "top-1 agrees on 100.0%" in str(result)


def test_clips_from_videos_are_cut_the_official_way(tmp_path: Path) -> None:
    clip = read_clip(write_grey(tmp_path / "grey.mp4", 60), 8, 64)
    assert clip.shape == (8, 64, 64, 3)
    np.testing.assert_allclose(clip.mean(axis=(1, 2, 3)) / 4, [3, 11, 18, 26, 33, 41, 48, 56], atol=0.6)


def test_comparing_bundles_writes_a_line_per_pair(small_bundle: Bundle, tmp_path: Path) -> None:
    lines: list[str] = []
    again = small_bundle.derive(tmp_path / "again", name="again")
    video = write_grey(tmp_path / "grey.mp4", 20)
    results = compare_bundles(
        small_bundle, again, ["onnxruntime"], videos=[video], count=1, seed=0, threads=1, write=lines.append
    )
    assert [(result.clips, result.max_difference) for result in results] == [(1, 0.0)]
    assert lines[0].startswith("again in onnxruntime against small in onnxruntime, 1 clips")


def test_what_cannot_be_compared_is_refused(small_bundle: Bundle, tmp_path: Path) -> None:
    def run(
        second: Bundle = small_bundle, names: tuple[str, ...] = (), videos: tuple[Path, ...] = (), count: int = 1
    ) -> None:
        compare_bundles(second, small_bundle, names, videos=videos, count=count, seed=0, threads=1, write=print)

    with pytest.raises(BadInput, match="same length and size"):
        run(Bundle.load(find("untrained-small")))
    with pytest.raises(BadInput, match="up to two runtimes"):
        run(names=("torch", "openvino", "onnxruntime"))
    with pytest.raises(BadInput, match="a count of 1 or more"):
        run(count=0)
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    for path in (text, tmp_path / "absent.mp4"):
        with pytest.raises(BadInput, match="a readable video"):
            run(videos=(path,))
    with pytest.raises(BadInput, match="leave out --clips"):
        run(small_bundle.derive(tmp_path / "drawn", view="landmarks"), videos=(text,))
