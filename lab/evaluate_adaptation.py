"""python -m lab evaluate-adaptation: what a few examples of a person's own give, on all others of that person."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.bundle import Bundle, find
from engines.common.errors import BadInput
from engines.landmarks.recordings import load_sequences
from lab.adapt_command import landmark_network
from lab.adaptation import Examples, Heads, adapt, examples_of, right
from lab.simulated_people import simulated_people

DRAWS = 2  # of the examples


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help="a bundle's folder or a model's name")
    command.add_argument("files", nargs="*", type=Path, metavar="FILE.npz", help="landmark sequences, a file a person")
    command.add_argument("--simulated", action="store_true", help="simulated people who move otherwise, too")
    command.add_argument("--examples", type=int, nargs="+", default=[5, 20], metavar="N", help="of each word (5 20)")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> None:
    """Print top-1, top-3 and part before and after."""
    bundle = Bundle.load(find(options.model))
    network = landmark_network(bundle)
    heads = Heads(network.heads(), bundle.card.calibration.temperature)
    if not options.files and not options.simulated:
        raise BadInput("FILE.npz or --simulated", "neither", "give some")
    people = {path.stem: [one for one in load_sequences(path) if one.counted] for path in options.files}
    people |= simulated_people() if options.simulated else {}
    rows = []
    for name, sequences in people.items():
        known = examples_of(network, {name: sequences})
        rows += [{"file": name, "examples": count} | measured(heads, known, count) for count in options.examples]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(title=f"{bundle.card.name}: before and after, examples that were not fitted to")
    for name in ("file", "a word", "n", "kept", "top-1", "top-3", "part"):
        table.add_column(name, justify="left" if name == "file" else "right")
    for row in rows:
        pairs = (f"{before:.2f} → {after:.2f}" for before, after in zip(row["before"], row["after"], strict=True))
        table.add_row(row["file"], str(row["examples"]), str(row["n"]), f"{row['kept']} of {DRAWS}", *pairs)
    Console(width=120).print(table)


def measured(heads: Heads, known: Examples, count: int) -> dict[str, Any]:
    """Means over draws of `count` examples a word; the others are judged."""
    before, after, kept, judged = [], [], 0, 0
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        rows = [rng.permutation(np.flatnonzero(known.words == word)) for word in np.unique(known.words)]
        fit, rest = (np.concatenate(part) for part in ([one[:count] for one in rows], [one[count:] for one in rows]))
        if not len(rest):
            return {"n": 0, "kept": 0, "before": [float("nan")] * 3, "after": [float("nan")] * 3}
        found = adapt(heads, known.part(fit), seed)
        kept += found.heads is not None
        judged = len(rest)
        before.append(right(heads, known.part(rest)).mean(0))
        after.append(right(found.heads or heads, known.part(rest)).mean(0))
    return {
        "n": judged,
        "kept": kept,
        "before": np.mean(before, axis=0).round(4).tolist(),
        "after": np.mean(after, axis=0).round(4).tolist(),
    }
