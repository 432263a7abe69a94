"""What the overlay draws depends on the terminal: colours, pictures, characters, size; and the SVG."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.live import Live

from realtime.output.overlay import Overlay, OverlayState, save_svg
from realtime.output.overlay.picture import fit, half_blocks
from tests.realtime.output.overlays import assert_fits, console, modest, printed


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


def test_a_panel_with_room_for_it_shows_the_picture():
    states = modest(), replace(modest(), source="webcam 1")
    on = console(120, 40)
    on.print(Overlay(*states), height=40)
    assert isinstance(on.file, io.StringIO)
    assert "▀" in on.file.getvalue()
