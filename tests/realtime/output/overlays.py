"""States of the overlay, full and modest, and consoles of a fixed size to draw them on."""

from __future__ import annotations

import io

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from engines.taxonomy import ACTIONS
from events.types import ActionEvent, Delay, EventState
from realtime.clock import NS_PER_S
from realtime.messages import CaptureState
from realtime.output.overlay import EmotionShown, Overlay, OverlayState, TopAction

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


def feeling(abstains: bool = False) -> EmotionShown:
    shares = (0.55, 0.2, 0.1, 0.1, 0.05)
    return EmotionShown(
        shares,
        tuple((max(one - 0.1, 0.0), one + 0.1) for one in shares),
        8.4,
        0.97,
        abstains,
        history=tuple((float(60 - at), None if at < 20 else shares) for at in range(60)),
    )
