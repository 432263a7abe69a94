"""python -m calibration: probabilities and thresholds one can act on."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID

from calibration.baseline import measure_benefit
from calibration.quantize import MOST_RANGED, Settings, check_count, describe, quantize
from calibration.ranges import METHODS
from calibration.reliability import LIKELY, plot, read_scores, reliability
from calibration.windows import Windows, read_labels, simulated_windows, video_windows
from engines.bundle import Bundle, check_target, find
from engines.card import Calibration
from engines.common.command_line import Parser, run_command
from engines.common.errors import BadInput
from engines.common.new_files import check_new_file
from events.fit_temperature import fit_temperature, with_temperature
from simulation.calibrate import (
    Report,
    ThresholdSettings,
    describe_emotion,
    describe_thresholds,
    emotion_calibration,
    thresholds_for,
)
from simulation.interview import BALANCED
from simulation.windows import FIT_SPLIT, judge_sessions, labelled_windows

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_command(_parser(), arguments)


def _parser() -> Parser:
    parser = Parser(prog="python -m calibration", description="fit what turns scores into events")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_temperature, _add_emotion, _add_quantize, _add_thresholds, _add_baseline):
        add(commands)
    return parser


def _add_temperature(commands: Commands) -> None:
    command = commands.add_parser("temperature", help="one temperature, so that 0.8 is right four times in five")
    _add_common(command, "bundle")
    command.add_argument(
        "--scores",
        type=Path,
        metavar="FILE.npz",
        help="labelled scores of an evaluation, half to fit on (without: simulated sessions)",
    )
    command.add_argument("--minutes", type=int, default=30, help="of simulated sessions to fit on (30)")
    command.add_argument("--plot", type=Path, metavar="FILE.png", help="reliability diagram, before and after")
    command.set_defaults(run=_temperature)


def _add_emotion(commands: Commands) -> None:
    command = commands.add_parser("emotion", help="temperature and interval width of the rolling emotion estimate")
    _add_common(command, "emotion bundle of the landmark view")
    command.add_argument("--minutes", type=int, default=60, help="of simulated emotional interviews to fit on (60)")
    command.set_defaults(run=_emotion)


def _add_quantize(commands: Commands) -> None:
    command = commands.add_parser("quantize", help="INT8 with explicit Q/DQ, for OpenVINO, ONNX Runtime and TensorRT")
    _add_common(command, "fp32 bundle")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", nargs="+", type=Path, metavar="FILE|DIR", help="videos like those it will see")
    source.add_argument("--simulated", action="store_true", help="simulated sessions, for models of the landmark view")
    command.add_argument("--labels", type=Path, metavar="LIST", help="lines of `name.mp4 index`, for accuracy as well")
    command.add_argument("--windows", type=int, default=640, metavar="N", help="at most, ranges and judging (640)")
    command.add_argument("--ranges", choices=METHODS, default="percentile", help="of activations (percentile)")
    command.add_argument(
        "--lose",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="most windows whose top action or emotion may change, and most accuracy lost (0.01)",
    )
    command.set_defaults(run=_quantize)


def _add_thresholds(commands: Commands) -> None:
    command = commands.add_parser("thresholds", help="per-action enter and exit, on simulated validation sessions")
    _add_common(command, "bundle of the landmark view")
    command.add_argument("--minutes", type=int, default=120, help="of balanced sessions (120)")
    command.add_argument("--idle-minutes", type=int, default=480, help="of sitting still (480)")
    goal = command.add_mutually_exclusive_group()
    goal.add_argument(
        "--false-per-hour",
        type=float,
        default=3.0,
        metavar="N",
        help="most false events in an hour of sitting still, all actions together (3)",
    )
    goal.add_argument("--precision", type=float, metavar="SHARE", help="of an action's events that are to be right")
    command.add_argument("--workers", type=int, default=2, help="processes that play sessions, then try thresholds (2)")
    command.set_defaults(run=_thresholds)


def _add_baseline(commands: Commands) -> None:
    command = commands.add_parser(
        "baseline", help="what `run_live.py --baseline` changes with a model, on simulated people who rest unusually"
    )
    _add_common(command, "bundle of the landmark view", makes=False)
    command.add_argument("--rest", type=float, default=8.0, metavar="S", help="how long they sit still first (8)")
    command.add_argument("--minutes", type=int, default=30, help="of sitting still, and of interviews (30)")
    command.set_defaults(run=_baseline)


def _add_common(command: argparse.ArgumentParser, model: str, *, makes: bool = True) -> None:
    """What every command has, and what those have that make a bundle of `model`."""
    command.add_argument("model", metavar="MODEL", help=f"{model} (name or folder)")
    if makes:
        command.add_argument("--out", type=Path, required=True, metavar="DIR", help="bundle to write")
        command.add_argument("--name", metavar="NAME", help="of the new bundle (the folder's)")
        command.add_argument("--overwrite", action="store_true", help="replace the bundle in --out")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--threads", type=int, default=0, help="CPU threads (the runtime's choice)")


def _temperature(options: argparse.Namespace) -> None:
    _check(options)
    bundle = Bundle.load(find(options.model))
    if options.scores is not None:
        logits, labels = read_scores(options.scores)
        order = np.random.default_rng(options.seed).permutation(len(logits))
        fitted, held = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        fit_on, hold_out = (logits[fitted], labels[fitted]), (logits[held], labels[held])
        source = f"half of {len(logits)} labelled clips"
    else:
        fit_on, hold_out = (
            labelled_windows(
                bundle,
                list(judge_sessions(bundle, split, BALANCED, options.minutes, 60.0, options.seed, options.threads)),
            )
            for split in (FIT_SPLIT, "test")
        )
        source = f"{options.minutes} min of simulated validation sessions, seed {options.seed}"
    temperature = fit_temperature(bundle, *fit_on)
    both = (bundle, with_temperature(bundle, temperature))
    before, after = (reliability(one, *hold_out) for one in both)
    likely = [reliability(one, *hold_out, least=LIKELY) for one in both]
    calibration = msgspec.structs.replace(
        bundle.card.calibration,
        temperature=round(temperature, 4),
        enter=None,
        exit=None,
        basis=f"temperature: {source}; no thresholds",
    )
    if options.plot is not None:
        plot({"before": before, "after": after}, options.plot)
    made = _derive(options, bundle, calibration)
    print(
        f"{made.path}: temperature {temperature:.3f}; on held-out windows NLL {before.nll:.4f} to {after.nll:.4f}, "
        f"ECE {before.ece:.4f} to {after.ece:.4f}, of statements from {LIKELY:.0%} on {likely[0].ece:.4f} to "
        f"{likely[1].ece:.4f}, Brier {before.brier:.4f} to {after.brier:.4f}"
    )


def _emotion(options: argparse.Namespace) -> None:
    _check(options)
    bundle = Bundle.load(find(options.model))
    calibration, agreement = emotion_calibration(bundle, options.minutes, options.seed, options.threads)
    print(f"{_derive(options, bundle, calibration).path}: {describe_emotion(calibration, agreement)}")


def _derive(options: argparse.Namespace, bundle: Bundle, calibration: Calibration) -> Bundle:
    """The bundle in --out with this calibration."""
    name = options.name or options.out.resolve().name
    return bundle.derive(options.out, calibration=calibration, name=name, overwrite=options.overwrite)


@contextmanager
def _progress() -> Iterator[Report]:
    """Bars on a terminal, one for each stage."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        stages: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = progress.add_task(stage, total=total)
            progress.update(stages[stage], completed=done)

        yield report


def _quantize(options: argparse.Namespace) -> None:
    _check(options)
    if not 0.0 <= options.lose < 1.0:
        raise BadInput("--lose of 0 to below 1", f"{options.lose:g}", "leave it out for 0.01")
    bundle = Bundle.load(find(options.model))
    if options.labels is not None and options.simulated:
        raise BadInput("--labels with --clips", "--labels with --simulated, which knows its own", "leave out --labels")
    with _progress() as report:
        ranging, judging = _windows(options, bundle)
        name = options.name or options.out.resolve().name
        settings = Settings(name, options.ranges, options.lose, options.threads)
        made = quantize(bundle, options.out, ranging, judging, settings, report, overwrite=options.overwrite)
    print(f"{'layer':<22} {'127 is':>9} {'weights':>8} {'alone':>7}")
    for one in made.tried:
        weights = "" if math.isnan(one.weight_db) else f"{one.weight_db:.0f} dB"
        print(f"{one.layer.name:<22} {one.reach:9.3g} {weights:>8} {one.harm:7.2%}{'  left in fp32' * one.kept}")
    print(describe(made))


def _windows(options: argparse.Namespace, bundle: Bundle) -> tuple[Windows, Windows]:
    """Windows to measure ranges on, and others to judge by."""
    if options.simulated:
        check_count(options.windows)
        ranged = min(MOST_RANGED, options.windows // 2)
        return (
            simulated_windows(bundle.card, FIT_SPLIT, ranged, options.seed),
            simulated_windows(bundle.card, "test", options.windows - ranged, options.seed),
        )
    labels = None if options.labels is None else read_labels(options.labels)
    found = video_windows(bundle.card, options.clips, options.windows, labels)
    check_count(len(found))
    ranged = min(MOST_RANGED, len(found) // 2)
    return found.part(0, ranged), found.part(ranged, len(found))


def _check(options: argparse.Namespace) -> None:
    for name, least in (
        ("minutes", 1),
        ("idle_minutes", 1),
        ("seed", 0),
        ("threads", 0),
        ("workers", 0),
        ("windows", 1),
    ):
        value = getattr(options, name, least)
        if value < least:
            raise BadInput(f"--{name.replace('_', '-')} of {least} or more", str(value), "leave it out for the default")
    if hasattr(options, "out"):
        check_target(options.out, options.overwrite)
    if getattr(options, "plot", None) is not None:
        check_new_file(options.plot, "--plot")


def _baseline(options: argparse.Namespace) -> None:
    _check(options)
    bundle = Bundle.load(find(options.model))
    with _progress() as report:
        found = measure_benefit(
            bundle,
            options.rest,
            options.minutes,
            options.seed,
            options.threads,
            lambda done: report("sessions", done, options.minutes),
        )
    removed = "" if math.isnan(found.removed) else f" ({found.removed:.0%} fewer)"
    print(
        f"{bundle.card.name} with {options.rest:g} s of rest: {found.false_before} to {found.false_after} false "
        f"events{removed} in {found.hours:.2f} h of sitting still in unusual postures; event F1 "
        f"{found.f1_before:.3f} to {found.f1_after:.3f} macro over actions in as many hours of interviews; simulated "
        "people"
    )


def _thresholds(options: argparse.Namespace) -> None:
    _check(options)
    if not 0.0 <= options.false_per_hour < math.inf:
        raise BadInput("--false-per-hour of 0 or more", f"{options.false_per_hour:g}", "leave it out for the default")
    if options.precision is not None and not 0.0 < options.precision < 1.0:
        raise BadInput("--precision above 0 and below 1", f"{options.precision:g}", "give 0.8, for instance")
    bundle = Bundle.load(find(options.model))
    settings = ThresholdSettings(
        options.minutes, options.idle_minutes, options.false_per_hour, options.precision, options.seed
    )
    with _progress() as report:
        calibration, fit = thresholds_for(bundle, settings, options.threads, options.workers, report)
    print(f"{_derive(options, bundle, calibration).path}: {describe_thresholds(fit)}")


if __name__ == "__main__":
    sys.exit(main())
