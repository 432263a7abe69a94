"""python -m lab agreement: a machine against a human, or one human against another."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engines.common.errors import BadInput
from engines.common.printable import printable
from lab.agreement import LEVELS, OVERLAPS, agreement, linked
from lab.annotations import Annotations, read_annotations
from lab.disagreement import write_disagreements
from lab.words import Event, read_map, translate

COUNTS = ("matched", "missed", "false")
SHOWN = (
    *((f"f1_{overlap}", f"event F1 at overlap {overlap}") for overlap in OVERLAPS),
    ("raw_agreement", "raw agreement of linked and unmatched"),
    ("kappa", "modified kappa (Holle & Rein), with unmatched"),
    ("kappa_max", "its highest possible value"),
    ("kappa_linked", "kappa of linked annotations alone"),
    ("kappa_linked_max", "its highest possible value"),
    ("slice_kappa", "kappa of 0.1 s slices"),
    ("alpha", "Krippendorff's alpha of 0.1 s slices"),
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("machine", type=Path, metavar="MACHINE", help="a recorded session, or annotations")
    command.add_argument("human", type=Path, metavar="HUMAN", help=".eaf, .boris, .csv, .tsv (BIDS) or .TextGrid")
    command.add_argument("--map", type=Path, metavar="WORDS.toml", help="what words mean in MA-52: `lab words FILE`")
    command.add_argument(
        "--between", type=float, nargs=2, metavar=("FROM_S", "TO_S"), help="the part that both coded (all)"
    )
    command.add_argument("--disagreements", type=Path, metavar="NEW.eaf", help="the human's .eaf with a tier of them")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> None:
    """Print the figures, and write the disagreements."""
    words = read_map(options.map) if options.map else {}
    files = read_annotations(options.machine), read_annotations(options.human)
    first, second = (translate(one, words) for one in files)
    begin_s, end_s = coded(options.between, files, [*first, *second])
    first, second = within(first, begin_s, end_s), within(second, begin_s, end_s)
    if not first and not second:
        raise BadInput("annotations to compare", "none in either file", "check --map and --between")
    if options.disagreements is not None:
        write_disagreements(options.human, options.disagreements, linked(first, second, "actions"))
    found = agreement(shifted(first, begin_s), shifted(second, begin_s), end_s - begin_s)
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print_figures(found, [printable(str(one.path)) for one in files], Console())


def coded(between: list[float] | None, files: tuple[Annotations, ...], events: list[Event]) -> tuple[float, float]:
    """Where both coders worked: as given, else from 0 to the recording's end, as far as it is known.

    Raises:
        BadInput: an end before its beginning.
    """
    if between is not None:
        if not 0.0 <= between[0] < between[1] < float("inf"):
            raise BadInput("--between FROM TO, in seconds", f"{between[0]:g} {between[1]:g}", "FROM comes first")
        return between[0], between[1]
    ends = [event.offset_s for event in events] + [one.length_s for one in files if one.length_s]
    return 0.0, max([*ends, 1.0])


def within(events: list[Event], begin_s: float, end_s: float) -> list[Event]:
    """Events that begin in it."""
    return [event for event in events if begin_s <= event.onset_s <= end_s]


def shifted(events: list[Event], by_s: float) -> list[Event]:
    return [Event(one.names, one.onset_s - by_s, one.offset_s - by_s) for one in events]


def print_figures(found: Mapping[str, Any], names: list[str], console: Console) -> None:
    """Three tables: in all, by body part, by action."""
    sizes = found["events"]
    console.print(f"first: {names[0]} ({sizes['first']} events), second: {names[1]} ({sizes['second']} events)")
    table = Table(title=f"agreement over {sizes['length_s']:.1f} s; 95 % from drawing {found['blocks']} blocks anew")
    for name in ("", *LEVELS):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("matched, missed, false", *(", ".join(str(found[level][key]) for key in COUNTS) for level in LEVELS))
    for key, title in SHOWN:
        table.add_row(title, *(_with_interval(found[level], key) for level in LEVELS))
    for key in ("rate", "duration"):
        cells = [_shown(found[level]["correlation"][key]) for level in LEVELS[:2]]
        table.add_row(f"correlation of {key} over names", *cells, "")
    console.print(table)
    late = found["errors"]
    for key, title in (("onset_s", "onset"), ("offset_s", "offset")):
        figures = f"median {_shown(late[key]['median'])} s, mean absolute {_shown(late[key]['mean_absolute'])} s"
        console.print(f"{title}, first less second, of {late['pairs']} matched actions: {figures}")
    for level, title in (("parts", "by body part"), ("actions", "by action")):
        console.print(_by_name(found[level]["names"], title))


def _by_name(names: Mapping[str, Any], title: str) -> Table:
    keys = (*COUNTS, *(f"f1_{overlap}" for overlap in OVERLAPS))
    keys += ("kappa", "kappa_max", "raw_agreement", "slice_kappa", "alpha")
    table = Table(title=title)
    table.add_column("")
    for key in keys:
        table.add_column(key.replace("_", " "), justify="right")
    for name, row in names.items():
        table.add_row(name, *(_shown(row[key]) for key in keys))
    return table


def _with_interval(level: Mapping[str, Any], key: str) -> str:
    value, bounds = level.get(key), level["intervals"].get(key)
    return _shown(value) + (f" ({bounds[0]:.2f}–{bounds[1]:.2f})" if value is not None and bounds else "")


def _shown(value: float | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
