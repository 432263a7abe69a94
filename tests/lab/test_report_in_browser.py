"""The report in a real browser: what it shows, and a review by keyboard that comes back into the record."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lab.__main__ import main
from lab.session_record import read_session
from realtime.output.lines import EmotionLine, MarkerLine
from tests.lab.sessions import action, ended, opening, stats, summary, write_session
from tests.lab.sessions import recording as recording_line

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = '</script><img src=x onerror="document.body.remove()">'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A minute: five events, two questions, an emotion."""
    events = [
        *action(1, "nodding", 2.0, 4.0, 0.9, {"nodding": 0.7, "bowing head": 0.2}),
        *action(2, "shrugging", 10.0, 11.0),
        *action(3, "nodding", 22.0, 23.0),
        *action(4, "head", 23.5, 25.5),
        *action(5, "waving", 40.0, 43.0),
    ]
    shares = {"joy": 0.6, "sadness": 0.1, "surprise": 0.1, "fear": 0.1, "anger": 0.1}
    emotion = [EmotionLine(0, 5.0, shares, dict.fromkeys(shares, (0.05, 0.7)), 5.0, 0.9, False)]
    markers = [MarkerLine(20.0, "question 1"), MarkerLine(30.0, "question 2")]
    lines = [opening(), recording_line(1.0), *events, *emotion, *markers, stats(30.0), summary(60.0), ended()]
    return write_session(tmp_path / "session", lines, metadata={"participant": NAME})


def report(folder: Path, *arguments: str | Path) -> str:
    assert main(["report", str(folder), *map(str, arguments)]) == 0
    return (folder / "report.html").as_uri()


def opened(tab: Any, address: str) -> Any:
    tab.goto(address)
    tab.wait_for_selector("body[data-ready=yes]")
    return tab


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def until(tab: Any, expression: str) -> None:
    """Wait for it; the page forbids what Playwright's own `wait_for_function` does."""
    deadline = time.monotonic() + 60
    while not tab.evaluate(expression):
        assert time.monotonic() < deadline, expression
        tab.wait_for_timeout(50)


def row(tab: Any, table: str, first: str) -> list[str]:
    """The cells of the row that begins so."""
    rows = [one.locator("td").all_inner_texts() for one in tab.locator(f"{table} tbody tr").all()]
    return next(cells for cells in rows if cells[0].strip() == first)


def test_what_it_shows_is_right(tab, folder):
    opened(tab, report(folder))
    assert tab.inner_text("h1") == f"Session of {NAME}"
    assert row(tab, "#rates", "all events") == [
        *("all events", "5", "5.00", "9.0 s", "1.8 s", "15.0 %"),
        *("2", "12.00", "1", "2.00"),  # 22 and 23.5 s in the 10 s of the first question, 40 s in the 30 s of the second
    ]
    assert row(tab, "#rates", "nodding")[:6] == ["nodding", "2", "2.00", "3.0 s", "1.5 s", "5.0 %"]
    assert row(tab, "#rates", "head")[:6] == ["head", "3", "3.00", "5.0 s", "1.7 s", "8.3 %"]
    head = row(tab, "#transitions", "head")
    assert head == ["head", "·", "1", "·", "·", "·", "·", "·"]  # only 22 → 23.5 s follows within 5 s
    assert row(tab, "#latency", "until it is sure") == ["until it is sure", "250", "250"]
    assert row(tab, "#quality", "windows due, judged")[1] == "40, 40"
    assert tab.inner_text("#facts").count("5.0") == 1
    assert tab.evaluate("byId('emotion').height > 0 && byId('timeline').height > 0")
    assert tab.locator("#events tbody tr").count() == 5


def test_a_review_by_keyboard_comes_back_into_the_record(tab, folder, tmp_path, capsys):
    address = report(folder)
    opened(tab, address)
    tab.fill("#reviewer", "Zoë")
    tab.locator("h1").click()
    press(tab, "j", "a")  # the nodding at 2 s is right; goes on to the next
    press(tab, "x")  # the shrugging at 10 s is not
    press(tab, "r", *"bowing", "Enter")  # the nodding at 22 s is another action
    press(tab, "j", "ArrowRight", "[", "ArrowRight", "ArrowRight", "]")  # 23.5–25.5 s becomes 24.5–26.5 s
    press(tab, "0", "j", "x", "u")  # taken back
    press(tab, "ArrowLeft", "n", *"wav", "Enter")  # at 39 s, for a second
    assert tab.inner_text("#progress") == "5 of 6 reviewed"
    assert row(tab, "#rates", "all events")[1] == "5"
    opened(tab, address)  # the browser has kept it
    assert tab.inner_text("#progress") == "5 of 6 reviewed"
    assert tab.input_value("#reviewer") == "Zoë"
    with tab.expect_download() as waiting:
        tab.locator("h1").click()
        press(tab, "s")
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.name == f"corrections-{read_session(folder).id}.json"
    assert main(["corrections", str(folder), str(file)]) == 0
    record = read_session(folder)
    assert [(one.name, one.onset_s, one.offset_s, one.review) for one in record.reviewed] == [
        ("nodding", 2.0, 4.0, "accepted"),
        ("bowing head", 22.0, 23.0, "renamed"),
        ("head", 24.5, 26.5, "moved"),
        ("waving", 39.0, 40.0, "added"),
        ("waving", 40.0, 43.0, ""),
    ]
    assert {one.reviewer for one in record.corrections} == {"Zoë"}
    assert main(["corrections", str(folder), str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 corrections added")
    tab.evaluate("localStorage.clear()")
    opened(tab, report(folder))  # the record holds them now
    assert tab.inner_text("#progress") == "5 of 6 reviewed"


def test_a_video_follows_the_events_and_one_of_another_length_is_pointed_out(tab, folder, recording):
    opened(tab, report(folder, "--video", recording))
    until(tab, "video.readyState >= 2 && video.seekable.length")
    press(tab, "j")
    until(tab, "Math.abs(video.currentTime - 3) < 0.001")  # 2 s, and what the recording has before it
    assert "it may be another recording" in tab.inner_text("#warnings")
    width = tab.evaluate("byId('timeline').clientWidth")
    tab.locator("#timeline").click(position={"x": 104 + (width - 112) * 0.1, "y": 30})
    until(tab, "Math.abs(view.time - 6) < 0.1 && Math.abs(video.currentTime - 7) < 0.1")


def test_what_a_video_that_is_gone_does(tab, folder, recording):
    address = report(folder, "--video", recording)
    text = (folder / "report.html").read_text().replace("scenes.mp4", "gone.mp4")
    (folder / "report.html").write_text(text)
    tab.goto(address)
    until(tab, "byId('warnings').innerText.includes('cannot be shown')")
