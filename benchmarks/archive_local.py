"""What an archive costs a recording, and how that grows with their number, against one plain replay."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.archives import COUNTS, SECONDS, archive_times, fitted, replay_s
from benchmarks.harness import Result, machine


def run() -> Result:
    """Seconds a recording of `python -m lab archive --workers 1` against one plain replay, in one run."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        other = replay_s(Path(folder))
        details = fitted(COUNTS, archive_times(Path(folder), ["--workers", "1"]))
    ours = float(details["s_a_recording"])
    return Result(
        ours=ours,
        other=other,
        ratio=other / ours,
        unit="s/recording",
        compared=f"archives of {', '.join(map(str, COUNTS))} recordings of {SECONDS:g} s (untrained-small, ONNX "
        "Runtime), one worker, line fitted, against one plain replay with its start",
        machine=machine(),
        details=details,
    )
