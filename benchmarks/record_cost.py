"""What recording costs the live path: the same session with landmarks and video recorded, and without, in turn.

Sessions are paced as a camera is. What counts is the time from a picture's grab to the events of its window.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, machine
from benchmarks.recording import write_person
from realtime.output.lines import Line, StatsLine
from realtime.output.observer import Observer
from realtime.session import Session

ROUNDS, SECONDS = 3, 30.0


class LastStats(Observer):
    """Keeps where the session stood last."""

    name = "benchmark"
    stats: StatsLine | None = None

    def on_line(self, line: Line) -> None:
        if isinstance(line, StatsLine):
            self.stats = line


def paced_session(recording: Path, observers: Sequence[Observer] = (), **settings: Any) -> StatsLine:
    """Run a session at the recording's own speed; its totals."""
    last = LastStats()
    Session(str(recording), observers=[last, *observers], **settings).run()
    if last.stats is None:
        raise ValueError("expected a line of statistics from a session")
    return last.stats


def run() -> Result:
    """p99 of grab to events, with recording over without."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder:
        recording = Path(folder) / "person.mp4"
        person = write_person(recording, SECONDS)
        found: dict[str, list[StatsLine]] = {"recorded": [], "plain": []}
        sizes: dict[str, float] = {}
        for turn in range(ROUNDS):
            landmarks, video = Path(folder) / f"{turn}.landmarks", Path(folder) / f"{turn}.mp4"
            media: dict[str, Any] = {"record_landmarks": landmarks, "record_video": video, "consent": "benchmark"}
            found["recorded"].append(paced_session(recording, **media))
            found["plain"].append(paced_session(recording))
            hours = SECONDS / 3600.0
            sizes = {f"{path.suffix[1:]}_mb_an_hour": path.stat().st_size / 1e6 / hours for path in (landmarks, video)}
    p99_ms = {name: statistics.median(one.latency_ms["total"]["p99"] for one in all_) for name, all_ in found.items()}
    p50_ms = {name: statistics.median(one.latency_ms["total"]["p50"] for one in all_) for name, all_ in found.items()}
    lost = {name: float(sum(sum(one.dropped.values()) for one in all_)) for name, all_ in found.items()}
    return Result(
        ours=p99_ms["recorded"],
        other=p99_ms["plain"],
        ratio=p99_ms["plain"] / p99_ms["recorded"],
        unit="ms",
        compared=f"p99 from grab to events, {SECONDS:g} s of {person}, paced, with landmarks and video recorded "
        f"against without; medians of {ROUNDS} rounds in turn",
        machine=machine(),
        details={
            "p50_recorded_ms": p50_ms["recorded"],
            "p50_plain_ms": p50_ms["plain"],
            "frames_lost_recorded": lost["recorded"],
            "frames_lost_plain": lost["plain"],
            **sizes,
        },
    )
