"""The soak in small: nothing grows over a session at full speed."""

import pytest

from benchmarks.soak import soak

pytestmark = pytest.mark.clock


def test_nothing_grows_over_two_thousand_frames():
    found = soak(2_000, sample_s=0.02)
    stats = found.stats
    assert stats.frames == 2_000
    assert stats.windows == stats.windows_due > 200
    assert stats.dropped == stats.skipped == {}
    assert found.late["threads"] <= found.early["threads"]
    assert found.late["files"] <= found.early["files"]
    assert found.late["memory_mb"] <= found.early["memory_mb"] * 1.1 + 10
