"""Stamps to figures, files and the table; then the whole command, in a process and in a terminal."""

import csv
import itertools
import json
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.types import Stamps
from realtime.latency.files import write_csv, write_trace
from realtime.latency.log import LatencyLog, figures
from realtime.latency.plot import write_plot
from realtime.latency.report import cost, stage_reports
from realtime.latency.stages import BY_NAME, STAGES
from realtime.messages import Frame
from tests.conftest import manet_live, refused
from tests.realtime.sessions import Terminal

pytestmark = pytest.mark.slow

MS = 1_000_000
BODY = np.zeros((1, 1, 3), np.uint8)
SPANS = st.lists(st.integers(0, 200 * MS), min_size=5, max_size=5)


def add_frame(log: LatencyLog, frame_id: int, captured_ns: int, spans_ns) -> int:
    """A frame that took so long in grab, view, face, wire and window; returns when it was in the window."""
    read, viewed, faced, received, windowed = (captured_ns + np.cumsum(spans_ns)).tolist()
    frame = Frame(0, frame_id, captured_ns, captured_ns, BODY, read_ns=read, viewed_ns=viewed, faced_ns=faced)
    log.frame(frame, received, windowed)
    return windowed


def add_window(log: LatencyLog, index: int, frame_id: int, captured_ns: int, spans_ns, remote: bool = False) -> int:
    """A window whose stages from grab to report took so long; returns when it was reported."""
    stamps = (captured_ns + np.cumsum(spans_ns)).tolist()
    engine = {"answered_ns" if remote else "computed_ns": stamps[-2]}
    log.window(index, frame_id, Stamps(captured_ns, *stamps, **engine))
    return stamps[-1]


def test_figures_of_known_spans():
    log = LatencyLog()
    for at in range(1000):
        add_frame(log, at, at * 33 * MS, [(at + 1) * 10_000, MS, MS, MS, 0])  # grab: 10 µs to 10 ms
    run, recent = log.run(BY_NAME["grab"]), log.recent(BY_NAME["grab"])
    assert run.count == 1000
    for got, want in ((run.p50, 5.0), (run.p90, 9.0), (run.p99, 9.9), (run.p99_9, 9.99), (run.max, 10.0)):
        assert got == pytest.approx(want, rel=2e-3, abs=1e-3)
    assert run.jitter == pytest.approx(0.01, rel=1e-3)
    assert recent.count == 303  # the last 10 s of frames 33.01 ms apart
    assert recent.p50 == pytest.approx(np.median(np.arange(698, 1001) * 0.01), abs=0.011)
    assert log.run(BY_NAME["view"]).jitter == 0.0
    assert log.run(BY_NAME["to window"]).max == pytest.approx(13.0, rel=1e-3)
    assert log.run(BY_NAME["compute"]) is None


@given(st.lists(st.integers(1000, 10**10), min_size=1, max_size=300))
def test_a_histogram_is_within_its_bound_of_the_exact_figures(spans):
    log = LatencyLog()
    for at, span in enumerate(spans):
        add_frame(log, at, 10**12, [span, 0, 0, 0, 0])
    got, want = log.run(BY_NAME["grab"]), figures(np.array(spans) / MS)
    assert got.max == pytest.approx(want.max, rel=2e-3, abs=1e-3)
    assert got.jitter == pytest.approx(want.jitter, rel=1e-3, abs=2e-3)
    assert min(spans) / MS * 0.998 - 1e-3 <= got.p50 <= max(spans) / MS * 1.002 + 1e-3


def test_the_rows_that_are_kept_are_the_newest_and_their_number_is_bounded():
    log = LatencyLog(rows=8)
    for at in range(100):
        add_frame(log, at, at * MS, [1] * 5)
        add_window(log, at, at, at * MS, [1] * 8)
    assert log.rows("frame")[:, 0].tolist() == log.rows("window")[:, 0].tolist() == list(range(92, 100))
    assert log.counts == (100, 100)
    log.drawn(100, 200 * MS)  # more windows than are kept
    assert log.run(BY_NAME["to screen"]).count == 8


def test_a_screen_counts_for_the_windows_that_were_on_it_and_once():
    log = LatencyLog()
    for at in range(3):
        add_window(log, at, at, at * 250 * MS, [MS] * 8)
    log.drawn(2, 600 * MS)
    log.drawn(2, 900 * MS)
    to_screen = log.run(BY_NAME["to screen"])
    assert (to_screen.count, to_screen.max) == (2, pytest.approx(600, rel=1e-3))
    assert log.run(BY_NAME["overlay"]).max == pytest.approx(592, rel=1e-3)
    log.drawn(3, 1000 * MS)
    assert log.run(BY_NAME["to screen"]).count == 3


def test_the_stages_of_a_window_add_up_to_the_whole():
    log = LatencyLog()
    captured, spans = 10**9, [MS, 2 * MS, MS, 2 * MS, 4 * MS, 5 * MS, 6 * MS, 7 * MS]
    add_window(log, 0, 0, captured, spans)
    parts = [log.recent(BY_NAME[name]).max for name in ("due", "queue", "compute", "report")]
    assert parts == [4.0, 5.0, 6.0, 7.0]
    assert log.recent(BY_NAME["to event"]).max == 28.0
    transport, queue, compute, total = (
        log.percentiles()[name][0] for name in ("transport", "wait", "compute", "total")
    )
    assert (transport, queue, compute, total) == pytest.approx((6, 9, 6, 21), rel=1e-3)
    assert log.run(BY_NAME["network"]) is log.recent(BY_NAME["network"]) is None


def test_what_an_inference_server_takes_is_a_stage_of_its_own():
    log = LatencyLog()
    spans = [MS, 2 * MS, 0, 3 * MS, 4 * MS, 5 * MS, 6 * MS, 7 * MS]
    add_window(log, 0, 0, 10**9, spans, remote=True)
    assert log.recent(BY_NAME["network"]).max == 6.0
    assert log.run(BY_NAME["compute"]) is log.recent(BY_NAME["compute"]) is None
    assert sorted(log.percentiles()) == ["network", "total", "transport", "wait"]
    add_window(log, 1, 1, 10**9, spans)  # another engine has taken over
    assert log.run(BY_NAME["network"]).count == log.run(BY_NAME["compute"]).count == 1
    assert log.run(BY_NAME["to event"]).count == 2


@given(st.lists(st.tuples(st.integers(0, 500 * MS), SPANS), min_size=1, max_size=60))
def test_slices_of_one_track_never_overlap_and_none_is_lost(tmp_path_factory, frames):
    log = LatencyLog()
    for at, (captured, spans) in enumerate(frames):
        add_frame(log, at, 10**9 + captured, spans)
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    write_trace(log, path)
    trace = json.loads(path.read_text())["traceEvents"]
    slices = [event for event in trace if event["ph"] == "X"]
    assert len(slices) == 5 * len(frames)
    assert min(event["ts"] for event in slices) == 0
    tracks = defaultdict(list)
    for event in slices:
        assert event["name"] in BY_NAME
        tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in tracks.values():
        spans.sort()
        assert all(end <= start + 1e-3 for (_, end), (start, _) in itertools.pairwise(spans))
    named = {(event["pid"], event["tid"]) for event in trace if event["name"] == "thread_name"}
    assert named == set(tracks)


def nanoseconds(microseconds: float) -> int:
    """As a reader may do it: the product of two doubles, cut off."""
    return int(microseconds * 1000.0)


@given(st.lists(st.tuples(st.integers(0, 3) | st.integers(0, 500 * MS), SPANS), min_size=1, max_size=60))
def test_a_trace_keeps_the_rules_of_the_trace_event_format(tmp_path_factory, frames):
    """As Perfetto imports it: types of the fields, names of every track, thread ids that no two processes share, slices
    of a thread apart after rounding. (Perfetto's own importer is a binary of its vendor's.)"""
    log = LatencyLog()
    for at, (captured, spans) in enumerate(frames):
        add_frame(log, at, 10**9 + captured, spans)
        add_window(log, at, at, 10**9 + captured, [*spans, 1, 2, 3])
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    write_trace(log, path)
    trace = json.loads(path.read_text())
    assert set(trace) == {"displayTimeUnit", "traceEvents"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    processes, threads, slices = {}, {}, defaultdict(list)
    for event in trace["traceEvents"]:
        assert type(event["pid"]) is type(event["tid"]) is int
        assert event["ph"] in ("M", "X")
        if event["ph"] == "M":
            (kind,) = event["args"]
            assert type(event["args"][kind]) is {"name": str, "sort_index": int}[kind]
            assert event["name"] in (f"process_{kind}", f"thread_{kind}")
            if event["name"] == "process_name":
                processes[event["pid"]] = event["args"]["name"]
            elif event["name"] == "thread_name":
                assert event["tid"] not in threads
                threads[event["tid"]] = event["pid"]
        else:
            assert isinstance(event["ts"], (int, float))
            assert isinstance(event["dur"], (int, float))
            assert event["ts"] >= 0 <= event["dur"]
            assert isinstance(event["name"], str)
            assert isinstance(event["cat"], str)
            assert isinstance(event["args"], dict)
            slices[event["pid"], event["tid"]].append((nanoseconds(event["ts"]), nanoseconds(event["dur"])))
    assert processes == {1: "capture", 2: "wire", 3: "analysis"}
    assert {(pid, tid) for tid, pid in threads.items()} == set(slices)
    for spans in slices.values():
        spans.sort()
        assert all(start + length <= after for (start, length), (after, _) in itertools.pairwise(spans))


def test_csv_has_a_row_for_every_frame_and_every_window(tmp_path):
    log = LatencyLog()
    for at in range(4):
        add_frame(log, at, at * 100 * MS, [MS, 2 * MS, MS, 2 * MS, 4 * MS])
    add_window(log, 7, 2, 200 * MS, [MS] * 8)
    add_window(log, 8, 2, 200 * MS, [2 * MS] * 8)  # a hop shorter than the frame interval
    write_csv(log, tmp_path / "frames.csv")
    with (tmp_path / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["frame_id"] for row in rows] == ["0", "1", "2", "2", "3"]
    assert [row["window_index"] for row in rows] == ["", "", "7", "8", ""]
    assert [row["grabbed_s"] for row in rows] == ["0.000000", "0.100000", "0.200000", "0.200000", "0.300000"]
    assert rows[3]["to_event_ms"] == "16.000"
    assert rows[3]["overlay_ms"] == ""
    assert rows[0]["to_window_ms"] == "10.000"


def test_csv_keeps_apart_the_frames_of_a_camera_that_was_restarted(tmp_path):
    log = LatencyLog()
    for start in (0, 10_000):  # ms; the second capture process numbers its frames anew
        for at in range(3):
            add_frame(log, at, (start + at * 100) * MS, [MS] * 5)
        add_window(log, start, 2, (start + 200) * MS, [MS] * 8)
    write_csv(log, tmp_path / "frames.csv")
    with (tmp_path / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame_id"], row["grabbed_s"], row["window_index"]) for row in rows] == [
        ("0", "0.000000", ""),
        ("1", "0.100000", ""),
        ("2", "0.200000", "0"),
        ("0", "10.000000", ""),
        ("1", "10.100000", ""),
        ("2", "10.200000", "10000"),
    ]


def test_measuring_costs_less_than_its_budget_and_leaves_the_log_alone():
    log = LatencyLog()
    for at in range(50):
        add_frame(log, at, at * 33 * MS, [MS] * 5)
        add_window(log, at, at, at * 33 * MS, [MS] * 8)
    measured = cost(log)
    assert 0 < measured.us_per_frame < 33_000
    assert measured.share_of_frame_interval == pytest.approx(
        (measured.us_per_frame + measured.us_per_window) / 33_000, rel=0.02
    )
    assert log.counts == (50, 50)
    assert cost(LatencyLog()) is None


@pytest.mark.parametrize("name", ["p.png", "p.svg", "p.pdf"])
def test_a_plot_is_drawn_even_of_nothing(tmp_path, name):
    write_plot(LatencyLog(), tmp_path / name, "nothing")
    assert (tmp_path / name).stat().st_size > 1000


def test_the_command_measures_a_recording_and_writes_every_file(recording, tmp_path):
    files = {
        kind: tmp_path / f"out.{suffix}"
        for kind, suffix in (("json", "json"), ("csv", "csv"), ("trace", "trace"), ("plot", "svg"))
    }
    options = [text for kind, path in files.items() for text in (f"--{kind}", path)]
    done = manet_live(
        "latency",
        recording,
        "--model",
        "untrained-small",
        "--engine",
        "onnxruntime",
        "--seconds",
        "4",
        "--speed",
        "2",
        *options,
    )
    assert done.code == 0, done.err
    assert "over the run, ms" in done.out
    assert "over the last 10 s, ms" in done.out
    assert "of a frame interval" in done.out
    assert '"kind"' not in done.out  # the table alone
    report = json.loads(files["json"].read_text())
    assert 100 <= report["frames"] <= 200  # it ended after 4 s
    assert report["windows"] + sum(report["skipped"].values()) == report["windows_due"]
    assert report["overlay"] is False
    stages = {one["stage"]: one for one in report["stages"]}
    assert set(stages) == {stage.name for stage in STAGES if stage.end not in ("shown_ns", "answered_ns")}
    assert stages["grab"]["run"]["count"] == report["frames"]
    assert stages["compute"]["run"]["count"] == report["windows"]
    with files["csv"].open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["frame_id"] for row in rows}) == report["frames"]
    assert sum(row["window_index"] != "" for row in rows) == report["windows"]
    for row in rows:
        parts = sum(float(row[f"{name}_ms"]) for name in ("grab", "view", "face", "wire", "window"))
        assert float(row["to_window_ms"]) == pytest.approx(parts, abs=0.003)
        assert min(float(value) for value in row.values() if value) >= 0
    trace = json.loads(files["trace"].read_text())["traceEvents"]
    processes = {event["args"]["name"] for event in trace if event["name"] == "process_name"}
    assert processes == {"capture", "wire", "analysis"}
    assert sum(event["name"] == "view" for event in trace if event["ph"] == "X") == report["frames"]
    assert files["plot"].read_text().startswith("<?xml")


def test_on_a_terminal_the_overlay_is_measured_too(tmp_path):
    path = tmp_path / "out.json"
    terminal = Terminal("latency", "--demo", "--seconds", "5", "--engine", "onnxruntime", "--json", path)
    try:
        terminal.read_until(rb"of a frame interval|of a\s+frame", 60)
        assert terminal.process.wait(10) == 0
    finally:
        terminal.close()
    stages = {one["stage"]: one["run"] for one in json.loads(path.read_text())["stages"]}
    assert stages["to screen"]["count"] > 0
    assert stages["to screen"]["p50"] >= stages["to event"]["p50"]


def test_the_table_shows_what_is_missing():
    log = LatencyLog()
    add_frame(log, 0, 10**9, [MS] * 5)
    assert [one.stage for one in stage_reports(log)] == ["grab", "view", "face", "wire", "window", "to window"]


def test_wrong_use_is_one_line(recording, tmp_path):
    assert ".svg" in refused("latency", recording, "--headless", "--plot", tmp_path / "plot.doc")
    missing = tmp_path / "none" / "x.json"
    assert "--json file that can be written" in refused("latency", recording, "--headless", "--json", missing)
    assert "a new --trace file" in refused("latency", recording, "--headless", "--trace", tmp_path)
    assert "not allowed with" in refused("latency", recording, "--demo")
    assert "no-such.mp4" in refused("latency", "no-such.mp4", "--headless")
