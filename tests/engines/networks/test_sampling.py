"""Which frames a network sees: in order of time, or as mmaction2 has it."""

from __future__ import annotations

import numpy as np
import pytest

from engines.specs.sampling import Sampling
from engines.specs.video import SlowFastSpec, TimeSformerSpec, TSMSpec, UniFormerSpec
from tests.engines.networks import oracle

KINDS = {
    "1x1x8": Sampling(8),
    "16x1x1": Sampling(16, "dense", 1),
    "32x2x1": SlowFastSpec().sampling,
    "8x32x1": TimeSformerSpec().sampling,
    "16x4x1": UniFormerSpec().sampling,
}


@pytest.mark.parametrize("kind", KINDS)
def test_equals_mmaction2_on_demand(kind: str) -> None:
    recorded = oracle.recorded()
    names = [name for name in recorded.files if name.startswith(f"sampling/{kind}/")]
    assert len(names) == 10
    for name in names:
        _, _, count, version = name.split("/")
        got = KINDS[kind].indices(int(count[1:]), "mmaction2-0.x" if version == "v0" else "mmaction2-1.x")
        np.testing.assert_array_equal(got, recorded[name], name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 7, 30, 57, 58, 63, 64, 210, 1000])
def test_time_goes_forwards_inside_the_clip(kind: str, count: int) -> None:
    indices = KINDS[kind].indices(count)
    assert len(indices) == KINDS[kind].frames
    assert indices[0] >= 0
    assert indices[-1] < count
    assert (np.diff(indices) >= 0).all()


def test_short_clips_are_seen_whole() -> None:
    """57 frames, the mean of MA-52, are fewer than the published samplings reach over."""
    np.testing.assert_array_equal(TimeSformerSpec().sampling.indices(57), [3, 10, 17, 24, 32, 39, 46, 53])
    np.testing.assert_array_equal(SlowFastSpec().sampling.indices(57)[[0, 1, 31]], [0, 2, 56])


def test_long_clips_are_seen_around_their_middle() -> None:
    np.testing.assert_array_equal(SlowFastSpec().sampling.indices(90), np.arange(13, 76, 2))
    np.testing.assert_array_equal(TSMSpec().sampling.indices(60), [3, 11, 18, 26, 33, 41, 48, 56])


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="1 frame"):
        Sampling(8, "dense", 2).indices(0)
