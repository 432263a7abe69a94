"""`python -m simulation make`: an interview with a simulated person, as files."""

from __future__ import annotations

import sys
from pathlib import Path

from engines.common.command_line import Parser, run_guarded
from engines.common.errors import BadInput
from simulation.camera import UPPER_BODY, WHOLE_BODY
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
    options = parser.parse_args(arguments)
    if options.seed < 0:
        raise BadInput("a --seed of 0 or more", str(options.seed), "give another")
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


if __name__ == "__main__":
    sys.exit(main())
