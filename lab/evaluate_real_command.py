"""python -m lab evaluate-real: the command line of `lab.evaluate_real` and `lab.evaluate_clips`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from engines.bundle import Bundle, find
from lab.evaluate_clips import clips_json, evaluate_clips, print_clips
from lab.evaluate_real import as_json, check_files, evaluate_file, print_tables
from lab.real_scores import Scorer


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help="a bundle's folder or a model's name")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE.npz", help="landmark sequences")
    command.add_argument("--threads", type=int, default=0, help="of the engine (its own choice)")
    command.add_argument("--clips", type=Path, metavar="LIST.json", help="recordings labelled by eye as well")
    command.add_argument("--json", action="store_true", help="print JSON: all, by file and word")


def run(options: argparse.Namespace) -> None:
    """Print the figures of a model."""
    check_files(options.files)
    bundle = Bundle.load(find(options.model))
    with Scorer(bundle, options.threads) as scorer:
        results = [evaluate_file(scorer, path) for path in options.files]
    clips = evaluate_clips(str(bundle.path), options.clips) if options.clips is not None else []
    if options.json:
        found = as_json(results) | ({"clips": clips_json(clips)} if clips else {})
        print(json.dumps(found, indent=2))
        return
    print_tables(results, bundle.card.name, Console())
    if clips:
        print_clips(clips, bundle.card.name, Console())
