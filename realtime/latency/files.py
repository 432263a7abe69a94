"""A run's stamps as files: CSV by frame, and a trace for Perfetto (JSON trace events)."""

from __future__ import annotations

import csv
import heapq
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from realtime.latency.log import LatencyLog
from realtime.latency.stages import COLUMNS, STAGES, Of, Stage

PROCESSES = {"capture": 1, "wire": 2, "analysis": 3}  # trace process ids: the wire lies between the two

ROUNDING_NS = 2  # a reader that turns our microseconds back into whole nanoseconds may be off by one at either end

TraceEvent = dict[str, object]


def write_csv(log: LatencyLog, path: Path) -> None:
    """One row a frame: when it was grabbed (s since the first) and its stages in ms.

    A frame that is the newest of judged windows has their stages beside it, a row for each window; empty: not reached.
    """
    frames, windows = log.rows("frame").tolist(), log.rows("window").tolist()
    of_frame: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    for row in windows:
        of_frame[row[1], row[2]].append(row)
    per_frame = [stage for stage in STAGES if stage.of == "frame"]
    per_window = [stage for stage in STAGES if stage.of == "window"]
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(
            [
                "frame_id",
                "grabbed_s",
                "media_s",
                *(_column(stage) for stage in per_frame),
                "window_index",
                *(_column(stage) for stage in per_window),
            ]
        )
        for row in frames:
            mine = [
                row[0],
                f"{(row[2] - frames[0][2]) * 1e-9:.6f}",
                f"{row[1] * 1e-9:.6f}",
                *(_cell(stage, row) for stage in per_frame),
            ]
            frame = row[0], row[2]  # numbers start anew with every capture process; the time of the grab does not
            for window in of_frame.get(frame, []):
                out.writerow([*mine, window[0], *(_cell(stage, window) for stage in per_window)])
            if frame not in of_frame:
                out.writerow([*mine, *[""] * (1 + len(per_window))])


def _column(stage: Stage) -> str:
    return f"{stage.name.replace(' ', '_')}_ms"


def _cell(stage: Stage, row: list[int]) -> str:
    start, end = stage.columns
    return f"{(row[end] - row[start]) / 1e6:.3f}" if row[end] else ""


def write_trace(log: LatencyLog, path: Path) -> None:
    """JSON trace events that Perfetto opens: a group of tracks per process, a slice per stage of a frame or window.

    Slices of one track must not overlap; where a stage's do, it has more than one track. Times count from the first
    grab.
    """
    path.write_bytes(msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": list(_events(log))}))


def _events(log: LatencyLog) -> Iterator[TraceEvent]:
    for process, pid in PROCESSES.items():
        yield {"ph": "M", "pid": pid, "tid": 0, "name": "process_name", "args": {"name": process}}
        yield {"ph": "M", "pid": pid, "tid": 0, "name": "process_sort_index", "args": {"sort_index": pid}}
    rows: dict[Of, list[list[int]]] = {"frame": log.rows("frame").tolist(), "window": log.rows("window").tolist()}
    origin_ns = min((row[2] for row in rows["frame"]), default=0)
    for number, stage in enumerate(stage for stage in STAGES if stage.process):
        pid, (start, end) = PROCESSES[stage.process], stage.columns
        slices = sorted((row[start], row[end], row) for row in rows[stage.of] if row[end])
        lanes: list[tuple[int, int]] = []  # (free from ns, lane)
        for start_ns, end_ns, row in slices:
            if lanes and lanes[0][0] + ROUNDING_NS <= start_ns:
                _, lane = heapq.heappop(lanes)
            else:
                lane = len(lanes)
                name = stage.name if lane == 0 else f"{stage.name} {lane + 1}"
                tid = _tid(number, lane)
                yield {"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}}
                yield {"ph": "M", "pid": pid, "tid": tid, "name": "thread_sort_index", "args": {"sort_index": tid}}
            heapq.heappush(lanes, (end_ns, lane))
            yield {
                "ph": "X",
                "pid": pid,
                "tid": _tid(number, lane),
                "name": stage.name,
                "cat": stage.of,
                "ts": (start_ns - origin_ns) / 1000,
                "dur": (end_ns - start_ns) / 1000,
                "args": dict(zip(COLUMNS[stage.of][:2], row[:2], strict=True)),
            }


def _tid(number: int, lane: int) -> int:
    return (number + 1) * 1000 + lane
