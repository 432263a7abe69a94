"""`python -m simulation`: an interview with a simulated person, as files (`make`); trimmed clips of many (`clips`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engines.common.command_line import Parser, run_guarded
from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS
from simulation.camera import UPPER_BODY, WHOLE_BODY
from simulation.clips import write_clips
from simulation.files import write_session
from simulation.interview import MODES, NATURAL
from simulation.session import SPLITS, Settings, simulate
from simulation.tracker_noise import NoiseSettings

LONGEST_MINUTES = 60.0
FPS_RANGE = (5.0, 120.0)
FRAMINGS = {"whole-body": WHOLE_BODY, "upper-body": UPPER_BODY}


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 bad usage or bad input."""
    return run_guarded(lambda: _run(arguments))


def _run(arguments: list[str] | None) -> None:
    parser = Parser(prog="python -m simulation", description="Simulated seated people with ground truth.")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write one session: video, landmarks, truth")
    make.add_argument("--seed", type=int, required=True)
    make.add_argument("--minutes", type=float, default=1.0)
    make.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    make.add_argument("--actions", choices=MODES, default=NATURAL)
    make.add_argument("--fps", type=float, default=30.0)
    make.add_argument("--split", choices=SPLITS, default="test", help="people and cameras of different splits differ")
    make.add_argument("--framing", choices=tuple(FRAMINGS), help="default: at random")
    make.add_argument("--no-noise", action="store_true", help="the true points instead of what a tracker would report")
    clips = commands.add_parser("clips", help="write a small data set in MA-52's format: trimmed drawings, lists")
    clips.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    clips.add_argument("--train", type=int, default=8, help="clips of each action to train on (8)")
    clips.add_argument("--val", type=int, default=2, help="clips of each action to score (2)")
    clips.add_argument("--actions", help="indices, such as 9,10,24 (all)")
    clips.add_argument("--size", type=int, default=128, help="pixels of a side, even (128)")
    clips.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.seed < 0:
        raise BadInput("a --seed of 0 or more", str(options.seed), "give another")
    if options.command == "clips":
        _write_clips(options)
        return
    if not 0.05 <= options.minutes <= LONGEST_MINUTES:
        raise BadInput(
            f"--minutes between 0.05 and {LONGEST_MINUTES:g}", f"{options.minutes:g}", "make several sessions"
        )
    if not FPS_RANGE[0] <= options.fps <= FPS_RANGE[1]:
        raise BadInput(
            f"--fps between {FPS_RANGE[0]:g} and {FPS_RANGE[1]:g}", f"{options.fps:g}", "30 is what models expect"
        )
    settings = Settings(
        mode=options.actions,
        split=options.split,
        framing=FRAMINGS.get(options.framing),
        noise=None if options.no_noise else NoiseSettings(),
    )
    session = simulate(options.seed, 60.0 * options.minutes, options.fps, settings)
    made: dict[str, int | float | str] = {
        "seed": options.seed,
        "minutes": options.minutes,
        "fps": options.fps,
        "actions": options.actions,
        "split": options.split,
    }
    write_session(session, options.out, made)
    print(f"{options.out}: {len(session)} frames, {len(session.truth)} actions")


def _write_clips(options: argparse.Namespace) -> None:
    words = options.actions.split(",") if options.actions else [str(action.index) for action in ACTIONS]
    known = {str(action.index) for action in ACTIONS}
    wrong = next((word for word in words if word not in known), None)
    if wrong is not None:
        raise BadInput(f"--actions of indices 0 to {len(ACTIONS) - 1}", repr(wrong), "give 9,10,24 for instance")
    if options.train < 1 or options.val < 1 or not 32 <= options.size <= 512 or options.size % 2:
        got = f"{options.train}, {options.val} and {options.size}"
        raise BadInput("--train and --val of 1 or more, and an even --size of 32 to 512", got, "leave them out")
    counts = {"train": options.train, "val": options.val}
    written = write_clips(options.out, counts, [int(word) for word in words], options.size, options.seed)
    print(f"{options.out}: {written} clips of {len(words)} actions, simulated")


if __name__ == "__main__":
    sys.exit(main())
