"""python -m lab: what happens after a session."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from engines.common.command_line import Parser, run_guarded

# Name, module and help. A module has `add_arguments(parser)` and `run(options)`, and is imported for its command alone.
COMMANDS = (
    ("archive", "lab.archive.command", "many recordings, here or on a Ray cluster, into one dataset"),
    ("agreement", "lab.agreement_command", "how far a machine and a human, or two humans, agree"),
    ("adapt", "lab.adapt_command", "fit a landmark model to a laboratory's own examples"),
    ("dataset", "lab.dataset_command", "clips, lists and splits from recordings that people have annotated"),
    ("report", "lab.report.command", "a session as one page to look at and to review"),
    ("corrections", "lab.corrections_command", "bring what was corrected in the report into the record"),
    ("forget", "lab.forget", "withdrawal of consent: delete a session"),
    ("evaluate-emotion", "lab.evaluate_emotion_command", "an emotion model on labelled pictures of faces"),
    ("evaluate-adaptation", "lab.evaluate_adaptation", "what a few examples of a person give on all others"),
    ("evaluate-real", "lab.evaluate_real_command", "a landmark model on real people whose labels are weak"),
    ("export", "lab.export_command", "a session for ELAN, BORIS, Excel, R and others"),
    ("words", "lab.words", "a first map from a laboratory's words to MA-52's"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> None:
    parser = Parser(prog="python -m lab", description="what happens after a session")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, path, help_ in COMMANDS:
        command = commands.add_parser(name, help=help_)
        if name in arguments[:1]:
            module = importlib.import_module(path)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    sys.exit(main())
