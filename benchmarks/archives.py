"""What `archive_local` and `archive_ray` share: archives of more and more short recordings, and one plain replay."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.recording import write_recording
from engines.common.errors import Failed

COUNTS = (10, 30, 100)
SECONDS, REPLAYS = 3.0, 3  # of a recording; how often it is replayed
SETTINGS = ("--model", "untrained-small", "--engine", "onnxruntime", "--no-emotion")
ROOT = Path(__file__).resolve().parent.parent


def archive_times(folder: Path, more: Sequence[str]) -> list[float]:
    """Seconds of an archive of each of `COUNTS` recordings, one worker, the command's start included."""
    times = []
    for count in COUNTS:
        inputs = folder / f"{count} recordings"
        inputs.mkdir()
        write_recording(inputs / "0.mp4", SECONDS, seed=0)
        for at in range(1, count):
            shutil.copy(inputs / "0.mp4", inputs / f"{at}.mp4")
        out = folder / f"{count} recordings {' '.join(more).replace('/', '')}"
        times.append(timed("-m", "lab", "archive", str(inputs), "--out", str(out), *SETTINGS, *more))
    return times


def replay_s(folder: Path) -> float:
    """Seconds of one plain replay of one of these recordings, its start included; median of `REPLAYS`."""
    recording = folder / "one.mp4"
    write_recording(recording, SECONDS, seed=0)
    command = ("run_live.py", "replay", str(recording), "--speed", "max", "--headless", *SETTINGS)
    return statistics.median(timed(*command) for _ in range(REPLAYS))


def timed(*arguments: str) -> float:
    """Seconds of a command of ours. Raises Failed: it did not end well."""
    began_s = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stderr.strip()[-300:])
    return time.perf_counter() - began_s


def fitted(counts: Sequence[int], times: Sequence[float]) -> dict[str, float | str]:
    """The line through them: seconds a recording, seconds at the start, and how much of the variance it explains."""
    slope, start = np.polyfit(counts, times, 1)
    left = np.asarray(times) - (slope * np.asarray(counts) + start)
    explained = 1.0 - float(left @ left) / float(np.var(times) * len(times))
    found: dict[str, float | str] = {f"{count} recordings, s": took for count, took in zip(counts, times, strict=True)}
    return found | {"s_a_recording": float(slope), "start_s": float(start), "r2": explained}
