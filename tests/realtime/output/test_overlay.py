"""What the overlay says, and how: on consoles of a fixed size."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from rich.segment import Segment

from engines.taxonomy import ACTIONS
from events.types import Candidate, EventState
from realtime.messages import CaptureState
from realtime.output.overlay import OverlayState, TopAction, render, top_actions
from realtime.output.overlay.emotion import ROWS, emotion
from realtime.output.overlay.panels import FOOTNOTE, FOOTNOTE_NARROW, clock, name
from tests.realtime.output.overlays import SIZES, event, feeling, find, maximal, modest, segments, style_of


def test_markup_in_a_name_is_not_obeyed_and_control_characters_are_blanked() -> None:
    state = replace(modest(), source="[bold red]cam[/] \x1b[2J", messages=("a\rb\nc",))
    text = render(state, 80, 24)
    assert "[bold red]cam[/]  [2J" in text
    assert "\x1b" not in text
    assert "a b c" in text


@pytest.mark.parametrize("size", [*SIZES, (40, 10)])
def test_untrained_weights_and_bad_framing_draw_red_lines(size: tuple[int, int]) -> None:
    state = replace(modest(), untrained=True, framing=("only 62 % is seen",))
    lines = segments(state, *size)
    for text in ("UNTRAINED WEIGHTS", *(["FRAMING: only 62 %"] if size != (40, 10) else [])):
        style = style_of(find(lines, text), text)
        assert style.bgcolor is not None
        assert style.bgcolor.name == "red"
        assert style.bold
        assert lines.index(find(lines, text)) < 4
    assert "trained on" not in render(state, *size)
    trained = render(modest(), *size)
    assert "UNTRAINED" not in trained
    assert "FRAMING" not in trained


def test_more_alerts_than_rows_share_the_last_row() -> None:
    text = render(replace(modest(), untrained=True, framing=tuple("abcd")), 80, 24)
    assert "! FRAMING: b · FRAMING: c · FRAMING: d" in text


def test_what_a_session_is_stands_in_the_header() -> None:
    first, second = render(modest(), 80, 24).split("\n")[:2]
    assert re.search(r"manet-live +LIVE +webcam 0 .* 1:11\.4 $", first)
    assert "model manet-r50  engine openvino  trained on MA-52" in second
    assert " REPLAY 2× " in render(replace(modest(), replay=True, speed=2.0), 80, 24)
    assert " REPLAY MAX " in render(replace(modest(), replay=True, speed=None), 80, 24)
    simulated = render(replace(modest(), simulated=True), 80, 24)
    assert " SIMULATED " in simulated
    assert " LIVE " not in simulated
    lost = render(replace(modest(), capture=CaptureState.RECONNECTING, capture_detail="no route"), 80, 24)
    assert "capture reconnecting: no route" in lost
    failed = segments(replace(modest(), capture=CaptureState.FAILED, capture_detail="gone"))
    assert style_of(find(failed, "CAPTURE FAILED: gone"), "CAPTURE").bgcolor is not None


def bar_cells(line: list[Segment], color: str) -> float:
    text = "".join(
        segment.text for segment in line if segment.style and segment.style.color and segment.style.color.name == color
    )
    return text.count("━") + text.count("╸") / 2


def test_bars_are_proportional_to_the_posterior() -> None:
    lines = segments(
        replace(
            modest(), top=tuple(TopAction(ACTIONS[9], value, EventState.CONFIRMED) for value in (1.0, 0.5, 0.25, 0.0))
        )
    )
    full, half, quarter, none = (bar_cells(find(lines, f" {value:.2f}"), "green") for value in (1.0, 0.5, 0.25, 0.0))
    assert full >= 12
    assert half == pytest.approx(full / 2, abs=0.25)
    assert quarter == pytest.approx(full / 4, abs=0.25)
    assert none == 0


def test_an_event_of_a_part_shows_its_likeliest_action_as_a_question() -> None:
    likely = (Candidate(ACTIONS[46], 0.4), Candidate(ACTIONS[41], 0.3))
    unnamed = replace(event(1, EventState.CONFIRMED, 46, 3.0), action=None, candidates=likely)
    for size in SIZES:
        text = render(replace(modest(), top=(), events=(unnamed,)), *size)
        assert ("hand at head · covering mouth? " if size != (60, 16) else "hand at head · cover") in text
        text = render(replace(modest(), top=(), events=(replace(unnamed, candidates=()),)), *size)
        assert re.search(r"hand at head +head-hand ", text)
    lasting = replace(event(1, EventState.ENDED, 9, 3.0), posture=True)
    wide = render(replace(modest(), top=(), events=(lasting,)), 120, 40)
    assert re.search(r"nodding +head +posture ", wide)
    named = render(replace(modest(), top=(), events=(event(1, EventState.REFINED, 46, 3.0),)), 120, 40)
    assert re.search(r"● 0:03\.0– +covering mouth +head-hand +refined ", named)


def test_events_show_their_state_time_and_part() -> None:
    shown = [
        event(4, EventState.PROVISIONAL, 8, 70.9),
        event(3, EventState.CONFIRMED, 43, 69.4),
        event(2, EventState.ENDED, 28, 3.25, 5.0),
        event(1, EventState.RETRACTED, 14, 1.0, 1.5),
    ]
    for size in SIZES:
        lines = segments(replace(modest(), top=(), events=tuple(shown)), *size)
        provisional, confirmed, ended, retracted = (
            find(lines, text) for text in ("turning head", "touching nose", "crossing legs", "rubbing hands")
        )
        assert style_of(provisional, "turning").dim
        assert style_of(confirmed, "touching").bold
        plain = style_of(ended, "crossing")
        assert not plain.dim
        assert not plain.bold
        assert not plain.strike
        assert style_of(retracted, "rubbing").strike
        text = render(replace(modest(), top=(), events=tuple(shown)), *size)
        assert re.search(r"○ 1:10\.9– +turning head +head ", text)
        assert re.search(r"■ 0:03\.[23]–0:05\.0 +crossing legs +lower limb ", text)
        assert all(one.state.value in text for one in shown)
    newest = render(
        replace(
            modest(), top=(), events=(event(1, EventState.ENDED, 9, 3.0, 5.0), event(1, EventState.CONFIRMED, 9, 3.0))
        ),
        80,
        24,
    )
    assert newest.count("nodding") == 1
    assert "■ 0:03.0–0:05.0" in newest


@pytest.mark.parametrize("size", SIZES)
def test_names_that_may_be_exchanged_are_marked(size: tuple[int, int]) -> None:
    for state in (
        replace(modest(), top=(TopAction(ACTIONS[3], 0.5),)),
        replace(modest(), events=(event(1, EventState.ENDED, 4, 1.0),)),
    ):
        text = render(state, *size)
        assert "turning around?" in text or "rising up?" in text
        assert FOOTNOTE in text or FOOTNOTE_NARROW in text
    assert "exchanged" not in render(modest(), *size)


def test_losses_rates_and_latencies_are_named() -> None:
    for size in SIZES:
        text = render(modest(), *size)
        assert re.search(r"dropped +21: grabber 12, wire 9", text)
        assert re.search(r"skipped +2: stale 2", text)
        assert "30.0 fps" in text
        assert re.search(r"total +125[/ ]+170", text)
        assert re.search(r"compute +108[/ ]+131", text)
    assert "all is well" in render(modest(), 80, 24)
    bare = render(OverlayState("m", "e", "s"), 80, 24)
    assert "dropped  0" in bare
    assert "none yet" in bare


def test_what_is_lowered_because_it_is_usual_of_the_person_is_named() -> None:
    text = render(replace(modest(), lowered=(ACTIONS[7], ACTIONS[26], ACTIONS[1])), 120, 40)
    assert f"lowered as habitual: {ACTIONS[7].name}, {ACTIONS[26].name}" in text
    panel = replace(modest(), lowered=(ACTIONS[33], ACTIONS[1]))
    assert "lowered as habitual: scratching" in render(modest(), 80, 24, panel)
    assert ACTIONS[1].name not in text
    assert "lowered" not in render(modest(), 120, 40)


def test_top_actions_are_the_likeliest_and_those_that_run() -> None:
    posteriors = np.zeros(52, np.float32)
    posteriors[[9, 43, 8]] = (0.5, 0.3, 0.1)
    top = top_actions(posteriors, {51: EventState.CONFIRMED}, 3)
    assert [(item.action.index, item.running) for item in top] == [(9, None), (43, None), (51, EventState.CONFIRMED)]
    assert top[0].posterior == 0.5
    assert len(top_actions(posteriors, {}, 10)) == 10


def test_times_and_names_are_short() -> None:
    assert [clock(value) for value in (0.0, 59.96, 71.44, 3_600.0, 36_001.25, -2.0)] == [
        "0:00.0",
        "1:00.0",
        "1:11.4",
        "1:00:00.0",
        "10:00:01.2",
        "-0:02.0",
    ]
    chest, around = ACTIONS[33], ACTIONS[3]
    assert [name(chest, width) for width in (28, 20, 12)] == [
        "scratching or touching chest",
        "scratching…chest",
        "scratching …",
    ]
    assert [name(around, width) for width in (None, 15, 10)] == ["turning around?", "turning around?", "turning …?"]


def test_two_cameras_at_80x24_show_what_each_of_them_does():
    one = replace(modest(), source="interviewer.mp4")
    other = replace(maximal(), source="interviewee.mp4", untrained=False)
    text = render(one, 80, 24, other)
    for expected in ("0 interviewer.mp4", "1 interviewee.mp4", "CAPTURE FAILED", "NOW", "nodding", "skipped 2"):
        assert expected in text, expected
    assert text.count("EVENTS") == 2


def test_emotions_show_bars_intervals_and_the_last_minute():
    text = render(replace(modest(), emotion=feeling()), 80, 24)
    row = next(line for line in text.splitlines() if line.startswith("joy"))
    assert "━" in row
    assert "┄" in row
    assert "0.55 0.45–0.65" in row
    assert re.search(r"[▁▂▃▄▅▆▇█]{6,}", row)
    assert not re.search(r"[▁▂▃▄▅▆▇█]", row.split("0.65 ")[1][:3])  # it abstained a minute ago
    for expected in ("sadness", "surprise", "fear", "anger", "face 97%", "8 s to go on"):
        assert expected in text
    silent = render(replace(modest(), emotion=feeling(abstains=True)), 80, 24)
    assert "not enough to go on" in silent
    assert "0.55" not in silent


def test_a_neutral_face_is_called_so_rather_than_given_five_guesses() -> None:
    shown = replace(feeling(), neutral=0.83)
    rows = [line.plain for line in emotion(shown, 70, ROWS)]
    assert "neutral 0.83, face 97%, 8 s to go on" in rows[0]
    assert not any("0.55" in row for row in rows)
    (line,) = emotion(shown, 40, 1)
    assert line.plain.rstrip() == "EXPRESSION neutral 0.83"
