"""python -m lab evaluate-real: how often a landmark model is right about real people whose labels are weak.

An action's score in a sequence is its highest mean over `POOLED_S`. top-1 and top-3: the best action, or one of the
best three, is among the labels; part: the best body part is that of a label. All are means over files, because a file
is about one person, with intervals from drawing words anew within each file (bootstrap over words, which is what a
person did many times). Idle sequences and rest (no hand in sight for a second or more) count events instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from engines.common.errors import BadInput
from engines.landmarks.recordings import ASSUMED_FPS, RealSequence, load_sequences
from engines.taxonomy import ACTIONS
from lab.real_scores import Scored, Scorer

POOLED_S = 0.5
LEAST_REST_S = 1.0
DRAWS = 2000  # of the bootstrap
INTERVAL = (2.5, 97.5)  # percent

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
PART_OF = np.array([action.part_index for action in ACTIONS])


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file: a row (top-1, top-3, part) for each counted sequence, its word, and events where nothing happens."""

    name: str
    rows: BoolArray  # (n, 3)
    words: tuple[str, ...]  # (n,)
    idle: tuple[bool, ...]  # of each idle sequence, whether an event was reported
    rest_events: int
    rest_s: float

    @property
    def means(self) -> FloatArray:
        """(3,); NaN without a counted sequence."""
        return self.rows.mean(axis=0) if len(self.rows) else np.full(3, np.nan)


def evaluate_file(scorer: Scorer, path: Path) -> FileResult:
    """Score a model on all sequences of a file.

    Raises:
        BadInput: see `load_sequences`.
    """
    rows, words, idle = [], [], []
    rest_events, rest_s = 0, 0.0
    for sequence in load_sequences(path):
        if sequence.counted:
            rows.append(judge(scorer.score(sequence.frames, sequence.aspect, ASSUMED_FPS), sequence))
            words.append(sequence.word)
        if sequence.idle:
            scored = scorer.score(sequence.frames, sequence.aspect, ASSUMED_FPS)
            idle.append(bool(scorer.events(scored)))
        begin, end = sequence.rest
        if (end - begin) / ASSUMED_FPS >= LEAST_REST_S:
            scored = scorer.score(sequence.frames[begin:end], sequence.aspect, ASSUMED_FPS)
            rest_events += len(scorer.events(scored))
            rest_s += (end - begin) / ASSUMED_FPS
    table = np.array(rows, np.bool_).reshape(-1, 3)
    return FileResult(path.stem, table, tuple(words), tuple(idle), rest_events, rest_s)


def judge(scored: Scored, sequence: RealSequence) -> tuple[bool, bool, bool]:
    """(top-1, top-3, part) of one sequence."""
    actions = pooled(scored.actions, scored.step_s)
    best = np.argsort(-actions, kind="stable")
    part = int(PART_OF[best[0]]) if scored.parts is None else int(np.argmax(pooled(scored.parts, scored.step_s)))
    right = set(sequence.labels)
    return best[0] in right, bool(right.intersection(best[:3].tolist())), part in PART_OF[list(right)]


def pooled(scores: npt.NDArray[np.float32], step_s: float) -> FloatArray:
    """(K, C) → (C,): the highest mean over `POOLED_S`, or over all where that is less."""
    width = min(max(round(POOLED_S / step_s), 1), len(scores))
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    best: FloatArray = (sums[width:] - sums[:-width]).max(axis=0) / width
    return best


def summary(results: Sequence[FileResult], seed: int = 0) -> dict[str, Any]:
    """Means over files with their intervals, `n`, and events where nothing happens; None: nothing to count."""
    counted = [one for one in results if len(one.rows)]
    idle = [event for one in results for event in one.idle]
    rest_s = sum(one.rest_s for one in results)
    rest_events = sum(one.rest_events for one in results)
    means = np.mean([one.means for one in counted], axis=0).tolist() if counted else [None] * 3
    found: dict[str, Any] = dict(zip(("top1", "top3", "part"), means, strict=True))
    found |= {"n": sum(len(one.rows) for one in counted), "idle_events": float(np.mean(idle)) if idle else None}
    found |= {"idle": len(idle), "rest_events_per_minute": rest_events / rest_s * 60.0 if rest_s else None}
    found |= {"rest_minutes": rest_s / 60.0, "intervals": _intervals(counted, seed)}
    return found


def _intervals(results: Sequence[FileResult], seed: int) -> dict[str, list[float]] | None:
    """95 % of the means over files when words are drawn anew within each."""
    if not results:
        return None
    rng = np.random.default_rng(seed)
    each = []
    for one in results:
        names, where = np.unique(np.array(one.words), return_inverse=True)
        count = np.bincount(where).astype(np.float64)  # (W,)
        right = np.stack([np.bincount(where, column) for column in one.rows.T])  # (3, W)
        drawn = rng.integers(len(names), size=(DRAWS, len(names)))
        each.append(right[:, drawn].sum(-1) / count[drawn].sum(-1))  # (3, DRAWS)
    low, high = np.percentile(np.mean(each, axis=0), INTERVAL, axis=-1)
    bounds = zip(("top1", "top3", "part"), low.tolist(), high.tolist(), strict=True)
    return {name: [lowest, highest] for name, lowest, highest in bounds}


def as_json(results: Sequence[FileResult]) -> dict[str, Any]:
    """Everything, by file and word."""
    files: dict[str, Any] = {}
    for one in results:
        words = np.array(one.words)
        by_word = {}
        for word in dict.fromkeys(one.words):
            means = one.rows[words == word].mean(axis=0).tolist()
            by_word[word] = dict(zip(("top1", "top3", "part"), means, strict=True)) | {"n": int((words == word).sum())}
        files[one.name] = summary([one]) | {"words": by_word}
    return {"all": summary(results), "files": files}


def print_tables(results: Sequence[FileResult], title: str, console: Console) -> None:
    """One row a file, and the mean over files with its interval."""
    table = Table(title=f"{title}: real people, weak labels")
    for name in ("file", "top-1", "top-3", "part", "n", "idle with an event", "events/min at rest"):
        table.add_column(name, justify="left" if name == "file" else "right")
    for one in results:
        table.add_row(one.name, *_row(summary([one])))
    found = summary(results)
    table.add_row("mean over files", *_row(found), style="bold")
    if found["intervals"]:
        bounds = found["intervals"]
        cells = [f"{bounds[name][0]:.2f}–{bounds[name][1]:.2f}" for name in ("top1", "top3", "part")]
        table.add_row("95 % over words", *cells, "", "", "")
    console.print(table)


def _row(found: dict[str, Any]) -> list[str]:
    shares = ["–" if found[name] is None else f"{found[name]:.2f}" for name in ("top1", "top3", "part")]
    idle, rest = found["idle_events"], found["rest_events_per_minute"]
    shares += [str(found["n"]), "–" if idle is None else f"{idle:.2f} of {found['idle']}"]
    return [*shares, "–" if rest is None else f"{rest:.1f} in {found['rest_minutes']:.1f} min"]


def check_files(paths: Sequence[Path]) -> None:
    """Raises BadInput for a file named twice: it would count twice."""
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise BadInput("each file once", f"{path} again", "leave one out")
        seen.add(path.resolve())
