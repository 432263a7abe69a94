"""python -m lab: what happens after a session."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from engines.bundle import Bundle, find
from engines.common.command_line import Parser, run_command
from lab.evaluate_clips import clips_json, evaluate_clips, print_clips
from lab.evaluate_emotion import evaluate, print_emotion, scores
from lab.evaluate_real import as_json, check_files, evaluate_file, print_tables
from lab.real_scores import Scorer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_command(_parser(), arguments)


def _parser() -> Parser:
    parser = Parser(prog="python -m lab", description="what happens after a session")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("evaluate-real", help="a landmark model on real people whose labels are weak")
    command.add_argument("model", help="a bundle's folder or a model's name")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE.npz", help="landmark sequences")
    command.add_argument("--threads", type=int, default=0, help="of the engine (its own choice)")
    command.add_argument("--clips", type=Path, metavar="LIST.json", help="recordings labelled by eye as well")
    command.add_argument("--json", action="store_true", help="print JSON: all, by file and word")
    command.set_defaults(run=_evaluate_real)
    command = commands.add_parser("evaluate-emotion", help="an emotion model on labelled pictures of faces")
    command.add_argument("model", help="a bundle's folder or a model's name")
    command.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="CLASS/picture in it")
    command.add_argument("--threads", type=int, default=0, help="of the engine (its own choice)")
    command.add_argument("--json", action="store_true", help="print JSON: the scores alone")
    command.set_defaults(run=_evaluate_emotion)
    return parser


def _evaluate_emotion(options: argparse.Namespace) -> None:
    answers = list(evaluate(options.model, options.pictures, options.threads))
    if options.json:
        print(json.dumps(scores(answers), indent=2))
    else:
        print_emotion(answers, options.model, Console())


def _evaluate_real(options: argparse.Namespace) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
