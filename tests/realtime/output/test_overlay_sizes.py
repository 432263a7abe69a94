"""The overlay fills a screen of any size exactly, whatever it shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from realtime.output.overlay import EmotionShown, Overlay, OverlayState, render
from tests.realtime.output.overlays import SIZES, assert_fits, console, feeling, maximal, modest, printed, segments


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
