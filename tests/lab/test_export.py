"""Every format read back with its own library: every event, its name exact, its times within 1 ms."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, BODY_PARTS
from lab.corrections import Correction, add_lines
from lab.export.content import content, lanes
from lab.export_command import FORMATS, export, formats
from lab.session_record import SessionRecord, read_session
from realtime.output.lines import EmotionLine, MarkerLine, Posteriors
from realtime.output.posterior_file import POSTERIORS_FILE, encode_posteriors
from tests.conftest import write_numbered
from tests.lab.sessions import action, ended, opening, recording, summary, write_session

FILE_OFFSET_S = 2.0
Spans = list[tuple[int, int, str]]  # onset and offset in ms, name

ESTIMATE = EmotionLine(
    0,
    4.0,
    dict.fromkeys(("joy", "sadness", "surprise", "fear", "anger"), 0.2),
    dict.fromkeys(("joy", "sadness", "surprise", "fear", "anger"), (0.1, 0.3)),
    3.5,
    1.0,
    False,
)


def lines_of(case: str) -> tuple[list[msgspec.Struct], float, dict[str, str]]:
    """Lines between the opening and the summary, the length, and the metadata."""
    if case == "none":
        return [], 10.0, {}
    if case == "one":
        return [*action(1, "nodding", 1.0, 2.5, 0.813, {"nodding": 0.7, "bowing head": 0.2}), ESTIMATE], 10.0, {}
    if case == "overlapping":  # twice the same action, two of one part, a part alone, ends that touch, no length
        spans = [("nodding", 1.0, 4.0), ("nodding", 2.0, 3.0), ("turning head", 3.5, 5.0), ("head", 1.5, 9.0)]
        spans += [("nodding", 4.0, 4.7), ("covering mouth", 0.0, 9.999), ("waving", 5.0, 5.0)]
        return [line for at, span in enumerate(spans, 1) for line in action(at, *span)], 10.0, {}
    if case == "unicode":
        marks = [MarkerLine(0.5, 'Frage "1" <ä> & 李\t-->'), MarkerLine(0.5, "=1+1"), MarkerLine(3.0, "Stille", 0)]
        return [*action(1, "nodding", 1.0, 2.0), *marks], 10.0, {"participant": "Zoë 李/7", "interviewer": "Æ"}
    spans = [(ACTIONS[at % 52].name, at * 13.5 + 0.001 * at, at * 13.5 + 9.877) for at in range(800)]
    return [line for at, span in enumerate(spans, 1) for line in action(at, *span)], 10_800.0, {}


@pytest.fixture(params=["none", "one", "overlapping", "unicode", "three hours"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> SessionRecord:
    lines, length_s, metadata = lines_of(request.param)
    whole = [opening(), recording(FILE_OFFSET_S), *lines, summary(length_s), ended()]
    return read_session(write_session(tmp_path / "session", whole, metadata=metadata))


def expected(session: SessionRecord) -> Spans:
    """On the file's clock; an event without a length has 1 ms."""
    shift = round(FILE_OFFSET_S * 1000)
    spans = [(round(one.onset_s * 1000), round(one.offset_s * 1000), one.name) for one in session.events]
    return sorted((onset + shift, max(offset, onset + 1) + shift, name) for onset, offset, name in spans)


def written(session: SessionRecord, name: str, tmp_path: Path) -> list[Path]:
    return export(session, [name], tmp_path / "out", {})


def without_overlap(spans: Spans) -> bool:
    return all(before[1] <= after[0] for before, after in zip(sorted(spans), sorted(spans)[1:], strict=False))


def labels(session: SessionRecord) -> set[str]:
    return {section.label for section in content(session).sections}


def test_elan(session, tmp_path):
    pympi = pytest.importorskip("pympi")
    (path,) = written(session, "elan", tmp_path)
    eaf = pympi.Eaf(str(path), suppress_version_warning=True)
    found: Spans = []
    for part in BODY_PARTS:
        tiers = [name for name in eaf.get_tier_names() if name.removeprefix(part).strip().isdecimal() or name == part]
        assert part in tiers
        for tier in tiers:
            spans = [(int(one[0]), int(one[1]), one[2]) for one in eaf.get_annotation_data_for_tier(tier)]
            assert without_overlap(spans)
            vocabulary = eaf.controlled_vocabularies[part][1].values()
            assert {span[2] for span in spans} <= {values[0][0] for values, _ in vocabulary}
            assert len(eaf.tiers[f"{tier} notes"][1]) == len(spans)
            found += spans
    assert sorted(found) == expected(session)
    markers = [
        one[2]
        for tier in eaf.get_tier_names()
        if tier.startswith("markers")
        for one in eaf.get_annotation_data_for_tier(tier)
    ]
    assert set(markers) == labels(session)
    assert eaf.media_descriptors[0]["RELATIVE_MEDIA_URL"] == "./interview.mp4"
    assert dict(eaf.properties)["manet-live:consent"] == "written, 2026-11-02"


def test_elan_obeys_the_rules_that_readers_rely_on(session, tmp_path):
    (path,) = written(session, "elan", tmp_path)
    root = ElementTree.parse(path).getroot()
    assert root.get("FORMAT") == "3.0"
    times = [int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")]
    assert times == sorted(times)
    ids = [one.get("CVE_ID") for one in root.iter("CV_ENTRY_ML")]
    assert len(set(ids)) == len(ids) == len(ACTIONS) + len(BODY_PARTS)
    assert {one.get("LANG_REF") for one in root.iter("CVE_VALUE")} == {
        one.get("LANG_ID") for one in root.iter("LANGUAGE")
    }
    types = {one.get("LINGUISTIC_TYPE_ID") for one in root.iter("LINGUISTIC_TYPE")}
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} <= types
    assert root.get("DATE").endswith("+00:00")
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONSTRAINT", "CONTROLLED_VOCABULARY"]
    assert list(dict.fromkeys(child.tag for child in root)) == order


def boris_spans(project: dict) -> Spans:
    (observation,) = project["observations"].values()
    points = {one["code"] for one in project["behaviors_conf"].values() if one["type"] == "Point event"}
    running: dict[tuple[str, str], float] = {}
    found: Spans = []
    for time_s, subject, code, *_ in observation["events"]:
        if code in points:
            continue
        begun = running.pop((subject, code), None)
        if begun is None:
            running[subject, code] = time_s
        else:
            found.append((round(float(begun) * 1000), round(float(time_s) * 1000), code))
    assert not running
    return sorted(found)


def test_boris(session, tmp_path):
    (path,) = written(session, "boris", tmp_path)
    project = json.loads(path.read_text(encoding="utf-8"))
    assert boris_spans(project) == expected(session)
    (observation,) = project["observations"].values()
    assert {event[4] for event in observation["events"] if event[2] == "marker"} == labels(session)
    times = [event[0] for event in observation["events"]]
    assert times == sorted(times)
    assert observation["file"]["1"] == ["interview.mp4"]
    assert len(project["behaviors_conf"]) == 52 + 7 + 1


def test_boris_opens_it(session, tmp_path):
    functions = pytest.importorskip("boris.project_functions")
    (path,) = written(session, "boris", tmp_path)
    _, changed, project, message = functions.open_project_json(str(path))
    assert (message, "error" in project) == ("", False), project.get("error")
    assert functions.check_project_integrity(project, "s", str(path), media_file_available=False) == ""
    assert boris_spans(project) == expected(session)
    assert not changed


def spans_of(rows: list[dict]) -> Spans:
    found = [(round(float(row["onset_s"]) * 1000), round(float(row["offset_s"]) * 1000), row["name"]) for row in rows]
    return sorted(found)


def test_csv(session, tmp_path):
    paths = {path.name.removeprefix("session-"): path for path in written(session, "csv", tmp_path)}
    tables = {name: list(csv.DictReader(path.open(encoding="utf-8", newline=""))) for name, path in paths.items()}
    assert spans_of(tables["events.csv"]) == expected(session)
    assert {row["label"] for row in tables.get("markers.csv", [])} == labels(session)
    about = {row["what"]: row["is"] for row in tables["about.csv"]}
    assert (about["model"], about["consent"]) == ("landmarks", "written, 2026-11-02")
    assert about.get("participant") == session.metadata.get("participant")


def test_xlsx(session, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    (path,) = written(session, "xlsx", tmp_path)
    book = openpyxl.load_workbook(path)
    sheets = {}
    for sheet in book:
        head, *rows = sheet.values
        sheets[sheet.title] = [dict(zip(head, row, strict=True)) for row in rows]
    assert spans_of(sheets["events"]) == expected(session)
    assert {row["label"] for row in sheets.get("markers", [])} == labels(session)
    assert sum(row["events"] for row in sheets["actions"]) == len(session.events)
    assert not [cell for sheet in book for row in sheet for cell in row if cell.data_type == "f"]


def test_parquet(session, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = {path.name: path for path in written(session, "parquet", tmp_path)}
    table = parquet.read_table(paths["session-events.parquet"])
    assert spans_of(table.to_pylist()) == expected(session)
    assert table.schema.metadata[b"model"] == b"landmarks"
    if session.emotions:
        (row,) = parquet.read_table(paths["session-emotion.parquet"]).to_pylist()
        assert (row["time_s"], row["joy"], row["anger_high"]) == (4.0 + FILE_OFFSET_S, 0.2, 0.3)


@pytest.mark.parametrize("parts", [True, False])
def test_recorded_posteriors_become_a_column_each(tmp_path, parts):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = write_session(tmp_path / "session", [opening(), recording(FILE_OFFSET_S), summary(10.0), ended()])
    values = np.random.default_rng(0).random((4, 59)).astype(np.float32)
    values[:, 52:] = values[:, 52:] if parts else np.nan
    moments = [Posteriors(at % 2, at / 16, 0, row) for at, row in enumerate(values)]  # of two cameras
    data = b"".join(encode_posteriors(one) for one in moments)
    (folder / POSTERIORS_FILE).write_bytes(data + data[:50])  # cut off within the next
    path = next(one for one in export(read_session(folder), ["parquet"], tmp_path, {}) if "posteriors" in one.name)
    table = parquet.read_table(path)
    assert table.schema.metadata[b"model"] == b"landmarks"
    assert table["time_s"].to_pylist() == [FILE_OFFSET_S, FILE_OFFSET_S + 0.125]
    assert table.num_columns == 1 + 52 + 7 * parts
    for name, at in (("nodding", 9), ("scratching feet", 51), *([("part: head", 53)] * parts)):
        np.testing.assert_allclose(table[name].to_numpy(), values[::2, at], atol=5e-4)


def ms_of(time) -> int:
    return ((time.hours * 60 + time.minutes) * 60 + time.seconds) * 1000 + time.milliseconds


def test_webvtt(session, tmp_path):
    webvtt = pytest.importorskip("webvtt")
    (path,) = written(session, "webvtt", tmp_path)
    captions = webvtt.read(str(path))
    cues = [one for one in captions if not one.identifier.startswith("marker")]
    found = [(ms_of(one.start_time), ms_of(one.end_time), one.text.split(" · ")[0]) for one in cues]
    assert sorted(found) == expected(session)
    assert len(captions) == len(session.events) + len(session.markers)


def test_textgrid(session, tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid")
    (path,) = written(session, "textgrid", tmp_path)
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    found = [
        (round(one.start * 1000), round(one.end * 1000), one.label)
        for tier in grid.tiers
        if tier.name != "markers"
        for one in tier.entries
    ]
    assert sorted(found) == expected(session)
    assert set(BODY_PARTS) <= set(grid.tierNames)
    marks = " / ".join(point.label for point in grid.getTier("markers").entries).replace(
        '""', '"'
    )  # praatio keeps them
    assert set(filter(None, marks.split(" / "))) == labels(session)


@pytest.mark.slow
def test_nwb(session, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    pytest.importorskip("ndx_ethogram")
    (path,) = written(session, "nwb", tmp_path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        bouts = file.processing["behavior"]["micro_actions"]
        rows = zip(bouts["start_time"][:], bouts["stop_time"][:], bouts["label"][:], strict=True)
        found = sorted((round(onset * 1000), round(offset * 1000), str(name)) for onset, offset, name in rows)
        assert found == expected(session)
        assert {name for _, _, name in found} <= set(bouts.ethogram["behavior"][:])
        assert (file.identifier, bouts.labeling_method) == (f"{session.id}-0", "automated")
        assert file.subject.subject_id == session.metadata.get("participant", "participant")
        if session.markers:
            assert set(file.intervals["markers"]["label"][:]) == labels(session)
        if session.emotions:
            assert file.processing["behavior"]["expression"].timestamps[:].tolist() == [4.0 + FILE_OFFSET_S]
    assert not pynwb.validate(path=str(path))


@pytest.mark.slow
def test_bids(session, tmp_path):
    (root,) = written(session, "bids", tmp_path)
    (path,) = root.glob("sub-*/beh/*_events.tsv")
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))
    onsets = [float(row["onset"]) for row in rows]
    assert onsets == sorted(onsets)
    found = [
        (
            round(float(row["onset"]) * 1000),
            round((float(row["onset"]) + float(row["duration"])) * 1000),
            row["trial_type"],
        )
        for row in rows
    ]
    assert sorted(one for one in found if one[2] not in labels(session)) == expected(session)
    assert {one[2] for one in found} >= labels(session)
    command = shutil.which("bids-validator-deno")
    if command is None:
        pytest.skip("no bids-validator-deno")
    done = subprocess.run(
        [command, "--format", "json", str(root)], capture_output=True, text=True, timeout=120, check=False
    )
    issues = [one for one in json.loads(done.stdout)["issues"]["issues"] if one.get("severity") == "error"]
    assert issues == []


def test_corrections_go_along_and_can_be_left_out(tmp_path):
    lines = [opening(), *action(1, "nodding", 1.0, 2.0), *action(2, "waving", 3.0, 4.0), summary(10.0), ended()]
    folder = write_session(tmp_path / "session", lines)
    record = read_session(folder)
    renamed = Correction("0.1", 0, "open", "bowing head", "head", 1.0, 2.0, "Zoë", "2026-11-03T10:00:00.000Z")
    gone = Correction("0.2", 0, "rejected", "waving", "upper limb", 3.0, 4.0, "Zoë", "2026-11-03T10:00:01.000Z")
    add_lines(folder / "corrections.jsonl", (renamed, gone))
    record = read_session(folder)
    reviewed, machine = content(record), content(record, reviewed=False)
    assert [(one.name, one.event.review) for one in reviewed.events] == [("bowing head", "renamed")]
    assert [(one.name, one.event.review) for one in machine.events] == [("nodding", ""), ("waving", "")]
    assert (reviewed.about["corrections"], machine.about["corrections"]) == ("2 by Zoë", "none")


def test_all_formats_at_once_never_over_what_is_there(session, tmp_path):
    if session.length_s > 100:
        pytest.skip("length adds nothing here")
    names = formats("csv,elan,csv,webvtt")
    assert names == ["csv", "elan", "webvtt"]
    made = export(session, names, tmp_path / "out", {})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in made)
    text = (tmp_path / "out" / "session.eaf").read_bytes()
    with pytest.raises(BadInput, match=r"which holds session\.eaf"):
        export(session, ["elan"], tmp_path / "out", {})
    assert (tmp_path / "out" / "session.eaf").read_bytes() == text
    assert len(list((tmp_path / "out").iterdir())) == len(made)


def test_an_unknown_format_is_refused():
    with pytest.raises(BadInput, match="got spss"):
        formats("elan,spss")
    assert formats("all") == list(FORMATS)


def test_a_video_that_is_another_one_is_refused(tmp_path):
    video = write_numbered(tmp_path / "interview.mp4", range(0, 5000, 40))
    lines = [opening(), recording(0.0), *action(1, "nodding", 1.0, 2.0)]
    right = read_session(write_session(tmp_path / "right", [*lines, summary(4.96), ended()]))
    assert content(right, media=video).media == video
    longer = read_session(write_session(tmp_path / "longer", [*lines, summary(8.0), ended()]))
    with pytest.raises(BadInput, match=r"the session's video, of 8\.0 s, got .*interview\.mp4, which is 5\.0 s long"):
        content(longer, media=video)
    shorter = read_session(write_session(tmp_path / "shorter", [*lines, summary(2.5), ended()]))
    with pytest.raises(BadInput, match=r"which is 5\.0 s long"):
        content(shorter, media=video)
    stopped = msgspec.structs.replace(ended(), state="stopped")
    assert (
        content(read_session(write_session(tmp_path / "s", [*lines, summary(2.5), stopped])), media=video).media
        == video
    )


def test_rows_hold_no_overlap_and_are_as_few_as_can_be(session):
    events = content(session).events
    rows = lanes(events)
    assert sum(map(len, rows)) == len(events)
    moments = [one.onset_ms for one in events]
    most = max((sum(one.onset_ms <= at < one.offset_ms for one in events) for at in moments), default=0)
    assert len(rows) == most
