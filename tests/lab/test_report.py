"""The report's file: what is in it, and where it is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.__main__ import main
from tests.lab.sessions import action, ended, opening, summary, write_session
from tests.lab.sessions import recording as recording_line

OUTSIDE = re.compile(r"""(?:src|href)\s*=\s*["'](?!#)|@import|url\(|https?://(?!www\.w3\.org)""")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [opening(), recording_line(2.0), *action(1, "nodding", 1.0, 2.0), *action(2, "head", 3.0, 4.0)]
    return write_session(
        tmp_path / "session", [*lines, summary(8.0), ended()], metadata={"participant": "</script><b>李"}
    )


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_one_file_holds_everything(folder, capsys):
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"wrote {folder / 'report.html'}: open it in a browser\n"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert OUTSIDE.findall(page) == []
    assert "{{" not in page
    data = data_of(page)
    assert data["metadata"] == {"participant": "</script><b>李"}
    assert [(one["key"], one["action"], one["part"]) for one in data["events"]] == [
        ("0.1", "nodding", "head"),
        ("0.2", None, "head"),
    ]
    assert (data["length_s"], data["file_offset_s"], data["missing"]) == (8.0, [2.0], [])


def test_a_session_that_was_cut_off_gives_a_report_that_says_so(tmp_path, capsys):
    folder = write_session(tmp_path, [opening(), *action(1, "nodding", 1.0, 2.0)[:2]])
    assert main(["report", str(folder)]) == 0
    missing = data_of((folder / "report.html").read_text())["missing"]
    assert missing[0].startswith("The session was cut off: ")
    assert missing[0] in capsys.readouterr().err


def test_an_earlier_report_is_replaced_and_nothing_else(folder, capsys):
    for _ in range(2):
        assert main(["report", str(folder)]) == 0
    mine = folder / "mine.html"
    mine.write_text("<h1>mine</h1>")
    assert main(["report", str(folder), "--out", str(mine)]) == 2
    assert capsys.readouterr().err.endswith(
        f"expected a new file for the report, got {mine}, a file; name another --out\n"
    )
    assert mine.read_text() == "<h1>mine</h1>"
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.jsonl",
        "mine.html",
        "report.html",
        "session.json",
    ]


def test_a_video_is_named_from_where_the_report_lies(folder, recording, tmp_path):
    out = tmp_path / "elsewhere" / "page.html"
    out.parent.mkdir()
    video = folder / "an interview #1.mp4"
    video.write_bytes(recording.read_bytes())
    assert main(["report", str(folder), "--video", str(video), "--out", str(out)]) == 0
    data = data_of(out.read_text())
    assert data["videos"] == [{"camera": 0, "name": video.name, "address": "../session/an%20interview%20%231.mp4"}]
    assert data["missing"] == []  # 10 s, as the session's 8 s and the 2 s before them


def test_a_video_of_another_length_is_pointed_out(tmp_path, recording, capsys):
    folder = write_session(tmp_path / "longer", [opening(), summary(60.0), ended()])
    assert main(["report", str(folder), "--video", str(recording)]) == 0
    sentence = "scenes.mp4 is 10.0 s long, the session's recording 60.0 s: it may be another recording"
    assert sentence in capsys.readouterr().err
    assert sentence in data_of((folder / "report.html").read_text())["missing"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "the folder of a recorded session"),
        (["session", "--video", "session/session.json"], "a video"),
        (["session", "--video", "none.mp4"], "a video"),
        (["session", "--video", "a.mp4", "--video", "b.mp4"], "up to 1 videos"),
        (["session", "--out", "none/report.html"], "a report that can be written"),
        (["session", "--out", "session"], "a new file for the report"),
    ],
)
def test_bad_input_is_one_line(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder.parent)
    assert main(["report", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"manet-live: error: expected {message}")
