"""evaluate-real counts as it says: hand-made sequences and a scorer with known answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engines.common.errors import BadInput
from engines.landmarks.recordings import load_sequences
from engines.landmarks.tracks import MISSING, VALUES
from lab.__main__ import main
from lab.evaluate_real import as_json, evaluate_file, pooled, summary
from lab.real_scores import Scored

pytestmark = pytest.mark.slow


def write(path: Path, **changes: object) -> Path:
    """Four sequences of 20 pictures whose first value is their number; `changes` replace whole arrays."""
    count = 4
    frames = np.full((count * 20, VALUES), MISSING, np.int16)
    frames[:, 0] = np.repeat(np.arange(count), 20)
    arrays = {
        "frames": frames,
        "first": np.arange(count + 1) * 20,
        "word": np.array(["one", "one", "two", "rest"]),
        "labels": np.array(["41:face;46:mouth", "33:chest", "33:chest;13:hands", "none (idle/background)"]),
        "confidence": np.array(["high"] * count),
        "strict": np.array([0.2, np.nan, 0.0, np.nan], np.float32),
        "lead": np.zeros(count, np.int16),
        "rest": np.array([(0, 0), (0, 0), (0, 0), (0, 15)], np.int16),
        "aspect": np.full(count, 4 / 3, np.float32),
    }
    np.savez(path, **(arrays | changes))
    return path


class Known:
    """Says of sequence number k what `best` lists for it, best first, and reports an event where told so."""

    def __init__(self, best: list[list[int]], parts: list[int] | None = None, events: tuple[int, ...] = ()) -> None:
        self.best, self.parts, self.loud = best, parts, events
        self.lengths: list[int] = []

    def score(self, frames: np.ndarray, aspect: float, fps: float) -> Scored:
        number = int(frames[0, 0])
        self.lengths.append(len(frames))
        actions = np.full((10, 52), 0.01, np.float32)
        for place, action in enumerate(self.best[number]):
            actions[:, action] = 0.9 - 0.1 * place
        actions[0, 51] = 1.0  # a single step of sixteen in a second: not half a second
        parts = None
        if self.parts is not None:
            parts = np.eye(7, dtype=np.float32)[[self.parts[number]] * 10]
        return Scored(actions, parts, 1 / 16)

    def events(self, scored: Scored) -> list[tuple[int, float, float]]:
        return [(int(np.argmax(scored.actions[5])), 0.0, 1.0)] if self.loud else []


def test_counts_best_action_best_three_and_part(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    result = evaluate_file(Known([[46, 1, 2], [32, 3, 33], [14, 15, 16], []]), path)
    assert result.rows.tolist() == [[True, True, True], [False, True, True], [False, False, True]]
    assert result.words == ("one", "one", "two")
    found = summary([result])
    assert found["top1"] == pytest.approx(1 / 3)
    assert found["top3"] == pytest.approx(2 / 3)
    assert found["part"] == 1.0
    assert found["n"] == 3


def test_the_part_head_decides_the_part(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    result = evaluate_file(Known([[46], [33], [33], []], parts=[1, 4, 2, 0]), path)
    assert result.rows[:, 2].tolist() == [False, True, True]


def test_unsure_labels_are_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.npz",
        labels=np.array(["41:face", "23:gestures", "23:gestures;19:waving", "33:chest"]),
        confidence=np.array(["high", "high", "high", "medium"]),
        strict=np.array([0.1, 1.0, np.nan, 1.0], np.float32),
        rest=np.zeros((4, 2), np.int16),
    )
    assert [one.counted for one in load_sequences(path)] == [False, False, True, False]


def test_rest_and_idle_count_events(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    quiet, loud = (evaluate_file(Known([[46], [33], [33], []], events=said), path) for said in ((), (1,)))
    assert summary([quiet])["idle_events"] == 0.0
    assert summary([quiet])["rest_events_per_minute"] == 0.0
    found = summary([loud])
    assert found["idle_events"] == 1.0
    assert found["rest_events_per_minute"] == pytest.approx(60.0)


def test_lead_is_skipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", lead=np.array([3, 0, 0, 5], np.int16))
    scorer = Known([[46], [33], [33], []])
    evaluate_file(scorer, path)
    assert scorer.lengths == [17, 20, 20, 15]  # of the last one the rest, 10 pictures now, is too short


def test_means_are_over_files(tmp_path: Path) -> None:
    one = write(tmp_path / "one.npz")
    two = write(tmp_path / "two.npz", confidence=np.array(["high", "low", "low", "low"]))
    results = [evaluate_file(Known([[46], [1], [1], []]), path) for path in (one, two)]
    found = as_json(results)
    assert found["all"]["top1"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["all"]["n"] == 4
    assert found["files"]["one"]["words"]["one"]["top1"] == 0.5
    low, high = found["all"]["intervals"]["top1"]
    assert low <= found["all"]["top1"] <= high


def test_pooling_takes_the_best_half_second() -> None:
    scores = np.zeros((32, 1), np.float32)
    scores[4:12] = 0.8
    scores[20] = 1.0
    assert pooled(scores, 1 / 16)[0] == pytest.approx(0.8)
    assert pooled(scores[:4] + 0.5, 1 / 16)[0] == pytest.approx(0.5)  # shorter than half a second


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK nothing")
    shapes = write(tmp_path / "shapes.npz", aspect=np.ones(3, np.float32))
    labels = write(tmp_path / "labels.npz", labels=np.array(["99:nothing"] * 4))
    lacking = tmp_path / "lacking.npz"
    np.savez(lacking, frames=np.zeros((1, VALUES), np.int16))
    for path in (broken, shapes, labels, lacking, tmp_path / "absent.npz"):
        with pytest.raises(BadInput, match=path.name):
            load_sequences(path)


def test_the_command_scores_a_shipped_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.npz")  # nobody in sight
    assert main(["evaluate-real", "landmarks-small", "--json", "--threads", "1", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)["all"]
    assert found["n"] == 3
    assert found["idle"] == 1
    assert found["idle_events"] == 0.0
    assert main(["evaluate-real", "landmarks-small", str(path), str(path)]) == 2
    assert "each file once" in capsys.readouterr().err
