"""A landmark model on simulated sessions that nothing was trained or fitted on: windows and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.common.new_files import check_new_file
from engines.taxonomy import ACTIONS, BODY_PARTS
from events.offline import ended, ended_parts, session_reports
from events.scores import Event, EventScores, FloatArray, IntArray, score_events
from simulation.windows import FOCUS, judge_sessions, labelled_windows
from training.metrics import average_precision, mean_average_precision

SPLIT = "test"
DRAWS = 1000  # of sessions, for an interval
SHARE = (2.5, 97.5)  # per cent
_FIRST_OF_PART = [next(one.index for one in ACTIONS if one.part_index == at) for at in range(len(BODY_PARTS))]


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedScores:
    """How a model does on sessions of one mode. N windows."""

    mode: str
    actions: EventScores  # 52 classes
    parts: EventScores  # 7 classes
    logits: FloatArray  # (N, 52)
    targets: FloatArray  # (N, 52), 0..1
    sessions: list[tuple[EventScores, EventScores]]  # actions and parts of each

    @property
    def mean_precision(self) -> float:
        """Mean average precision of windows; NaN where nothing happens."""
        return mean_average_precision(self.logits, self.targets >= 0.5)

    @property
    def events(self) -> int:
        """True events."""
        return int((self.actions.true_positives + self.actions.false_negatives).sum())


@dataclass(frozen=True, slots=True)
class SimulatedTest:
    """Which sessions, and with what they are judged."""

    sessions: int = 20  # of each mode
    seconds: float = 60.0  # length of a session
    seed: int = 0
    focus: float = FOCUS  # as in training
    threads: int = 0
    workers: int = 1


def score_mode(bundle: Bundle, mode: str, test: SimulatedTest) -> SimulatedScores:
    """Scores of sessions of a mode, through the aggregator with the thresholds of the model's card.

    Raises:
        BadInput: not a bundle of the landmark view.
    """
    judged = list(
        judge_sessions(bundle, SPLIT, mode, test.sessions, test.seconds, test.seed, test.threads, test.workers)
    )
    reported = [session_reports(bundle, one) for one in judged]
    pairs = [(one.events, ended(found)) for one, found in zip(judged, reported, strict=True)]
    of_parts = [(one.events, as_any_action(ended_parts(found))) for one, found in zip(judged, reported, strict=True)]
    total_s = sum(one.seconds for one in judged)
    logits, wanted = labelled_windows(bundle, judged, test.focus)
    each = [
        (score_events([of_actions], one.seconds), score_events([of_part], one.seconds, by_part=True))
        for one, of_actions, of_part in zip(judged, pairs, of_parts, strict=True)
    ]
    return SimulatedScores(
        mode, score_events(pairs, total_s), score_events(of_parts, total_s, by_part=True), logits, wanted, each
    )


def as_any_action(events: Sequence[Event]) -> list[Event]:
    """Events of body parts, as events of any action of them, as `score_events` takes them."""
    return [(_FIRST_OF_PART[part], onset, offset) for part, onset, offset in events]


def drawn_anew(sessions: Sequence[EventScores], counts: IntArray) -> EventScores:
    """Scores of sessions of which the i-th is there `counts[i]` times."""
    names = ("true_positives", "false_positives", "false_negatives")
    hits, wrong, missed = (
        np.tensordot(counts, np.stack([getattr(one, name) for one in sessions]), 1) for name in names
    )
    return EventScores(hits, wrong, missed, float(counts @ np.array([one.hours for one in sessions])))


def differences(first: SimulatedScores, second: SimulatedScores) -> dict[str, tuple[float, float, float]]:
    """Second less first of each F1, and its 95 % interval: sessions, the same of both, are drawn anew (bootstrap)."""
    count = len(first.sessions)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1.0 / count), size=DRAWS)
    found = {}
    for name, at, score in (("F1 actions", 0, "f1_macro"), ("F1 parts", 1, "f1_macro"), ("F1 micro", 0, "f1_micro")):
        both = [[one[at] for one in scores.sessions] for scores in (first, second)]
        whole, *again = (
            np.subtract(*(getattr(drawn_anew(of, counts), score) for of in both[::-1]))
            for counts in (np.ones(count, np.int64), *drawn)
        )
        low, high = np.nanpercentile(again, SHARE)
        found[name] = float(whole), float(low), float(high)
    return found


def evaluate_simulated(
    bundle: Bundle, modes: Sequence[str], test: SimulatedTest, out: Path | None = None, against: Bundle | None = None
) -> None:
    """`python -m training evaluate-simulated`: print the tables, write the classes' scores.

    against: another model, beside it in the table, with the difference on the same sessions.

    Raises:
        BadInput: not a bundle of the landmark view, or `out` is there already or cannot be written.
    """
    if out is not None:
        check_new_file(out, "--out")
    console = Console()
    bundles = [bundle] if against is None else [bundle, against]
    names = " and ".join(one.card.name for one in bundles)
    table = Table(title=f"{names}: simulated test sessions, events at half overlap")
    for name in ("sessions", "hours", "events", "F1 actions", "F1 parts", "F1 micro", "false/h", "mAP"):
        table.add_column(name, justify="left" if name == "sessions" else "right")
    found = {mode: score_mode(bundle, mode, test) for mode in modes}
    for mode, scores in found.items():
        table.add_row(mode, *_row(scores))
        if against is not None:
            other = score_mode(against, mode, test)
            table.add_row(f"{mode}, {against.card.name}", *_row(other))
            if other.events:
                less = differences(scores, other)
                shares = (f"{value:+.3f} ({low:+.3f} to {high:+.3f})" for value, low, high in less.values())
                table.add_row("difference (95 %)", "", "", *shares, "", "")
    console.print(table)
    for mode, scores in found.items():
        if scores.events:
            console.print(_classes(mode, scores))
    if out is not None:
        _write(out, found)


def _row(scores: SimulatedScores) -> tuple[str, ...]:
    actions, parts = scores.actions, scores.parts
    shares = [actions.f1_macro, parts.f1_macro, actions.f1_micro] if scores.events else [np.nan] * 3
    return (
        f"{actions.hours:.2f}",
        str(scores.events),
        *(_share(value) for value in shares),
        f"{actions.false_per_hour:.1f}",
        _share(scores.mean_precision),
    )


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _classes(mode: str, scores: SimulatedScores) -> Table:
    """Best to worst actions of each body part."""
    table = Table("body part", "F1", "its actions, best first", title=f"{mode} sessions, event F1")
    each = scores.actions.f1_per_class
    for part, name in enumerate(BODY_PARTS):
        scored = [one for one in ACTIONS if one.part_index == part and np.isfinite(each[one.index])]
        mine = [(each[one.index], one.name) for one in scored]
        text = ", ".join(f"{action} {value:.2f}" for value, action in sorted(mine, reverse=True))
        table.add_row(name, _share(scores.parts.f1_per_class[part]), text)
    return table


def _write(path: Path, found: dict[str, SimulatedScores]) -> None:
    """Scores of each action as CSV; empty where there is nothing to score."""
    lines = ["sessions,index,action,body_part,events,found,false,f1,windows,average_precision"]
    for mode, scores in found.items():
        counts, each, positive = scores.actions, scores.actions.f1_per_class, scores.targets >= 0.5
        for action in ACTIONS:
            at = action.index
            hits, windows = int(counts.true_positives[at]), int(positive[:, at].sum())
            f1 = f"{each[at]:.4f}" if np.isfinite(each[at]) else ""
            precision = f"{average_precision(scores.logits[:, at], positive[:, at]):.4f}" if windows else ""
            lines.append(
                f"{mode},{at},{action.name},{action.body_part},{hits + int(counts.false_negatives[at])},"
                f"{hits},{int(counts.false_positives[at])},{f1},{windows},{precision}"
            )
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput("a file that can be written", f"{path} ({error.strerror})", "check --out") from None
