"""How large the report of an hour's session is, and how long a real browser takes to open it."""

from __future__ import annotations

import importlib
import json
import math
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Result, machine
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, EMOTIONS
from lab.report.page import page
from lab.session_record import read_session
from realtime.output.lines import (
    ActionLine,
    DelayParts,
    EmotionLine,
    Line,
    MarkerLine,
    SessionLine,
    StatsLine,
    SummaryLine,
    encode,
)

HOUR_S = 3600
EVENTS_A_MINUTE = 20  # a lively person
MOST_BYTES, MOST_S = 10e6, 2.0
ROUNDS, GIVE_UP_MS = 5, 300_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def run() -> Result:
    """The median time to a page that answers to keys, and the file's size."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write_hour(place)
        record = read_session(place)
        report = place / "report.html"
        report.write_text(page(record, [], report), encoding="utf-8")
        seconds = statistics.median(_opened(report))
        size = report.stat().st_size
    return Result(
        ours=seconds,
        other=MOST_S,
        ratio=MOST_S / seconds,
        unit="s",
        compared=f"opening an hour's report in Chromium, against the limit of {MOST_S:g} s",
        machine=machine(),
        details={"megabytes": size / 1e6, "megabytes_allowed": MOST_BYTES / 1e6, "events": len(record.events)},
    )


def _opened(report: Path) -> Iterator[float]:
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise BadInput("a browser", "none", f"install one of {', '.join(CHROMIUM)}")
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(ROUNDS):
            tab = browser.new_page()
            tab.set_default_timeout(GIVE_UP_MS)
            begun = time.perf_counter()
            tab.goto(report.as_uri())
            tab.wait_for_selector("body[data-ready=yes]")
            yield time.perf_counter() - begun
            tab.close()
        browser.close()


def _write_hour(folder: Path) -> None:
    card = Path(__file__).parents[1] / "engines" / "models" / "landmarks-small" / "card.json"
    description = {
        "started_at": "2026-01-01T09:00:00+00:00",
        "sources": ["camera 0"],
        "model": json.loads(card.read_text()),
    }
    (folder / "session.json").write_text(json.dumps(description), encoding="utf-8")
    (folder / "events.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in _lines()))


def _lines() -> Iterator[Line]:
    random_ = random.Random(0)
    yield SessionLine("started", "landmarks-small", "openvino", "camera 0", trained_on="simulation", consent="written")
    for number in range(EVENTS_A_MINUTE * 60):
        onset_s = number * 60 / EVENTS_A_MINUTE + random_.uniform(0, 1)
        yield from _event(number + 1, round(onset_s, 3), round(onset_s + random_.uniform(0.4, 2.0), 3), random_)
    for second in range(3, HOUR_S):
        weights = [math.exp(math.sin(second / 60 + at)) for at in range(len(EMOTIONS))]
        shares = {name: round(one / sum(weights), 4) for name, one in zip(EMOTIONS, weights, strict=True)}
        around = {name: (round(0.8 * one, 4), round(min(1.2 * one, 1.0), 4)) for name, one in shares.items()}
        yield EmotionLine(0, float(second), shares, around, 9.0, 0.95, False)
    for second in range(5, HOUR_S, 5):
        latency = {name: {"p50": 12.0, "p99": 30.0} for name in ("transport", "wait", "compute", "total")}
        yield StatsLine(0, float(second), 30.0, 30 * second, 4 * second, 4 * second, {}, {}, latency, "streaming", 0)
    for number in range(12):
        yield MarkerLine(number * 300.0, f"question {number + 1}")
    yield SummaryLine(0, float(HOUR_S), 4 * HOUR_S, 4 * HOUR_S, 0, {}, 0.0, float(HOUR_S), 0.0, 0.0, {}, {})
    yield SessionLine("ended", "landmarks-small", "openvino", "camera 0")


def _event(number: int, onset_s: float, offset_s: float, random_: random.Random) -> Iterator[ActionLine]:
    action = random_.choice(ACTIONS)
    candidates = {one.name: 0.2 for one in ACTIONS if one.body_part == action.body_part}
    for state, offset in (("confirmed", None), ("ended", offset_s)):
        yield ActionLine(
            id=number,
            camera=0,
            state=state,
            action=action.name,
            index=action.index,
            body_part=action.body_part,
            onset_s=onset_s,
            offset_s=offset,
            confidence=0.8,
            emitted_s=onset_s + 1.2,
            delay_ms=DelayParts(600.0, 2.0, 60.0, 400.0),
            candidates=candidates,
        )
