"""`evaluate-emotion`: an emotion model on labelled pictures of faces."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from lab.evaluate_emotion import evaluate, print_emotion, scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", help="a bundle's folder or a model's name")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="CLASS/picture in it")
    parser.add_argument("--threads", type=int, default=0, help="of the engine (its own choice)")
    parser.add_argument("--json", action="store_true", help="print JSON: the scores alone")


def run(options: argparse.Namespace) -> None:
    """Run the command. Raises BadInput: see `evaluate`."""
    answers = list(evaluate(options.model, options.pictures, options.threads))
    if options.json:
        print(json.dumps(scores(answers), indent=2))
    else:
        print_emotion(answers, options.model, Console())
