"""A deployed model on untrimmed videos: windows, and the events that the live path would report."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.bundle import Bundle, find
from engines.common.errors import BadInput
from engines.common.new_files import check_empty_folder
from events.offline import session_events
from events.scores import score_events
from training.data.interval_lists import read_interval_list
from training.data.untrimmed import Recordings, judge_recordings
from training.metrics import mean_average_precision

SCORES_FILE = "scores.csv"


def evaluate_untrimmed(model: str, path: Path, data: Path, engine: str, out: Path) -> None:
    """`python -m training evaluate-untrimmed`. Raises BadInput: the model or the list cannot be used."""
    check_empty_folder(out, "--out")
    bundle = Bundle.load(find(model))
    card = bundle.card
    if card.view != "rgb" or list(card.network.inputs) != ["clips"]:
        raise BadInput(
            "a micro-action model that sees pixels", f"{card.name}, of the {card.view} view", "choose another"
        )
    write_event_scores(bundle, Recordings(read_interval_list(path, data), data, card.network, card.span_s), engine, out)


def write_event_scores(bundle: Bundle, recordings: Recordings, engine: str, out: Path, threads: int = 0) -> None:
    """Print scores of windows and events, and write them as `scores.csv` into a new folder."""
    sessions = judge_recordings(bundle, recordings, engine, threads)
    true = np.concatenate([recordings.targets(number, one.ends_ns) for number, one in enumerate(sessions)])
    logits = np.concatenate([one.logits for one in sessions]).astype(np.float64)
    pairs = [(one.events, session_events(bundle, one)) for one in sessions]
    seconds = sum(one.seconds for one in sessions)
    actions, parts = score_events(pairs, seconds), score_events(pairs, seconds, by_part=True)
    rows = {
        "map": mean_average_precision(logits, true >= 0.5),
        "event_f1_macro": actions.f1_macro,
        "event_f1_micro": actions.f1_micro,
        "event_f1_macro_parts": parts.f1_macro,
        "false_per_hour": actions.false_per_hour,
    }
    table = Table(
        "score", "value", title=f"{bundle.card.name}: {len(logits)} windows of {len(sessions)} videos, {engine}"
    )
    for name, value in rows.items():
        table.add_row(name, "–" if np.isnan(value) else f"{value:.3f}")
    Console().print(table)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / SCORES_FILE).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("score", "value"), *rows.items()])
    except OSError as error:
        raise BadInput("a folder that can be written", f"{out} ({error.strerror})", "choose another --out") from None
