from __future__ import annotations

import csv

import pytest

from engines.taxonomy import ACTIONS, BODY_PARTS
from tests.conftest import ROOT


def test_body_parts_follow_the_official_index_ranges() -> None:
    starts = {
        0: "body",
        5: "head",
        11: "upper limb",
        24: "lower limb",
        32: "body-hand",
        38: "head-hand",
        48: "leg-hand",
    }
    part = ""
    for index, action in enumerate(ACTIONS):
        part = starts.get(index, part)
        assert (action.index, action.body_part, BODY_PARTS[action.part_index]) == (index, part, part)
    assert len(ACTIONS) == 52
    assert len({action.name for action in ACTIONS}) == len({action.code for action in ACTIONS}) == 52


def test_only_the_two_contradicted_names_are_doubtful() -> None:
    assert [action.name for action in ACTIONS if action.doubtful] == ["turning around", "rising up"]


def test_matches_the_published_list() -> None:
    path = ROOT.parent / "shared" / "data" / "ma52_taxonomy.csv"
    if not path.exists():
        pytest.skip("the published list is not beside this checkout")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [(a.index, a.code, a.name, a.body_part) for a in ACTIONS] == [
        (int(row["index"]), row["code"], row["name"], row["body_part"]) for row in rows
    ]
