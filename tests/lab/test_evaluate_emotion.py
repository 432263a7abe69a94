"""Labelled pictures of faces: the scores by hand, a real picture through the live path, and bad folders."""

import json
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from engines.common.errors import BadInput
from engines.taxonomy import EMOTIONS
from lab.__main__ import main
from lab.evaluate_emotion import Answer, pictures, read_picture, scores

pytestmark = pytest.mark.slow


def answer(label, says, share, found=True):
    """One that puts `share` on an emotion and spreads the rest."""
    shares = np.full(5, (1.0 - share) / 4)
    shares[EMOTIONS.index(says)] = share
    return Answer(Path("x"), label, tuple(shares.tolist()), found)


def test_scores_are_what_their_definitions_say():
    answers = [
        answer("joy", "joy", 0.9),
        answer("joy", "joy", 0.9),
        answer("joy", "anger", 0.6),
        answer("anger", "anger", 0.6),
        answer("fear", "fear", 0.9, found=False),  # no face: wrong, whatever the body said
        answer("neutral", "joy", 0.51),
        answer("neutral", "joy", 0.3),
    ]
    found = scores(answers)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["uar"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)
    assert found["ece"] == pytest.approx((abs(2 - 2.7) + abs(1 - 1.2)) / 5)
    assert found["found"] == pytest.approx(6 / 7)
    assert found["neutral_called_emotion"] == 0.5
    assert scores(answers[:5])["neutral_called_emotion"] is None


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ((), "none of an emotion"),
        (("happy/a.png",), "happy"),
        (("neutral/a.png", "joy/note.txt"), "none of an emotion"),
    ],
)
def test_a_folder_that_is_none_is_refused(tmp_path, names, fault):
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(BadInput, match=fault):
        pictures(tmp_path)
    with pytest.raises(BadInput, match="no-such"):
        pictures(tmp_path / "no-such")


@pytest.mark.usefixtures("trackers", "expression_models")
@pytest.mark.long
def test_real_pictures_go_through_the_live_path(tmp_path, capsys):
    portrait = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    for name, picture in (("joy/smile.png", portrait), ("fear/wall.png", np.full((120, 100, 3), 90, np.uint8))):
        (tmp_path / name).parent.mkdir()
        cv2.imwrite(str(tmp_path / name), picture)
    assert main(["evaluate-emotion", "emotions", "--pictures", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"accuracy", "uar", "macro_f1", "ece", "found", "neutral_called_emotion"}
    assert (found["accuracy"], found["uar"], found["found"]) == (0.5, 0.5, 0.5)


def test_a_damaged_picture_and_a_model_that_is_not_there_are_named(tmp_path, capsys):
    (tmp_path / "joy").mkdir()
    (tmp_path / "joy" / "a.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"a\.png"):
        read_picture(tmp_path / "joy" / "a.png")
    assert main(["evaluate-emotion", "no-such-model", "--pictures", str(tmp_path)]) == 2
    assert "no-such-model" in capsys.readouterr().err
