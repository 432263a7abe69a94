"""Memory of both processes over a session at full speed: the short form of `soak`."""

from __future__ import annotations

from benchmarks.harness import Result, machine
from benchmarks.soak import MODEL, soak

FRAMES = 20_000


def run() -> Result:
    """Resident memory of analysis and capture in the second tenth of the session over that in the last tenth."""
    found = soak(FRAMES)
    early, late = found.early["memory_mb"], found.late["memory_mb"]
    return Result(
        ours=late,
        other=early,
        ratio=early / late,
        unit="MB resident",
        compared=f"last tenth against second tenth of {found.stats.frames} frames at --speed max, analysis and capture "
        f"together, {MODEL} in {found.runtime}",
        machine=machine(),
        details={"frames": found.stats.frames, "windows": found.stats.windows, "peak_mb": found.peak_mb},
    )
