"""Stages over time, and how they are distributed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime.latency.log import LatencyLog, spans_ms
from realtime.latency.stages import BY_NAME, STAGES

SUFFIXES = (".png", ".svg", ".pdf")
OVER_TIME = ("to window", "to event", "to screen")


def write_plot(log: LatencyLog, path: Path, title: str) -> None:
    """PNG, SVG or PDF, by the path's suffix. Left what lies between grab and window, report and screen over time;
    right the share of each stage that took longer than so many ms."""
    from matplotlib.figure import Figure  # half a second that no other command should wait

    figure = Figure(figsize=(12, 5), layout="constrained")
    figure.suptitle(title)
    over_time, shares = figure.subplots(1, 2)
    frames = log.rows("frame")
    origin_ns = frames[0, 2] if len(frames) else 0
    for name in OVER_TIME:
        stage = BY_NAME[name]
        rows = log.rows(stage.of)
        rows = rows[rows[:, stage.columns[1]] > 0]
        if len(rows):
            over_time.plot((rows[:, 2] - origin_ns) * 1e-9, spans_ms(rows, stage), ".", markersize=3, label=name)
    over_time.set(xlabel="grabbed, s since the first frame", ylabel="ms", yscale="log", title="over time")
    for stage in STAGES:
        values = np.sort(spans_ms(log.rows(stage.of), stage))
        if len(values):
            longer = 1.0 - np.arange(len(values)) / len(values)
            shares.step(
                np.maximum(values, 1e-3),
                longer,
                where="post",
                label=stage.name,
                linewidth=1.0 if stage.process else 2.0,
            )
    shares.set(xlabel="ms", ylabel="share that took longer", xscale="log", yscale="log", title="distribution")
    for axes in (over_time, shares):
        axes.grid(visible=True, alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    figure.savefig(path)
