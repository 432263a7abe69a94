"""The overlay on consoles of a fixed size: nothing overflows, what matters is there, the pixels are right."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.segment import Segment
from rich.style import Style

from engines.taxonomy import ACTIONS
from events.types import ActionEvent, Candidate, Delay, EventState
from realtime.clock import NS_PER_S
from realtime.messages import CaptureState
from realtime.output.overlay import EmotionShown, Overlay, OverlayState, TopAction, render, save_svg, top_actions
from realtime.output.overlay.panels import FOOTNOTE, FOOTNOTE_NARROW, clock, name
from realtime.output.overlay.picture import fit, half_blocks

SIZES = [(80, 24), (60, 16), (120, 40)]
START_NS = 500 * NS_PER_S
STATES = tuple(EventState)


def event(id_: int, state: EventState, index: int, onset_s: float, offset_s: float | None = None) -> ActionEvent:
    over = state in (EventState.ENDED, EventState.RETRACTED)
    offset_ns = START_NS + round((offset_s or onset_s + 1) * NS_PER_S) if over else None
    return ActionEvent(
        id_,
        0,
        state,
        ACTIONS[index],
        ACTIONS[index].body_part,
        START_NS + round(onset_s * NS_PER_S),
        offset_ns,
        0.64,
        START_NS + round(onset_s * NS_PER_S) + NS_PER_S,
        Delay(NS_PER_S, 0),
    )


def maximal() -> OverlayState:
    """Everything at once, and more of it than fits."""
    return OverlayState(
        model="manet-r50-ma52-with-a-long-name",
        engine="openvino on a CPU with a very long name " * 2,
        source="recordings/[bold]interview[/bold] 界面 " + "long/" * 20 + ".mp4",
        trained_on="MA-52 train " * 9,
        untrained=True,
        replay=True,
        speed=None,
        simulated=True,
        elapsed_s=36_000.0,
        capture=CaptureState.FAILED,
        capture_detail="the camera\nwas \x1b[31munplugged\x07",
        framing=("62 % of the picture is seen", "no person found"),
        picture=np.random.default_rng(0).integers(0, 256, (72, 72, 3), np.uint8),
        top=tuple(TopAction(action, 1 - action.index / 52, STATES[action.index % 4]) for action in ACTIONS),
        events=tuple(event(i, STATES[i % 4], i % 52, 40_000.0 - i) for i in range(200)),
        session_start_ns=START_NS,
        latency={"total": (125.2, 9_170.0), "transport": None, **{f"stage {i}": (1.0, 12.0) for i in range(12)}},
        capture_fps=239.97,
        windows_per_s=25.0,
        dropped={f"cause {i}": 10**i for i in range(12)},
        skipped={f"why {i}": i for i in range(12)},
        restarts=3,
        messages=("one\ntwo", *["capture restarted " * 9] * 9),
    )


def modest() -> OverlayState:
    return OverlayState(
        model="manet-r50",
        engine="openvino",
        source="webcam 0",
        trained_on="MA-52",
        elapsed_s=71.44,
        picture=np.zeros((72, 72, 3), np.uint8),
        top=(TopAction(ACTIONS[9], 0.5, EventState.CONFIRMED), TopAction(ACTIONS[43], 0.25)),
        events=(event(2, EventState.CONFIRMED, 9, 70.0), event(1, EventState.ENDED, 43, 3.25, 5.0)),
        session_start_ns=START_NS,
        latency={"compute": (108.0, 131.0), "total": (125.0, 170.0)},
        capture_fps=30.0,
        windows_per_s=4.0,
        dropped={"wire": 9, "grabber": 12},
        skipped={"stale": 2},
        messages=("all is well",),
    )


def console(width: int, height: int, **values: object) -> Console:
    chosen: dict[str, object] = {
        "force_terminal": True,
        "color_system": "truecolor",
        "no_color": False,
        "legacy_windows": False,
    } | values
    return Console(file=io.StringIO(), width=width, height=height, **chosen)  # type: ignore[arg-type]


def printed(on: Console, state: OverlayState) -> str:
    on.print(Overlay(state))
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def segments(state: OverlayState, width: int = 80, height: int = 24) -> list[list[Segment]]:
    on = console(width, height)
    return list(Segment.split_lines(on.render(Overlay(state), on.options)))


def find(lines: list[list[Segment]], text: str) -> list[Segment]:
    return next(line for line in lines if text in "".join(segment.text for segment in line))


def style_of(line: list[Segment], text: str) -> Style:
    return next(segment.style for segment in line if segment.style is not None and text in segment.text)


def assert_fits(text: str, width: int, height: int) -> None:
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}


@pytest.mark.parametrize(
    "state",
    [
        maximal(),
        modest(),
        OverlayState("m", "e", "s"),
        replace(maximal(), show_picture=False),
        replace(maximal(), picture=None),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_the_screen_is_filled_exactly(size: tuple[int, int], state: OverlayState) -> None:
    assert_fits(printed(console(*size, color_system=None), state), *size)
    assert_fits(render(state, *size), *size)
    lines = segments(state, *size)
    assert [Segment.get_line_length(line) for line in lines] == [size[0]] * size[1]


@given(
    st.integers(40, 200),
    st.integers(10, 60),
    st.sampled_from(["truecolor", "256", "standard", None]),
    st.booleans(),
    st.integers(1, 90),
    st.integers(1, 90),
)
@settings(max_examples=60)
def test_any_size_is_filled_exactly(
    width: int, height: int, colors: str | None, full: bool, high: int, wide: int
) -> None:
    state = replace(maximal() if full else modest(), picture=np.full((high, wide, 3), 99, np.uint8))
    on = console(width, height, color_system=colors)
    lines = list(Segment.split_lines(on.render(Overlay(state), on.options)))
    assert [Segment.get_line_length(line) for line in lines] == [width] * height
    assert ("UNTRAINED" in render(state, width, height)) is full


@given(st.text(), st.text(), st.lists(st.text(), max_size=3))
@settings(max_examples=60)
def test_any_text_is_shown_without_harm(source: str, cause: str, messages: list[str]) -> None:
    state = replace(modest(), source=source, dropped={cause: 3}, messages=tuple(messages), framing=tuple(messages))
    for size in SIZES:
        assert_fits(render(state, *size), *size)


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
    text = render(replace(modest(), usual=(ACTIONS[7], ACTIONS[26], ACTIONS[1])), 120, 40)
    assert f"lowered as usual: {ACTIONS[7].name}, {ACTIONS[26].name}" in text
    panel = replace(modest(), usual=(ACTIONS[33], ACTIONS[1]))
    assert "lowered as usual: scratching" in render(modest(), 80, 24, panel)
    assert ACTIONS[1].name not in text
    assert "lowered" not in render(modest(), 120, 40)


def test_half_blocks_carry_two_pixels_each() -> None:
    pixels = np.array([[[252, 0, 0], [0, 252, 0]], [[0, 0, 252], [252, 252, 252]]], np.uint8)  # (2, 2, 3)
    (line,) = half_blocks(pixels, 2, 1)
    assert [segment.text for segment in line] == ["▀", "▀"]
    colors = [(segment.style.color, segment.style.bgcolor) for segment in line if segment.style]
    assert [(upper and upper.triplet, lower and lower.triplet) for upper, lower in colors] == [
        ((252, 0, 0), (0, 0, 252)),
        ((0, 252, 0), (252, 252, 252)),
    ]
    big = np.repeat(np.repeat(pixels, 36, axis=0), 36, axis=1)
    for line in half_blocks(big, 10, 5):
        assert sum(len(segment.text) for segment in line) == 10
    averaged = half_blocks(np.tile(np.array([[[0], [200]]], np.uint8), (4, 4, 3)), 2, 1)[0]
    assert {segment.style.color.triplet for segment in averaged if segment.style and segment.style.color} == {
        (100, 100, 100)
    }


def test_a_picture_keeps_its_aspect() -> None:
    assert fit(72, 72, 40, 100) == (40, 20)
    assert fit(72, 72, 100, 10) == (20, 10)
    assert fit(100, 50, 40, 20) == (20, 20)
    assert fit(1, 1000, 40, 20) == (40, 1)


def has_picture(state: OverlayState, on: Console) -> bool:
    return "▀" in printed(on, state)


def test_the_picture_gives_way() -> None:
    assert has_picture(modest(), console(80, 24))
    assert has_picture(modest(), console(120, 40, color_system="256"))
    assert not has_picture(replace(modest(), show_picture=False), console(80, 24))
    assert not has_picture(modest(), console(60, 16))
    assert not has_picture(modest(), console(80, 24, no_color=True))
    assert not has_picture(modest(), console(80, 24, color_system="standard"))
    assert "no picture yet" in printed(console(80, 24, color_system="256"), replace(modest(), picture=None))


def test_without_colour_everything_is_still_said() -> None:
    text = printed(console(80, 24, no_color=True), replace(modest(), untrained=True))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m|38;|48;", text)
    dumb = Console(file=io.StringIO(), width=80, height=24, force_terminal=False, color_system=None)
    told = printed(dumb, replace(modest(), untrained=True))
    assert "\x1b" not in told
    assert "! UNTRAINED WEIGHTS" in told
    assert_fits(told, 80, 24)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    on = Console(
        file=io.TextIOWrapper(raw, "ascii"),
        width=80,
        height=24,
        force_terminal=True,
        no_color=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    on.print(Overlay(replace(modest(), source="caméra", untrained=True)))
    on.file.flush()
    text = raw.getvalue().decode("ascii")
    assert "UNTRAINED" in text
    assert "cam?ra" in text


def test_live_redraws_at_the_size_the_terminal_has() -> None:
    on = console(80, 24)
    current = modest()
    with Live(get_renderable=lambda: Overlay(current), console=on, screen=True, auto_refresh=False) as live:
        on.size = (100, 30)
        current = replace(current, source="webcam 1")
        live.refresh()
    assert isinstance(on.file, io.StringIO)
    assert "webcam 1" in on.file.getvalue()
    assert "\x1b[2J" not in on.file.getvalue()  # nothing is cleared between two pictures


def test_the_svg_is_whole_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    path = tmp_path / "overlay.svg"
    save_svg(replace(modest(), untrained=True), path, 100, 30)
    text = path.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "manet-live" in text
    assert "UNTRAINED" in text
    assert "url(http" not in text
    assert "@font-face" not in text
    save_svg(replace(modest(), untrained=True), tmp_path / "again.svg", 100, 30)
    assert (tmp_path / "again.svg").read_text(encoding="utf-8") == text


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


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize(("width", "height"), [*SIZES, (40, 10), (200, 50)])
@pytest.mark.parametrize("make", [maximal, modest])
def test_several_cameras_fill_the_screen_exactly_and_each_is_named(width, height, count, make):
    states = [replace(make(), source=f"c{at}.mp4") for at in range(count)]
    lines = render(states[0], width, height, *states[1:]).split("\n")
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}
    text = "\n".join(lines)
    assert width < 60 or f"{count} cameras" in text
    if height >= 5 + count or width >= 80:
        assert all(f" {at} c{at}.mp4" in text for at in range(count))
    if make is maximal:
        assert "UNTRAINED WEIGHTS" in text


def test_two_cameras_at_80x24_show_what_each_of_them_does():
    one = replace(modest(), source="interviewer.mp4")
    other = replace(maximal(), source="interviewee.mp4", untrained=False)
    text = render(one, 80, 24, other)
    for expected in ("0 interviewer.mp4", "1 interviewee.mp4", "CAPTURE FAILED", "NOW", "nodding", "skipped 2"):
        assert expected in text, expected
    assert text.count("EVENTS") == 2


def test_a_panel_with_room_for_it_shows_the_picture():
    states = modest(), replace(modest(), source="webcam 1")
    on = console(120, 40)
    on.print(Overlay(*states), height=40)
    assert isinstance(on.file, io.StringIO)
    assert "▀" in on.file.getvalue()


def feeling(abstains: bool = False) -> EmotionShown:
    shares = (0.55, 0.2, 0.1, 0.1, 0.05)
    return EmotionShown(
        shares,
        tuple((max(one - 0.1, 0.0), one + 0.1) for one in shares),
        8.4,
        0.97,
        abstains,
        tuple((float(60 - at), None if at < 20 else shares) for at in range(60)),
    )


@pytest.mark.parametrize(("width", "height"), [*SIZES, (40, 10)])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_emotions_have_their_place_at_every_size(width, height, count):
    states = [
        replace(make(), emotion=shown)
        for make, shown in zip(
            (modest, maximal) * 2, (feeling(), EmotionShown(), feeling(True), feeling()), strict=True
        )
    ][:count]
    lines = render(states[0], width, height, *states[1:]).split("\n")
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}


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
