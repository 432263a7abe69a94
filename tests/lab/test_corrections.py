"""What a reviewer corrects, and how it comes into the record."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from engines.common.errors import BadInput
from lab.__main__ import main
from lab.corrections import Correction, Corrections, apply
from lab.session_record import read_session
from tests.lab.sessions import action, ended, opening, summary, write_session


def correction(event: str, name: str | None, part: str, onset_s: float, offset_s: float, **others) -> Correction:
    known = {"camera": 0, "verdict": "open", "reviewer": "Zoë", "made_at": "2026-11-03T10:00:00.000Z"}
    fields = known | others
    return Correction(event=event, action=name, body_part=part, onset_s=onset_s, offset_s=offset_s, **fields)


CORRECTIONS = (
    correction("0.1", "bowing head", "head", 1.5, 2.25),
    correction("0.2", "shrugging", "body", 3.0, 4.0, verdict="rejected"),
    correction("0.3", "waving", "upper limb", 5.0, 6.0, verdict="accepted"),
    correction("added-00c0ffee", None, "head-hand", 0.5, 0.75),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [*action(1, "nodding", 1.0, 2.0), *action(2, "shrugging", 3.0, 4.0), *action(3, "waving", 5.0, 6.0)]
    return write_session(tmp_path / "session", [opening(), *lines, summary(9.0), ended()])


def saved(folder: Path, corrections: tuple[Correction, ...] = CORRECTIONS, session: str = "") -> Path:
    file = folder.parent / "corrections-saved.json"
    file.write_bytes(msgspec.json.encode(Corrections(session or read_session(folder).id, corrections)))
    return file


def test_a_record_with_corrections_has_both_what_was_found_and_what_it_became(folder, capsys):
    assert main(["corrections", str(folder), str(saved(folder))]) == 0
    assert capsys.readouterr().out == "4 corrections added, 0 were there already\n"
    record = read_session(folder)
    assert [(one.key, one.name, one.onset_s, one.offset_s, one.review) for one in record.reviewed] == [
        ("added-00c0ffee", "head-hand", 0.5, 0.75, "added"),
        ("0.1", "bowing head", 1.5, 2.25, "renamed"),
        ("0.3", "waving", 5.0, 6.0, "accepted"),
    ]
    assert [one.name for one in record.events] == ["nodding", "shrugging", "waving"]


def test_the_latest_correction_of_an_event_counts_whenever_it_was_brought_in(folder, capsys):
    later = correction("0.2", "shrugging", "body", 3.0, 4.0, made_at="2026-11-03T11:00:00.000Z")
    assert main(["corrections", str(folder), str(saved(folder, (later,)))]) == 0
    assert main(["corrections", str(folder), str(saved(folder, (*CORRECTIONS, later)))]) == 0
    assert capsys.readouterr().out.endswith("4 corrections added, 1 were there already\n")
    record = read_session(folder)
    assert len(record.corrections) == 5
    assert [(one.key, one.review) for one in record.reviewed if one.key == "0.2"] == [("0.2", "")]


def test_the_machines_lines_stay_as_they_were_and_a_line_that_was_cut_off_spoils_none(folder):
    before = (folder / "events.jsonl").read_bytes()
    (folder / "corrections.jsonl").write_bytes(b'{"event":"0.1","cam')
    assert main(["corrections", str(folder), str(saved(folder))]) == 0
    assert (folder / "events.jsonl").read_bytes() == before
    assert (folder / "corrections.jsonl").read_bytes().startswith(b'{"event":"0.1","cam\n{"event":"0.1"')


def test_what_is_not_of_this_session_is_refused(folder, capsys):
    unknown = correction("0.9", "nodding", "head", 1.0, 2.0)
    assert main(["corrections", str(folder), str(saved(folder, session="0" * 16))]) == 2
    assert main(["corrections", str(folder), str(saved(folder, (*CORRECTIONS, unknown)))]) == 2
    assert main(["corrections", str(folder / "events.jsonl"), str(saved(folder))]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.partition("got ")[2].split("; ")[0].split("/")[-1] for line in errors] == [
        "corrections-saved.json, which is of session 0000000000000000",
        "one of '0.9'",
        "events.jsonl, a file",
    ]
    assert not (folder / "corrections.jsonl").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"action": "yawning"},
        {"body_part": "body"},
        {"action": None, "body_part": "wing"},
        {"offset_s": 1.0},
        {"verdict": "perhaps"},
        {"onset_s": -1.0},
        {"note": "?"},
    ],
)
def test_a_correction_that_cannot_be_is_refused(folder, capsys, changed):
    file = saved(folder)
    content = json.loads(file.read_bytes())
    content["corrections"] = [msgspec.to_builtins(correction("0.1", "nodding", "head", 1.0, 2.0)) | changed]
    file.write_text(json.dumps(content))
    assert main(["corrections", str(folder), str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("manet-live: error: expected a file of corrections, got ")


def test_a_rejected_event_that_a_reviewer_added_is_gone(folder):
    gone = correction("added-00c0ffee", None, "head-hand", 0.5, 0.75, verdict="rejected", made_at="2026-11-03T12")
    assert "added-00c0ffee" not in {one.key for one in apply(read_session(folder).events, (*CORRECTIONS, gone))}


def test_a_damaged_line_in_the_record_is_reported(folder):
    (folder / "corrections.jsonl").write_bytes(b"{}\n")
    with pytest.raises(BadInput, match=r"lines of corrections, got .*corrections\.jsonl"):
        read_session(folder)
