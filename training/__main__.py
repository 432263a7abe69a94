"""python -m training: make weights and judge them."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from engines.bundle import Bundle, find
from engines.common.command_line import Parser, run_command
from engines.common.errors import BadInput
from engines.common.new_files import check_names_free
from engines.specs.sampling import FrameRule

if TYPE_CHECKING:
    from rich.progress import Progress

    from training.loop import Options
    from training.machine import Machine
    from training.recipe import Recipe

DEVICES = ("auto", "cpu", "cuda")
AT_LEAST = {"sessions": 1, "windows": 1, "threads": 1, "save_every": 1} | dict.fromkeys(
    ("seed", "workers", "draw_workers", "pictures"), 0
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_command(_parser(), arguments, _need_extras)


def _parser() -> Parser:
    parser = Parser(prog="python -m training", description="train and evaluate")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("run", help="train by a recipe: from data to a bundle with calibration and report")
    command.add_argument("recipe", metavar="RECIPE", help="a .toml file, or the name of a shipped one")
    command.add_argument("--resume", action="store_true", help="continue the run in --out, if there is one")
    _add_training(command)
    command.set_defaults(run=_run)

    _add_comparisons(commands)
    _add_evaluations(commands)
    _add_simulated_evaluations(commands)
    return parser


def _add_evaluations(commands: argparse._SubParsersAction[Parser]) -> None:
    command = commands.add_parser("evaluate", help="score a model on labelled clips; pictures; a submission")
    command.add_argument("model", metavar="MODEL", help="bundle (name or folder) or state.pt")
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the videos")
    command.add_argument("--list", type=Path, required=True, metavar="FILE", help="`name.mp4 index` a line")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for scores and pictures")
    command.add_argument("--against", metavar="MODEL", help="another model, beside it in the table and the pictures")
    command.add_argument("--engine", metavar="NAME", help="score what is deployed: auto, openvino ... (torch, fp32)")
    command.add_argument("--frames", choices=get_args(FrameRule), default="even", help="of a clip (even)")
    command.add_argument("--pictures", type=int, default=6, help="clips to plot the probabilities of (6)")
    command.add_argument("--workers", type=int, default=0, help="processes that read videos (0)")
    _add_machine(command)
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("statistics", help="clips and durations of each action in a list")
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the videos")
    command.add_argument("--list", type=Path, required=True, metavar="FILE", help="`name.mp4 index` a line")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the table and the picture")
    command.set_defaults(run=_statistics)

    command = commands.add_parser("evaluate-untrimmed", help="score a model on untrimmed videos: windows and events")
    command.add_argument("model", metavar="MODEL", help="bundle (name or folder)")
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the videos")
    command.add_argument(
        "--list", type=Path, required=True, metavar="FILE", help="intervals: .csv, or ActivityNet's .json"
    )
    command.add_argument("--engine", default="auto", metavar="NAME", help="what runs it (the fastest that agrees)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the scores")
    command.set_defaults(run=_evaluate_untrimmed)


def _add_simulated_evaluations(commands: argparse._SubParsersAction[Parser]) -> None:
    command = commands.add_parser("evaluate-simulated", help="score a landmark model on sessions never trained on")
    command.add_argument("model", metavar="MODEL", help="bundle (name or folder)")
    command.add_argument("--seconds", type=float, default=60.0, help="length of a session (60)")
    command.add_argument("--mode", choices=("natural", "balanced", "idle"), help="(all three)")
    command.add_argument("--focus", type=float, default=0.5, help="as in training (0.5)")
    command.add_argument("--against", metavar="MODEL", help="another model, and the difference on the same sessions")
    command.add_argument("--out", type=Path, metavar="FILE.csv", help="scores of each action")
    command.add_argument("--workers", type=int, default=2, help="processes that play the sessions (2)")
    _add_sessions(command, 20, "of each mode")
    command.set_defaults(run=_evaluate_simulated)

    command = commands.add_parser("evaluate-emotion", help="score an emotion model on interviews never trained on")
    command.add_argument("model", metavar="MODEL", help="bundle (name or folder)")
    command.add_argument("--list", type=Path, metavar="FILE.csv", help="labelled videos (simulated interviews)")
    command.add_argument("--data", type=Path, metavar="DIR", help="folder of those videos")
    command.add_argument("--whole", action="store_true", help="T pictures of each whole video (windows of it)")
    command.add_argument("--windows", type=int, default=3, help="emotion windows of each simulated session (3)")
    command.add_argument("--cache", type=Path, metavar="DIR", help="folder for drawings, prepared videos (OUT/cache)")
    command.add_argument("--draw-workers", type=int, default=2, help="processes that draw beforehand (2)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the scores")
    _add_sessions(command, 400, "simulated")
    command.set_defaults(run=_evaluate_emotion)


def _add_comparisons(commands: argparse._SubParsersAction[Parser]) -> None:
    command = commands.add_parser("compare", help="train, score and time several recipes; continues where it stood")
    command.add_argument("--recipes", required=True, metavar="A,B", help="names of shipped ones, or .toml files")
    _add_training(command)
    command.set_defaults(run=_compare)

    command = commands.add_parser("tables", help="the same of the rows of a table of MANet's paper")
    command.add_argument("table", choices=("III", "IV", "V", "VI", "VII"), help="ablations of MANet (III-V) or MAENet")
    command.add_argument("--recipe", metavar="RECIPE", help="that the rows change (as in the paper)")
    command.add_argument("--simulated", action="store_true", help="VI, VII: small, on simulated interviews")
    _add_training(command)
    command.set_defaults(run=_tables)


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, metavar="DIR", help="folder of the data (the recipe's data.folder)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for all that is made")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe: optimiser.epochs=2"
    )
    command.add_argument("--cache", type=Path, metavar="DIR", help="folder for drawings, prepared videos (OUT/cache)")
    command.add_argument("--workers", type=int, default=0, help="processes that prepare examples (0)")
    command.add_argument("--draw-workers", type=int, default=2, help="processes that draw or judge sessions (2)")
    command.add_argument("--save-every", type=int, metavar="N", help="batches between checkpoints (one a minute)")
    _add_machine(command)


def _add_machine(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=int, help="CPU threads (all)")
    command.add_argument("--device", choices=DEVICES, default="auto", help="(CUDA where there is one)")


def _add_sessions(command: argparse.ArgumentParser, sessions: int, which: str) -> None:
    command.add_argument("--sessions", type=int, default=sessions, help=f"{which} ({sessions})")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--threads", type=int, help="CPU threads (the runtime's choice)")


def _run(options: argparse.Namespace) -> None:
    from training.recipe import read_recipe
    from training.run import run

    _check_numbers(options)
    recipe = read_recipe(options.recipe, options.set, options.data)
    with _training(options, options.resume) as (machine, how):
        run(recipe, machine, how)


def _compare(options: argparse.Namespace) -> None:
    from training.recipe import read_recipe

    names = [name for name in options.recipes.split(",") if name]
    _compare_recipes({Path(name).stem: read_recipe(name, options.set, options.data) for name in names}, options)


def _tables(options: argparse.Namespace) -> None:
    from training.ablations import SIMULATED, TABLES
    from training.recipe import read_recipe

    tables = SIMULATED if options.simulated else TABLES
    if options.table not in tables:
        raise BadInput(f"--simulated with table {' or '.join(tables)}", options.table, "leave --simulated out")
    table = tables[options.table]
    rows = {name: (options.recipe or table.recipe, changes) for name, changes in table.rows.items()}
    rows |= {name: (recipe, ()) for name, recipe in table.others.items()}
    recipes = {
        name: read_recipe(recipe, (*options.set, *changes), options.data) for name, (recipe, changes) in rows.items()
    }
    _compare_recipes(recipes, options)


def _compare_recipes(recipes: dict[str, Recipe], options: argparse.Namespace) -> None:
    from training.compare import TEXT_FILE, compare

    _check_numbers(options)
    if not recipes:
        raise BadInput("--recipes A,B", repr(options.recipes), "name one or more")
    with _training(options, resume=True) as (machine, how):
        compare(recipes, machine, how)
    print((options.out / TEXT_FILE).read_text(encoding="utf-8"), end="")


@contextmanager
def _training(options: argparse.Namespace, resume: bool) -> Iterator[tuple[Machine, Options]]:
    """Where and how to train, with bars."""
    from training.loop import Options, progress_bar
    from training.machine import Machine

    cache = options.cache or options.out / "cache"
    with progress_bar() as progress:
        machine = Machine(
            options.out, cache, options.workers, options.draw_workers, options.threads or 0, partial(_report, progress)
        )
        yield machine, Options(resume, options.device, options.save_every, progress)


def _evaluate(options: argparse.Namespace) -> None:
    from training.data.clip_lists import read_list
    from training.evaluate import Scored, evaluate

    _check_numbers(options)
    entries = read_list(options.list, options.data)
    scored = Scored(entries, options.data, options.frames, options.engine, options.workers, options.device)
    evaluate(options.model, scored, options.out, pictures=options.pictures, against=options.against)


def _statistics(options: argparse.Namespace) -> None:
    from training.data.clip_lists import read_list
    from training.list_statistics import describe_list

    describe_list(read_list(options.list, options.data), options.data, options.out)


def _evaluate_untrimmed(options: argparse.Namespace) -> None:
    from training.evaluate_untrimmed import evaluate_untrimmed

    evaluate_untrimmed(options.model, options.list, options.data, options.engine, options.out)


def _evaluate_simulated(options: argparse.Namespace) -> None:
    from simulation.interview import MODES
    from training.evaluate_simulated import SimulatedTest, evaluate_simulated

    _check_numbers(options)
    if not 5.0 <= options.seconds <= 3600.0:
        raise BadInput("--seconds of 5 to 3600", f"{options.seconds:g}", "leave it out for the default")
    if not 0.05 <= options.focus <= 1.0:
        raise BadInput("--focus of 0.05 to 1", f"{options.focus:g}", "leave it out for the default")
    test = SimulatedTest(
        options.sessions, options.seconds, options.seed, options.focus, options.threads or 0, options.workers
    )
    modes = MODES if options.mode is None else (options.mode,)
    against = None if options.against is None else Bundle.load(find(options.against))
    evaluate_simulated(Bundle.load(find(options.model)), modes, test, options.out, against)


def _evaluate_emotion(options: argparse.Namespace) -> None:
    from training.evaluate_emotion import SCORES_FILES, evaluate_interviews, evaluate_videos
    from training.loop import progress_bar
    from training.machine import Machine

    _check_numbers(options)
    bundle = Bundle.load(find(options.model))
    bundle.card.need("emotion")
    check_names_free(options.out, SCORES_FILES, "--out")
    cache = options.cache or options.out / "cache"
    with progress_bar() as progress:
        machine = Machine(options.out, cache, 0, options.draw_workers, options.threads or 0, partial(_report, progress))
        if options.list is None:
            evaluate_interviews(bundle, options.sessions, options.windows, options.seed, machine)
        elif options.data is None:
            raise BadInput("--data with --list", "none", "give the folder of the videos")
        else:
            evaluate_videos(bundle, options.list, options.data, machine, options.whole)


def _check_numbers(options: argparse.Namespace) -> None:
    for name, least in AT_LEAST.items():
        value = getattr(options, name, None)
        if value is not None and not least <= value < math.inf:
            raise BadInput(
                f"--{name.replace('_', '-')} of {least} or more", f"{value:g}", "leave it out for the default"
            )


def _report(progress: Progress, stage: str, done: int, total: int) -> None:
    """A bar for each stage of the work."""
    task = next((one.id for one in progress.tasks if one.description == stage), None)
    if task is None:
        task = progress.add_task(stage, total=total, loss="")
    progress.update(task, completed=done, total=total)


def _need_extras() -> None:
    wanted = ("torch", "onnx", "onnxscript", "matplotlib", "sklearn", "scipy", "safetensors")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise BadInput(
            "the packages that training needs", f"no {missing[0]}", "install the extra: pip install manet-live[train]"
        )


if __name__ == "__main__":
    sys.exit(main())
