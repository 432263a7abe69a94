"""python -m training: make weights and judge them."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engines.bundle import check_target
from engines.common.command_line import Parser, run_command
from engines.common.errors import BadInput

if TYPE_CHECKING:
    from training.recipes import Recipe

DEVICES = ("auto", "cpu", "cuda")
RECIPE_NAMES = ("paper", "code", "small")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_command(_parser(), arguments, _need_extras)


def _parser() -> Parser:
    parser = Parser(prog="python -m training", description="train and evaluate")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("train", help="train on labelled clips, in MA-52's list format")
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the videos")
    command.add_argument("--train-list", type=Path, required=True, metavar="FILE", help="`name.mp4 index` a line")
    command.add_argument("--val-list", type=Path, metavar="FILE", help="scored after each epoch")
    command.add_argument(
        "--label-vectors",
        type=Path,
        metavar="FILE",
        help=".npy (52, 300), or a GloVe text file; needed unless --no-embedding",
    )
    command.add_argument("--data-name", default="MA-52", help="what the clips are, for the model card (MA-52)")
    command.add_argument("--alpha", type=float, help="weight of the embedding loss (the recipe's)")
    command.add_argument("--no-embedding", action="store_true", help="without label embedding (Table V, w/o emb)")
    _add_training(command, recipe="paper", depth=50, width=64, size=224)
    command.set_defaults(run=_train)

    command = commands.add_parser("simulate", help="train a landmark model on simulated interviews")
    command.add_argument("--sessions", type=int, default=2000, help="simulated sessions (2000)")
    command.add_argument("--seconds", type=float, default=30.0, help="length of a session (30)")
    command.add_argument("--windows", type=int, default=20000, help="windows per epoch (20000)")
    command.add_argument(
        "--focus", type=float, default=0.5, help="middle share of a window that it is asked about, 0.05 to 1 (0.5)"
    )
    command.add_argument("--cache", type=Path, metavar="DIR", help="folder for drawings, packed (OUT/drawings)")
    command.add_argument("--draw-workers", type=int, default=2, help="processes that draw the sessions beforehand (2)")
    _add_training(command, recipe="small", depth=18, width=16, size=112)
    command.set_defaults(run=_simulate)

    command = commands.add_parser("evaluate-simulated", help="score a landmark model on sessions never trained on")
    command.add_argument("model", metavar="MODEL", help="bundle (name or folder)")
    command.add_argument("--sessions", type=int, default=20, help="of each mode (20)")
    command.add_argument("--seconds", type=float, default=60.0, help="length of a session (60)")
    command.add_argument("--mode", choices=("natural", "balanced", "idle"), help="(all three)")
    command.add_argument("--focus", type=float, default=0.5, help="as in training (0.5)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", type=Path, metavar="FILE.csv", help="scores of each action")
    command.add_argument("--threads", type=int, help="CPU threads (of each process 1)")
    command.add_argument("--workers", type=int, default=2, help="processes that play the sessions (2)")
    command.set_defaults(run=_evaluate_simulated)

    command = commands.add_parser("emotion", help="train an emotion model on labelled videos")
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the videos")
    command.add_argument(
        "--list", type=Path, required=True, metavar="FILE.csv", help="video,emotion,actions,subject a line"
    )
    command.add_argument("--held-list", type=Path, metavar="FILE.csv", help="to score; other subjects than --list's")
    command.add_argument(
        "--held-out",
        type=float,
        default=0.2,
        help="share of the videos, of subjects of their own, to score where no --held-list is (0.2)",
    )
    command.add_argument("--data-name", default="emotion videos", help="what they are, for the model card")
    command.add_argument("--view", choices=("rgb", "landmarks"), default="landmarks", help="(landmarks)")
    command.add_argument("--prepared", type=Path, metavar="DIR", help="folder for prepared videos (OUT/prepared)")
    _add_emotion(command)
    command.set_defaults(run=_emotion)

    command = commands.add_parser("simulate-emotion", help="train an emotion model on simulated interviews")
    command.add_argument("--sessions", type=int, default=3000, help="simulated sessions (3000)")
    command.add_argument("--stretches", type=int, default=3, help="stretches of each (3)")
    command.add_argument("--cache", type=Path, metavar="DIR", help="folder for drawings (OUT/stretches)")
    command.add_argument("--draw-workers", type=int, default=2, help="processes that draw beforehand (2)")
    _add_emotion(command)
    command.set_defaults(run=_simulate_emotion)

    command = commands.add_parser("evaluate-emotion", help="score an emotion model on interviews never trained on")
    command.add_argument("model", metavar="MODEL", help="bundle (name or folder)")
    command.add_argument("--list", type=Path, metavar="FILE.csv", help="labelled videos (simulated interviews)")
    command.add_argument("--data", type=Path, metavar="DIR", help="folder of those videos")
    command.add_argument("--prepared", type=Path, metavar="DIR", help="folder for prepared videos (OUT/prepared)")
    command.add_argument("--sessions", type=int, default=400, help="simulated sessions (400)")
    command.add_argument("--stretches", type=int, default=3, help="stretches of each (3)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--cache", type=Path, metavar="DIR", help="folder for drawings (OUT/stretches)")
    command.add_argument("--draw-workers", type=int, default=2, help="processes that draw beforehand (2)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the scores")
    command.add_argument("--threads", type=int, help="CPU threads (the runtime's choice)")
    command.set_defaults(run=_evaluate_emotion)

    command = commands.add_parser("evaluate", help="score a model on labelled clips; pictures; a submission")
    command.add_argument("model", metavar="MODEL", help="bundle (name or folder) or state.pt")
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the videos")
    command.add_argument("--list", type=Path, required=True, metavar="FILE", help="`name.mp4 index` a line")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for scores and pictures")
    command.add_argument("--pictures", type=int, default=6, help="clips to plot the probabilities of (6)")
    command.add_argument("--workers", type=int, default=0, help="processes that read videos (0)")
    command.add_argument("--device", choices=DEVICES, default="auto", help="(CUDA where there is one)")
    command.set_defaults(run=_evaluate)
    return parser


def _add_training(command: argparse.ArgumentParser, recipe: str, depth: int, width: int, size: int) -> None:
    """What every kind of training has."""
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for checkpoint and curves")
    command.add_argument("--bundle", type=Path, metavar="DIR", help="bundle to make (OUT/model)")
    command.add_argument("--recipe", choices=RECIPE_NAMES, default=recipe, help=f"({recipe})")
    command.add_argument("--epochs", type=int, help="(the recipe's)")
    command.add_argument("--stop-after", type=int, metavar="N", help="end after N epochs of that schedule (all)")
    command.add_argument("--init", metavar="MODEL", help="bundle or state.pt whose weights to start from (random ones)")
    command.add_argument("--batch-size", type=int, help="(the recipe's)")
    command.add_argument("--learning-rate", type=float, help="(the recipe's)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--depth", type=int, default=depth, choices=(18, 34, 50), help=f"({depth})")
    command.add_argument("--width", type=int, default=width, help=f"channels of the stem, a multiple of 8 ({width})")
    command.add_argument("--length", type=int, default=8, choices=(4, 8, 16), help="T, frames per clip (8; Table III)")
    command.add_argument("--size", type=int, default=size, help=f"pixels ({size})")
    command.add_argument("--no-se", action="store_true", help="without squeeze-and-excitation (Table V, w/o SE)")
    command.add_argument("--workers", type=int, default=0, help="processes that prepare examples (0)")
    command.add_argument("--threads", type=int, help="CPU threads (all)")
    command.add_argument("--device", choices=DEVICES, default="auto", help="(CUDA where there is one)")
    command.add_argument("--save-every", type=int, metavar="N", help="batches between checkpoints (one a minute)")
    command.add_argument("--resume", action="store_true", help="continue the run in --out, if there is one")


def _add_emotion(command: argparse.ArgumentParser) -> None:
    """What every kind of emotion training has."""
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for states and curves")
    command.add_argument("--bundle", type=Path, metavar="DIR", help="bundle to make (OUT/model)")
    command.add_argument("--recipe", choices=RECIPE_NAMES, default="small", help="(small)")
    command.add_argument("--epochs", type=int, help="(the recipe's)")
    command.add_argument("--batch-size", type=int, help="(the recipe's; 3 in the paper)")
    command.add_argument("--learning-rate", type=float, help="(the recipe's)")
    command.add_argument("--beta", type=float, default=0.03, help="weight of the emotion loss (0.03, as in the paper)")
    command.add_argument(
        "--branches", choices=("full", "face", "action"), default="full", help="both, or one alone (full; Table VI)"
    )
    command.add_argument("--no-lower-limb", action="store_true", help="without the labels D and G (Table VII)")
    command.add_argument("--no-class-weights", action="store_true", help="let frequent emotions count for more")
    command.add_argument(
        "--init-body",
        metavar="MODEL",
        help="micro-action model whose weights the micro-action branch starts from (random ones)",
    )
    command.add_argument("--freeze-body", action="store_true", help="and keeps: faster by far")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--depth", type=int, default=18, choices=(18, 34, 50), help="of both branches (18)")
    command.add_argument("--width", type=int, default=16, help="channels of the body's stem, a multiple of 8 (16)")
    command.add_argument("--face-width", type=int, default=8, help="channels of the face's stem (8)")
    command.add_argument("--size", type=int, default=112, help="pixels of the body (112)")
    command.add_argument("--face-size", type=int, default=64, help="pixels of the face (64)")
    command.add_argument("--span", type=float, default=3.8, help="seconds of a stretch, 0.5 to 30 (3.8)")
    command.add_argument("--no-se", action="store_true", help="without squeeze-and-excitation")
    command.add_argument("--threads", type=int, help="CPU threads (all)")
    command.add_argument("--resume", action="store_true", help="continue the run in --out, if there is one")


def _emotion(options: argparse.Namespace) -> None:
    from training.emotion.commands import train_on_videos

    _check_emotion(options)
    if not 0.0 < options.held_out < 1.0:
        raise BadInput("--held-out between 0 and 1", f"{options.held_out:g}", "leave it out for the default")
    train_on_videos(options, _recipe(options))


def _simulate_emotion(options: argparse.Namespace) -> None:
    from training.emotion.commands import simulate_emotion

    _check_emotion(options)
    simulate_emotion(options, _recipe(options))


def _evaluate_emotion(options: argparse.Namespace) -> None:
    from training.emotion.commands import evaluate_emotion

    _check_numbers(options)
    evaluate_emotion(options)


def _check_emotion(options: argparse.Namespace) -> None:
    _check_training(options)
    options.alpha, options.no_embedding = None, True
    if not 0.5 <= options.span <= 30.0:
        raise BadInput("--span of 0.5 to 30 s", f"{options.span:g}", "leave it out for the default")
    if not 0.0 <= options.beta < math.inf:
        raise BadInput("--beta of 0 or more", f"{options.beta:g}", "leave it out for the paper's")
    if options.freeze_body and (options.init_body is None or options.branches == "face"):
        raise BadInput("--init-body with --freeze-body, and a micro-action branch", "none", "leave --freeze-body out")


def _train(options: argparse.Namespace) -> None:
    from training.commands import train_clips

    _check_training(options)
    if options.alpha is not None and not 0 <= options.alpha < math.inf:
        raise BadInput("--alpha of 0 or more", f"{options.alpha:g}", "see MANet paper, Table IV")
    train_clips(options, _recipe(options))


def _simulate(options: argparse.Namespace) -> None:
    from training.commands import train_simulated

    _check_training(options)
    _check_sessions(options)
    options.alpha, options.no_embedding = None, True
    train_simulated(options, _recipe(options))


def _evaluate_simulated(options: argparse.Namespace) -> None:
    from rich.console import Console

    from engines.bundle import Bundle, find
    from simulation.interview import MODES
    from training.evaluate_simulated import evaluate_simulated

    _check_numbers(options)
    _check_sessions(options)
    modes = MODES if options.mode is None else (options.mode,)
    evaluate_simulated(
        Bundle.load(find(options.model)),
        modes,
        options.sessions,
        options.seconds,
        options.seed,
        Console(),
        focus=options.focus,
        threads=options.threads or 0,
        workers=options.workers,
        out=options.out,
    )


def _evaluate(options: argparse.Namespace) -> None:
    from rich.console import Console

    from training.evaluate import evaluate
    from training.lists import read_list

    _check_numbers(options)
    entries = read_list(options.list, options.data)
    evaluate(
        options.model,
        entries,
        options.data,
        options.out,
        Console(),
        pictures=options.pictures,
        workers=options.workers,
        device=options.device,
    )


def _check_training(options: argparse.Namespace) -> None:
    _check_numbers(options)
    options.bundle = options.bundle or options.out / "model"
    check_target(options.bundle, options.resume)


def _check_sessions(options: argparse.Namespace) -> None:
    if not 5.0 <= options.seconds <= 3600.0:
        raise BadInput("--seconds of 5 to 3600", f"{options.seconds:g}", "leave it out for the default")
    if not 0.05 <= options.focus <= 1.0:
        raise BadInput("--focus of 0.05 to 1", f"{options.focus:g}", "leave it out for the default")


def _check_numbers(options: argparse.Namespace) -> None:
    positive = {
        "epochs",
        "stop_after",
        "batch_size",
        "learning_rate",
        "threads",
        "save_every",
        "sessions",
        "windows",
        "stretches",
        "face_width",
        "face_size",
    }
    for name, value in vars(options).items():
        if name in positive and value is not None and not 0 < value < math.inf:
            raise BadInput(f"--{name.replace('_', '-')} above 0", f"{value:g}", "leave it out for the default")
        if name in {"seed", "workers", "draw_workers", "pictures"} and value < 0:
            raise BadInput(f"--{name.replace('_', '-')} of 0 or more", str(value), "leave it out for the default")


def _recipe(options: argparse.Namespace) -> Recipe:
    from training.recipes import RECIPES

    recipe = RECIPES[options.recipe]
    changes = {name: getattr(options, name) for name in ("epochs", "batch_size", "learning_rate")}
    recipe = replace(recipe, **{name: value for name, value in changes.items() if value is not None})
    alpha = 0.0 if options.no_embedding else options.alpha
    return recipe if alpha is None else replace(recipe, loss=replace(recipe.loss, alpha=alpha))


def _need_extras() -> None:
    missing = [name for name in ("torch", "onnx", "onnxscript", "matplotlib", "sklearn") if find_spec(name) is None]
    if missing:
        raise BadInput(
            "the packages that training needs", f"no {missing[0]}", "install the extra: pip install manet-live[train]"
        )


if __name__ == "__main__":
    sys.exit(main())
