"""A simulated interview as a source: no camera, no tracker, no download, and the same events every time."""

import contextlib

import pytest

from engines.taxonomy import ACTIONS
from events.types import ActionEvent, Delay, EventState
from realtime.capture.sources import EndOfSource, SimulatedSpec, open_source, probe, resume_after
from realtime.messages import CaptureState
from realtime.output.overlay import OverlayState, TrueEvent, render
from tests.conftest import manet_live

pytestmark = pytest.mark.slow

SPEC = SimulatedSpec(3, 2.0, "natural")
NS = 1_000_000_000


def pictures(spec: SimulatedSpec):
    found = []
    with open_source(spec) as source, contextlib.suppress(EndOfSource):
        while True:
            found.append(source.read(0.0))
    assert source.state is CaptureState.ENDED
    return found


def test_it_plays_its_length_and_brings_landmarks():
    probe(SPEC)
    played = pictures(SPEC)
    assert [image.frame_id for image in played] == list(range(60))
    assert all(image.landmarks.time_ns == image.media_ns for image in played)
    assert all(image.pixels.any() for image in played)


def test_a_replacement_goes_on_where_the_last_one_stopped():
    played = pictures(SPEC)
    rest = pictures(resume_after(SPEC, played[20].media_ns))
    assert [image.frame_id for image in rest] == list(range(21, 60))
    assert [image.media_ns for image in rest] == [image.media_ns for image in played[21:]]


def test_the_demo_runs_anywhere_and_repeats():
    runs = [
        manet_live("demo", "--seconds", "8", "--seed", "2", "--headless", "--engine", "onnxruntime") for _ in range(2)
    ]
    assert [run.code for run in runs] == [0, 0], runs[0].err
    assert runs[0].action_text == runs[1].action_text
    assert runs[0].of("stats")[-1]["frames"] == 240
    assert runs[0].of("session")[0]["source"] == "simulated interview 2"


def test_the_truth_stands_beside_the_events_with_a_tick_where_they_agree():
    nodding, waving = ACTIONS[9], ACTIONS[19]
    event = ActionEvent(1, 0, EventState.ENDED, nodding, "head", 2 * NS, 4 * NS, 0.8, 4 * NS, Delay(NS, NS))
    state = OverlayState(
        "m",
        "e",
        "s",
        simulated=True,
        elapsed_s=10.0,
        events=(event,),
        truth=(
            TrueEvent(nodding, 2.5, 3.5),
            TrueEvent(waving, 6.0, 7.0),
            TrueEvent(nodding, 9.0, 12.0),
            TrueEvent(waving, 30.0, 31.0),
        ),
    )
    lines = render(state, 100, 32).splitlines()
    below = "\n".join(lines[next(at for at, line in enumerate(lines) if "TRUTH" in line) :])
    assert "✓ 0:02.5–0:03.5" in below
    assert "– 0:06.0–0:07.0" in below  # missed
    assert "· 0:09.0–" in below  # still running
    assert "0:30" not in below  # not yet
