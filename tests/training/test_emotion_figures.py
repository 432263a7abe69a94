"""Figures 8 to 11: what they are drawn from, by hand, and that they are drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS
from training.emotion_figures import FILES, cases, draw_figures, multi_label_confusion, parts_of_emotions, predicted
from training.metrics import EmotionPredictions

ALL = tuple(one.index for one in ACTIONS)


def answers(seed: int, count: int = 12) -> EmotionPredictions:
    rng = np.random.default_rng(seed)
    felt = np.eye(6)[rng.integers(6, size=count)]
    done = (rng.random((count, len(ALL))) < 0.08).astype(float)
    return EmotionPredictions(rng.normal(size=(count, 5)), rng.normal(size=done.shape) + 2.0 * done, felt, done)


def test_a_missed_label_counts_for_what_was_said_in_its_place() -> None:
    true = np.array([[True, True, False, False], [True, False, False, False]])
    said = np.array([[True, False, True, True], [False, False, False, False]])
    found = multi_label_confusion(true, said)
    assert found[0] == pytest.approx([0.5, 0.0, 0.0, 0.0])  # missed once, with nothing said in its place
    assert found[1] == pytest.approx([0.0, 0.0, 0.5, 0.5])
    assert not found[2:].any()


def test_as_many_are_predicted_as_there_are() -> None:
    found = answers(0)
    assert (predicted(found).sum(axis=1) == found.done.sum(axis=1)).all()
    assert found.actions[0][predicted(found)[0]].min(initial=9.0) >= found.actions[0][~predicted(found)[0]].max()


def test_parts_are_counted_in_windows_of_one_emotion_alone() -> None:
    done = np.zeros((3, len(ALL)))
    done[:, [0, 5]] = 1.0
    felt = np.array([[1.0, 0, 0, 0, 0, 0], [0, 0.95, 0, 0, 0, 0.05], [0.5, 0.5, 0, 0, 0, 0]])
    table = parts_of_emotions(EmotionPredictions(np.zeros((3, 5)), done, felt, done), ALL)
    assert table.shape == (len(EMOTIONS), len(BODY_PARTS))
    assert table[:2, [ACTIONS[0].part_index, ACTIONS[5].part_index]].tolist() == [[1, 1], [1, 1]]
    assert table.sum() == 4.0


def test_windows_that_only_both_branches_together_get_right_are_shown_first() -> None:
    felt = np.eye(6)[[0, 1, 5, 2]]
    full, face = (
        EmotionPredictions(np.eye(5)[rows], np.zeros((4, 0)), felt, np.zeros((4, 0)))
        for rows in ([0, 1, 0, 2], [0, 3, 0, 1])
    )
    assert cases({"all": full, "face alone": face}) == [1, 3, 0, 2]


def test_all_four_are_pictures(tmp_path: Path) -> None:
    draw_figures({"all": answers(1), "face alone": answers(2)}, ALL, tmp_path)
    for name in FILES:
        picture = cv2.imread(str(tmp_path / name))
        assert picture is not None
        assert picture.std() > 5.0
