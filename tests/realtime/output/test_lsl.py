"""Lab Streaming Layer with a real inlet on this machine."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from engines.common.errors import BadInput
from realtime.config import Config
from realtime.output.event_stream import EventStream
from realtime.output.lines import ActionLine, DelayParts, EmotionLine, MarkerLine, Posteriors
from realtime.output.lsl import LslOutput
from tests.conftest import refused, write_numbered

ZERO_S = 100.25  # the session's zero, this long ago
ONSET_S, OFFSET_S = 98.5, 99.75


def description() -> dict:
    card = SimpleNamespace(network=SimpleNamespace(inputs={"landmarks": ()}), span_s=4.0)
    return {
        "model": card,
        "config": Config(),
        "started_at": f"test {time.monotonic_ns()}",
        "sources": ["camera 0"],
        "emotion_model": card,
    }


def action(state: str, offset_s: float | None) -> ActionLine:
    delay = DelayParts(0.0, None, None, 0.0)
    return ActionLine(1, 0, state, "nodding", 9, "head", ONSET_S, offset_s, 0.9, 100.0, delay)


def test_a_recorder_gets_every_sample_with_the_moment_it_was_filmed() -> None:
    pylsl = pytest.importorskip("pylsl")
    output, session = LslOutput(), description()
    stream = EventStream([output])
    stream.start(session)
    inlets = {}
    for what, rate_hz in (("events", 0.0), ("posteriors 0", 16.0), ("emotion 0", 1.0)):
        (info,) = pylsl.resolve_byprop("source_id", f"manet-live {session['started_at']} {what.split()[0]} 0", 1, 20.0)
        assert (info.name(), info.nominal_srate()) == (f"manet-live {what}", rate_hz)
        inlets[what] = pylsl.StreamInlet(info)
        inlets[what].open_stream(20.0)
    zero_ns = time.monotonic_ns() - round(ZERO_S * 1e9)
    values = np.linspace(0.0, 1.0, 59, dtype=np.float32)
    stream.write_posteriors(Posteriors(0, 100.0, zero_ns + round(100.0 * 1e9), values))
    for line in (action("confirmed", None), action("ended", OFFSET_S), MarkerLine(99.0, "question 1")):
        stream.write(line)
    stream.write(EmotionLine(0, 99.5, None, None, 0.0, 0.0, True))
    found = [inlets["events"].pull_sample(20.0) for _ in range(3)]
    assert [text for (text,), _ in found] == [
        "action/head/nodding/confirmed",
        "action/head/nodding/ended",
        "marker/question 1",
    ]
    filmed_s = [zero_ns / 1e9 + moment for moment in (ONSET_S, OFFSET_S, 99.0)]
    errors = [
        stamp - pylsl.local_clock() + time.monotonic() - true for (_, stamp), true in zip(found, filmed_s, strict=True)
    ]
    assert max(map(abs, errors)) < 0.001
    scores, stamp = inlets["posteriors 0"].pull_sample(20.0)
    assert np.array_equal(np.array(scores, np.float32), values)
    assert stamp == pytest.approx(zero_ns / 1e9 + 100.0, abs=0.001)
    shares, _ = inlets["emotion 0"].pull_sample(20.0)
    assert np.isnan(shares).all()
    assert channels(inlets["posteriors 0"].info())[9::43] == ["nodding", "part: body"]
    stream.close(5.0)


def channels(info) -> list[str]:
    found, channel = [], info.desc().child("channels").child("channel")
    while not channel.empty():
        found.append(channel.child_value("label"))
        channel = channel.next_sibling()
    return found


def test_without_pylsl_it_is_one_line(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(BadInput, match=r"expected pylsl for --lsl, got .*; pip install 'manet-live\[lab\]'"):
        LslOutput()


def test_a_replay_at_another_speed_has_no_moments_to_stamp(tmp_path) -> None:
    source = write_numbered(tmp_path / "in.mp4", range(0, 200, 40))
    line = refused("replay", source, "--headless", "--lsl", "--speed", "max")
    assert "expected --lsl at --speed realtime, got --speed max" in line
