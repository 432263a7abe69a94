"""An archive: what is in the dataset, what survives a kill, and what is refused."""

import contextlib
import io
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from lab.__main__ import main
from lab.archive.dataset import Dataset, Order, check_space, needed_bytes, needed_export_bytes
from lab.archive.progress import Progress, in_words
from lab.archive.recordings import Recording, find_recordings, id_of
from lab.archive.tables import TablesOutput
from lab.export_command import FORMATS
from realtime.output.lines import EmotionLine
from tests.conftest import ROOT, manet_live, write_numbered
from tests.realtime.sessions import EVENTFUL, in_every_process

SETTINGS = ("--no-emotion", "--model", "untrained-small", "--engine", "onnxruntime", "--config", str(EVENTFUL[-1]))
KILLS = int(os.environ.get("ARCHIVE_KILLS", "3"))
Usage = namedtuple("Usage", "total used free")


def archive(folder: Path, out: Path, *more: str, **process) -> subprocess.Popen:
    command = [sys.executable, "-m", "lab", "archive", str(folder), "--out", str(out), *SETTINGS, *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **process)


def finish(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out + err


def files_of(dataset: Path) -> dict[str, bytes]:
    """All but what is under way."""
    found = {str(file.relative_to(dataset)): file.read_bytes() for file in dataset.rglob("*") if file.is_file()}
    return {name: data for name, data in found.items() if not name.startswith("_work")}


@pytest.fixture(scope="module")
def folder(recording: Path, tmp_path_factory) -> Path:
    """Three recordings, one of them in a folder, one file that is none, and one that is not looked at."""
    made = tmp_path_factory.mktemp("interviews")
    shutil.copy(recording, made / "first.mp4")
    (made / "more").mkdir()
    write_numbered(made / "more" / "second.mp4", range(0, 4000, 40))
    write_numbered(made / "third.mkv", range(0, 3000, 40))
    (made / "broken.mp4").write_text("no video")
    (made / "notes.txt").write_text("no recording")
    return made


@pytest.fixture(scope="module")
def timed(folder: Path, tmp_path_factory) -> tuple[Path, float]:
    """A dataset, and how long it took, s."""
    made, began_s = tmp_path_factory.mktemp("archive") / "dataset", time.monotonic()
    assert "3 of 4 recordings archived, 1 failed" in finish(archive(folder, made, "--posteriors", "--workers", "2"))
    return made, time.monotonic() - began_s


@pytest.fixture(scope="module")
def dataset(timed) -> Path:
    return timed[0]


@pytest.mark.slow
def test_a_dataset_holds_what_a_replay_reports(folder, dataset):
    replayed = manet_live("replay", folder / "first.mp4", "--speed", "max", "--no-emotion", *EVENTFUL)
    wanted = [line for line in replayed.of("action") if line["state"] == "ended"]
    home = dataset / f"recording={id_of('first.mp4')}"
    events = pq.read_table(home / "events.parquet").to_pylist()
    assert len(events) > 5
    for name in ("id", "action", "index", "body_part", "onset_s", "offset_s"):
        assert [one[name] for one in events] == [one[name] for one in wanted]
    (quality,) = pq.read_table(home / "quality.parquet").to_pylist()
    (summary,), stats = replayed.of("summary"), replayed.of("stats")[-1]
    assert quality["judged"] == quality["windows_due"] == summary["judged"] == 33
    assert (quality["frames"], quality["recorded_s"]) == (stats["frames"], summary["recorded_s"])
    assert quality["events"] == len(events)
    assert quality["retracted"] == sum(line["state"] == "retracted" for line in replayed.of("action"))
    assert (quality["path"], quality["engine"]) == (str(folder / "first.mp4"), "onnxruntime")
    assert quality["skipped"] == quality["dropped"] == []


@pytest.mark.slow
def test_posteriors_cover_what_was_judged(dataset):
    moments = pq.read_table(dataset / f"recording={id_of('first.mp4')}" / "posteriors.parquet").to_pylist()
    times = [one["time_s"] for one in moments]
    assert [round(after - before, 3) for before, after in itertools.pairwise(times[:-1])] == [0.25] * (len(times) - 2)
    assert 9.7 < times[-1] < 9.9  # the last window ends at 1.9 + 32 x 0.25
    for one in moments:
        assert 0.9 < sum(one["actions"]) < 1.0001  # of a softmax, less what is habitual
        assert one["parts"] is None  # a model of actions alone


@pytest.mark.slow
def test_the_documented_queries_count_what_is_there(dataset):
    text = (ROOT / "docs" / "archive.md").read_text(encoding="utf-8")
    queries = [one.split("```")[0] for one in text.split("```sql\n")[1:]]
    results = [duckdb.sql(one.replace("DATASET", str(dataset))).fetchall() for one in queries]
    hours, rates, reasons = results
    assert hours[0][0] == 3
    tables = [pq.read_table(file) for file in dataset.glob("*/events.parquet")]
    assert sum(row[1] for row in rates) == sum(map(len, tables))
    ((recording, _, reason),) = reasons
    assert recording == id_of("broken.mp4")
    assert reason.startswith("expected a video file")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.long
def test_killed_at_random_moments_it_comes_out_the_same(folder, timed, tmp_path):
    dataset, took_s = timed
    made, chance = tmp_path / "dataset", random.Random(0)
    for _ in range(KILLS):
        process = archive(folder, made, "--posteriors", "--workers", "2", start_new_session=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.2, 1.0) * took_s)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(archive(folder, made, "--posteriors"))
    assert files_of(made) == files_of(dataset)
    assert not list(made.glob("_work/recording=*"))
    before = {file: file.stat().st_mtime_ns for file in made.rglob("*.parquet")}
    finish(archive(folder, made, "--posteriors"))
    assert {file: file.stat().st_mtime_ns for file in made.rglob("*.parquet")} == before  # nothing is done twice


@pytest.mark.slow
def test_its_exports_are_those_of_a_recorded_replay(folder, dataset, tmp_path):
    made, record = tmp_path / "dataset", tmp_path / "record"
    shutil.copytree(dataset, made)
    before = files_of(made)
    assert "failed" not in finish(archive(folder, made, "--posteriors", "--export", "all")).partition("1 failed")[2]
    assert before.items() <= files_of(made).items()  # nothing is judged anew
    home = id_of("first.mp4")
    for name in set(FORMATS) - {"nwb"}:
        assert sorted(one.name for one in (made / "exports" / name).iterdir()) == sorted(
            one.name.partition("=")[2] for one in made.glob("recording=*") if "broken" not in one.name
        )
        assert all(one.name.startswith(home) for one in (made / "exports" / name / home).iterdir())
    manet_live("replay", folder / "first.mp4", "--speed", "max", "--no-emotion", *EVENTFUL, "--record", record)
    assert main(["export", str(record), "--format", "csv", "--out", str(tmp_path / "csv")]) == 0
    ours, wanted = made / "exports" / "csv" / home / f"{home}-events.csv", tmp_path / "csv" / "record-events.csv"
    assert len(wanted.read_text().splitlines()) > 5
    assert ours.read_text() == wanted.read_text()
    times = {file: file.stat().st_mtime_ns for file in made.glob("exports/**/*")}
    finish(archive(folder, made, "--posteriors", "--export", "csv"))
    assert {file: file.stat().st_mtime_ns for file in made.glob("exports/**/*")} == times


DEADLY = """
import os, sys
def end(event, arguments):
    if event == "open" and "deadly" in str(arguments[0]) and str(arguments[0]).endswith(".mp4"):
        os.kill(os.getpid(), 9)
sys.addaudithook(end)
"""


@pytest.mark.slow
def test_a_recording_that_kills_its_process_twice_is_set_aside(folder, tmp_path):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    shutil.copy(folder / "third.mkv", inputs / "harmless.mkv")
    shutil.copy(folder / "first.mp4", inputs / "deadly.mp4")
    made = tmp_path / "dataset"
    text = finish(archive(inputs, made, "--workers", "1", env=in_every_process(tmp_path / "site", DEADLY)))
    assert "1 of 2 recordings archived, 1 failed" in text
    (row,) = pq.read_table(made / f"recording={id_of('deadly.mp4')}" / "errors.parquet").to_pylist()
    assert row["set_aside"]
    assert row["reason"].startswith("its process ended with signal 9")


def order(**changed) -> Order:
    config = {name: {} for name in ("view", "window", "aggregator", "emotion")} | {
        "engine": {"runtime": "a", "threads": 1}
    }
    return Order(
        **(
            {"model": "m", "seal": "s", "emotion": None, "emotion_seal": None, "posteriors": False, "config": config}
            | changed
        )
    )


def test_a_dataset_of_another_model_is_refused_and_stays(tmp_path):
    dataset = Dataset(tmp_path / "dataset")
    dataset.begin(order())
    dataset.begin(order(model="the same, elsewhere"))
    with pytest.raises(
        Exception, match="expected the model and settings of the dataset, got another model, posteriors than"
    ):
        dataset.begin(order(seal="another", posteriors=True))
    assert dataset.order() == order()


def test_two_runs_never_work_on_one_dataset(tmp_path, monkeypatch):
    dataset = Dataset(tmp_path / "dataset")
    dataset.begin(order())
    monkeypatch.setattr("lab.archive.dataset.WAIT_S", 0.0)
    with (
        dataset.locked(),
        pytest.raises(Exception, match="expected a dataset that no other run works on"),
        dataset.locked(),
    ):
        pass
    with dataset.locked():
        pass


def test_a_recording_appears_whole_or_not_at_all(tmp_path):
    dataset = Dataset(tmp_path / "dataset")
    dataset.begin(order())
    with contextlib.suppress(RuntimeError), dataset.new("one") as made:
        (made / "events.parquet").write_text("half")
        raise RuntimeError
    assert not dataset.has("one")
    assert list(dataset.work.glob("recording=*")) == []
    dataset.write_error(Recording("two", tmp_path / "two.mp4", 7, 0.0), "a reason")
    assert (dataset.state("one"), dataset.state("two")) == ("missing", "failed")
    with dataset.new("two") as made:  # made twice: the first stays
        (made / "events.parquet").write_text("again")
    assert dataset.state("two") == "failed"


def test_a_small_disk_is_refused_before_anything_begins(tmp_path, monkeypatch):
    hours = [Recording(str(at), tmp_path, 1, 3600.0) for at in range(1000)]
    needed = needed_bytes(hours, posteriors=True)
    assert 1e9 < needed < 1e11
    assert needed_export_bytes(hours, 2) == 2 * 1000 * (20_000 + 400 * 3600)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, needed - 1))
    with pytest.raises(Exception, match="GB of free space for the dataset"):
        check_space(tmp_path / "new" / "dataset", needed)
    check_space(tmp_path / "new" / "dataset", needed - 1)


def test_recordings_of_a_folder_and_of_a_list(folder, tmp_path):
    found = find_recordings(folder)
    assert [one.path.name for one in found] == ["broken.mp4", "first.mp4", "second.mp4", "third.mkv"]
    assert [round(one.seconds) for one in found] == [0, 10, 4, 3]
    names = tmp_path / "list.txt"
    names.write_text(f"{folder}/first.mp4\n\n{folder}/missing.mp4\n")
    assert [(one.path.name, one.bytes > 0) for one in find_recordings(names)] == [
        ("first.mp4", True),
        ("missing.mp4", False),
    ]
    assert id_of("a/b.mp4") != id_of("a_b.mp4")


@pytest.mark.parametrize(
    "case",
    ["a recording", "an empty folder", "nothing", "twice", "something at --out", "no worker", "export", "fallback"],
)
def test_bad_input_is_one_line(case, folder, tmp_path, capsys):
    where, out, more = folder, tmp_path / "out", []
    if case == "a recording":
        where = folder / "first.mp4"
    elif case == "an empty folder":
        where = tmp_path
    elif case == "nothing":
        where = tmp_path / "nothing"
    elif case == "twice":
        where = tmp_path / "list.txt"
        where.write_text(f"{folder}/first.mp4\n{folder}/more/../first.mp4\n")
    elif case == "something at --out":
        out = folder
    elif case == "export":
        more = ["--export", "csv,nwb"]  # a recording does not say when it was made
    elif case == "fallback":
        (tmp_path / "settings.toml").write_text('[server]\nfallback = "onnxruntime"\n')
        more = ["--config", str(tmp_path / "settings.toml")]
    else:
        more = ["--workers", "0"]
    assert main(["archive", str(where), "--out", str(out), *SETTINGS, *more]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("manet-live: error: expected ")
    assert not (tmp_path / "out").exists()


def test_progress_is_in_media_time():
    clock = iter([0.0, 600.0])
    progress = Progress(10, 4, 7200.0, Console(file=io.StringIO()), now=lambda: next(clock))
    progress.add(3600.0, failed=False)
    progress.add(1800.0, failed=True)
    assert progress.line() == "8 of 10 recordings, 1.5 of 2.0 h, 9.0 times real time, 3 min left, 1 failed"
    assert [in_words(one) for one in (20.0, 90.0, 3599.0, 7500.0)] == [
        "under a minute",
        "2 min",
        "1 h 0 min",
        "2 h 5 min",
    ]


def test_emotions_are_a_table_of_their_own(tmp_path):
    output = TablesOutput(tmp_path, posteriors=False, emotions=True)
    within = {"joy": (0.25, 0.75), "anger": (0.125, 0.75)}
    output.on_line(EmotionLine(0, 2.0, {"joy": 0.5, "anger": 0.5}, within, 1.5, 1.0, False, neutral=0.25))
    output.on_line(EmotionLine(0, 3.0, None, None, 0.0, 0.0, True))
    output.close()
    sure, abstaining = pq.read_table(tmp_path / "emotions.parquet").to_pylist()
    assert (sure["time_s"], sure["joy"], sure["sadness"], sure["neutral"]) == (2.0, 0.5, None, 0.25)
    assert (sure["joy_low"], sure["anger_high"], sure["fear_low"]) == (0.25, 0.75, None)
    assert (abstaining["abstains"], abstaining["joy"], abstaining["evidence_s"]) == (True, None, 0.0)
