"""evaluate-real --clips counts as it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.common.errors import BadInput
from lab.evaluate_clips import Answer, Clip, read_answers, summary

HAND = Answer(("head-hand",), (46, 41), ("lower limb",))
HEAD = Answer(("head", "upper limb"), (8,))
STILL = Answer((), (), ("body",))


def test_shares_are_of_recordings_and_of_events() -> None:
    clips = [
        Clip("a", HAND, (("head-hand", 46), ("upper limb", None), ("lower limb", 24))),
        Clip("b", HEAD, (("head", 7), ("upper limb", 23))),
        Clip("c", HEAD, ()),
        Clip("d", STILL, (("body", 0),)),
    ]
    found = summary(clips)
    assert found["part"] == pytest.approx(2 / 3)
    assert found["action"] == pytest.approx(1 / 3)
    assert (found["events"], found["events_of_a_right_part"]) == (5, pytest.approx(3 / 5))
    assert found["impossible"] == 2
    assert (found["events_in_quiet_clips"], found["quiet_clips"]) == (1, 1)


def test_the_constant_answer_is_the_two_parts_that_are_right_most_often() -> None:
    constant = summary([Clip("a", HAND, ()), Clip("b", HEAD, ()), Clip("c", HEAD, ()), Clip("d", STILL, ())])[
        "constant"
    ]
    assert constant["parts"] == ["head", "upper limb"]
    assert constant["part"] == pytest.approx(2 / 3)
    assert constant["events_of_a_right_part"] == pytest.approx(4 / 6)
    assert constant["events_in_quiet_clips"] == 2
    assert constant["action"] == 0.0


def test_recordings_lie_beside_the_list_or_in_clips(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "one.mp4").touch()
    (tmp_path / "clips" / "two.mp4").touch()
    answer = {"parts_right": ["head"], "actions_right": [8], "note": "turns"}
    listing = tmp_path / "clips.json"
    listing.write_text(json.dumps({"one.mp4": answer, "two.mp4": answer}))
    assert list(read_answers(listing)) == [tmp_path / "one.mp4", tmp_path / "clips" / "two.mp4"]
    listing.write_text(json.dumps({"three.mp4": answer}))
    with pytest.raises(BadInput, match=r"three\.mp4"):
        read_answers(listing)
    listing.write_text('{"one.mp4": {}}')
    with pytest.raises(BadInput, match="parts_right"):
        read_answers(listing)
