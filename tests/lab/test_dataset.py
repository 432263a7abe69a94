"""A data set from annotated recordings: majority, clips with the right pictures, lists that training reads, splits."""

from __future__ import annotations

import csv

import av
import numpy as np
import pytest

from engines.common.errors import BadInput
from lab.__main__ import main
from lab.dataset import Clip, agreed, read_rows, split_subjects
from tests.conftest import number_in, write_numbered
from tests.lab.test_agreement import events
from training.data.clip_lists import read_list


def test_two_of_three_make_an_event_and_its_ends_are_their_means():
    first = events([("nodding", 1.0, 2.0), ("waving", 5.0, 6.0), ("shrugging", 8.0, 9.0)])
    second = events([("nodding", 1.2, 2.2), ("bowing head", 5.0, 6.0), ("shrugging", 8.8, 9.8)])
    third = events([("nodding", 1.1, 2.4), ("waving", 5.2, 6.0), ("head", 8.0, 9.0)])
    found = [
        (min(one.names), round(one.onset_s, 3), round(one.offset_s, 3), votes)
        for one, votes in agreed([first, second, third])
    ]
    assert found == [("nodding", 1.1, 2.2, 3), ("waving", 5.1, 6.0, 2)]
    assert [votes for _, votes in agreed([first, second])] == [2]


def test_nobody_is_in_two_splits_and_shares_are_as_near_as_people_allow():
    counts = {"a": 50, "b": 20, "c": 20, "d": 5, "e": 5}
    clips = [Clip(None, who, f"{who}{at}.mp4", 0, 0.0, 1.0, 2) for who, count in counts.items() for at in range(count)]
    splits = split_subjects(clips)
    held = {
        split: sum(counts[who] for who, where in splits.items() if where == split) for split in ("train", "val", "test")
    }
    assert held == {"train": 50, "val": 25, "test": 25}
    assert split_subjects(clips, 3).keys() == counts.keys()
    with pytest.raises(BadInput, match="clips of at least 3 subjects"):
        split_subjects([clip for clip in clips if clip.subject in "ab"])


@pytest.fixture
def study(tmp_path):
    """Three people, pictures every 40 ms that carry their number; two annotators, or three."""
    rows = []
    for number, subject in enumerate(("Zoë", "p2", "p3")):
        write_numbered(tmp_path / f"{subject}.mp4", range(0, 4000, 40))
        files = []
        for coder in range(2 + (number == 0)):
            path = tmp_path / f"{subject}-{coder}.csv"
            third = ("nodding", "shrugging")[coder % 2]
            text = f"onset,offset,name\n1.0,2.0,nodding\n2.{coder},3.0,waving\n3.2,3.6,{third}\n"
            path.write_text(text, encoding="utf-8")
            files.append(path.name)
        rows.append({"recording": f"{subject}.mp4", "subject": subject, "annotations": ";".join(files)})
    path = tmp_path / "study.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_clips_lists_and_statistics(study, tmp_path, capsys):
    out = tmp_path / "set"
    assert main(["dataset", str(study), "--out", str(out)]) == 0
    # each person: nodding and waving; of the first also a second nodding, on which two of three agree
    assert "7 clips" in capsys.readouterr().out
    listed = {split: read_list(out / f"{split}_list.txt", out) for split in ("train", "val", "test")}
    assert sorted(len(entries) for entries in listed.values()) == [2, 2, 3]
    clips = {row["name"]: row for row in csv.DictReader((out / "clips.csv").open(encoding="utf-8"))}
    assert {row["split"] for row in clips.values() if row["subject"] == "Zoë"} == {"train"}
    assert len({(row["subject"], row["split"]) for row in clips.values()}) == 3
    first = clips["r001_0000.mp4"]
    assert (first["subject"], first["index"], first["onset_s"], first["votes"]) == ("Zoë", "9", "1.0", "3")
    with av.open(str(out / "r001_0000.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [number_in(frame.to_ndarray(format="rgb24")) for frame in frames] == list(range(25, 51))
    assert np.diff([frame.time for frame in frames]) == pytest.approx(0.04, abs=1e-4)
    rows = {row["action"]: row for row in csv.DictReader((out / "statistics.csv").open(encoding="utf-8"))}
    assert (rows["nodding"]["clips"], rows["nodding"]["subjects"], rows["waving"]["median_s"]) == ("4", "3", "0.95")
    assert (out / "statistics.png").stat().st_size > 10_000
    assert main(["dataset", str(study), "--out", str(out)]) == 2
    assert "a folder with files in it" in capsys.readouterr().err


def test_a_list_that_cannot_be_used_is_refused(study, tmp_path):
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("p2-0.csv;p2-1.csv", "p2-0.csv"), encoding="utf-8")
    with pytest.raises(BadInput, match=r"two or three annotators, got 1 at .*line 3"):
        read_rows(study)
    study.write_text(text.replace("p3.mp4", "p4.mp4"), encoding="utf-8")
    with pytest.raises(BadInput, match=r"p4\.mp4 at .*line 4"):
        read_rows(study)
