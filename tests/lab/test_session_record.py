"""A recorded session read back: whole, cut off, corrected."""

from dataclasses import replace

import msgspec
import pytest

from engines.common.errors import BadInput
from events.types import EventState
from lab.session_record import read_session
from realtime.output.lines import MarkerLine, encode
from tests.lab.sessions import action, ended, opening, recording, stats, summary, write_session


def test_a_whole_session(tmp_path):
    nod = action(1, "nodding", 1.25, 2.5, confidence=0.8, candidates={"nodding": 0.7, "bowing head": 0.2})
    lines = [opening(), recording(2.0), *nod, MarkerLine(3.0, "question 1"), summary(10.0), stats(10.0), ended()]
    record = read_session(write_session(tmp_path, lines, metadata={"participant": "Zoë 李", "room": ""}))
    (event,) = record.events
    assert (event.key, event.name, event.body_part, event.onset_s, event.offset_s) == (
        "0.1",
        "nodding",
        "head",
        1.25,
        2.5,
    )
    assert event.candidates == {"nodding": 0.7, "bowing head": 0.2}
    assert (event.confidence, event.emitted_s, event.delay_ms.window) == (0.8, 2.0, 500.0)
    assert (record.model, record.consent, record.trained_on) == ("landmarks", "written, 2026-11-02", "simulation")
    assert record.metadata == {"participant": "Zoë 李"}
    assert (record.to_file_s(0), record.length_s, record.end, record.missing) == (2.0, 10.0, "ended", ())
    assert [marker.label for marker in record.markers] == ["question 1"]
    assert record.reviewed == record.events


def test_the_id_stays_when_metadata_are_filled_in_later_and_differs_between_sessions(tmp_path):
    first = read_session(write_session(tmp_path / "a", [opening(), ended()]))
    later = read_session(write_session(tmp_path / "b", [opening(), ended()], metadata={"participant": "7"}))
    other = read_session(write_session(tmp_path / "c", [opening(), *action(1, "nodding", 0, 1), ended()]))
    assert first.id == later.id
    assert first.id != other.id


def test_provisional_and_retracted_events_are_no_events(tmp_path):
    (raised, _, _) = action(1, "nodding", 1.0, 2.0)
    retracted = msgspec.structs.replace(raised, state=EventState.RETRACTED.value)
    record = read_session(write_session(tmp_path, [opening(), raised, retracted, summary(3.0), ended()]))
    assert record.events == ()
    assert record.missing == ()


def test_a_session_cut_off_is_read_as_far_as_it_goes(tmp_path):
    raised, confirmed, _ = action(1, "nodding", 1.0, 2.0)
    half = action(2, "shrugging", 5.0, 6.0)[0]
    folder = write_session(tmp_path, [opening(), raised, confirmed, stats(5.0), half])
    with (folder / "events.jsonl").open("ab") as file:
        file.write(encode(half)[:40])
    record = read_session(folder)
    (event,) = record.events
    assert (event.offset_s, record.offset_s(event), record.length_s) == (None, 5.0, 5.0)
    assert record.end is None
    assert [sentence.split(":")[0] for sentence in record.missing] == [
        "The session was cut off",
        "The last line is cut off.",
        "1 events were neither confirmed nor retracted; they are left out.",
        "1 events still ran at the last line; they end there.",
    ]


def test_what_is_no_record_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"No such file or directory.*give the DIR of --record"):
        read_session(tmp_path / "none")
    folder = write_session(tmp_path / "damaged", [opening(), ended()])
    text = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(b'{"kind":"action","id":\n' + text)
    with pytest.raises(BadInput, match=r"events\.jsonl, line 1"):
        read_session(folder)


def test_lines_alone_will_do(tmp_path):
    folder = write_session(tmp_path / "one", [opening(), *action(1, "nodding", 1.0, 2.0), summary(3.0), ended()])
    record = read_session(folder / "events.jsonl")
    assert (len(record.events), record.description, record.sources) == (1, {}, ("interview.mp4",))


def test_an_event_that_runs_past_the_last_line_has_no_negative_length(tmp_path):
    raised, confirmed, _ = action(1, "nodding", 1.0, 2.0)
    record = read_session(write_session(tmp_path, [opening(), raised, confirmed]))
    assert record.offset_s(replace(record.events[0], onset_s=99.0)) == 99.0
