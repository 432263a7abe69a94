"""python -m engines: make, convert and compare model bundles."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.bundle import Bundle, check_target, find, known
from engines.card import (
    NAME_PATTERN,
    OFFICIAL_SPAN_S,
    OFFICIAL_TEMPERATURE,
    RESEARCH_USE,
    Calibration,
    ModelCard,
    Provenance,
)
from engines.common.command_line import Parser, run_command
from engines.common.errors import BadInput
from engines.compare import compare_bundles
from engines.runtimes import RUNTIMES, available
from engines.runtimes.nvidia.library import LIBRARIES
from engines.spec import AnySpec, EmotionSpec, NetworkSpec

if TYPE_CHECKING:
    from engines.networks.maenet import MAENet
    from engines.networks.manet import MANet

UNTRAINED_USE = "Exercising the program without a trained model. Its scores mean nothing."
UNTRAINED = "nothing: untrained"
OFFICIAL_BASIS = "makes the official checkpoint's mean confidence equal its MA-52 test accuracy; not calibrated here"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_command(_parser(), arguments)


def _parser() -> Parser:
    parser = Parser(prog="python -m engines", description="make, convert and compare model bundles")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("import", help="an official MANet checkpoint into a bundle")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    _add_target(command)
    command.add_argument("--no-embedding", action="store_true", help="leave out the label-embedding head")
    command.add_argument(
        "--length", type=int, default=8, choices=(4, 8, 16), help="frames per clip it was trained with (8)"
    )
    command.set_defaults(run=_import)

    command = commands.add_parser("init", help="a bundle with seeded UNTRAINED weights")
    _add_target(command)
    default = NetworkSpec()
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--network",
        choices=("manet", "maenet"),
        default="manet",
        help="micro-actions alone, or emotions from face and micro-actions (manet)",
    )
    command.add_argument("--depth", type=int, default=default.depth, choices=(18, 34, 50))
    command.add_argument("--width", type=int, default=default.width, help="channels of the stem, a multiple of 8 (64)")
    command.add_argument("--length", type=int, choices=(4, 8, 16), help="frames per clip (8; of a maenet 16, always)")
    command.add_argument("--size", type=int, default=default.size, help="pixels (224)")
    command.add_argument("--no-embedding", action="store_true", help="leave out the label-embedding head")
    command.add_argument("--view", choices=("rgb", "landmarks"), default="rgb", help="what it would be shown (rgb)")
    command.add_argument(
        "--branches",
        choices=("full", "face", "action"),
        default="full",
        help="of a maenet: both, or one alone (full; Table VI)",
    )
    command.add_argument("--face-size", type=int, default=64, help="of a maenet: pixels of the face (64)")
    command.add_argument("--face-width", type=int, help="of a maenet: channels of the face branch's stem (--width)")
    command.add_argument(
        "--no-lower-limb",
        action="store_true",
        help="of a maenet: without the actions of the lower limbs, D and G (Table VII)",
    )
    command.set_defaults(run=_init)

    command = commands.add_parser(
        "export",
        help="a bundle again, under another name, in fp16 or without the "
        "embedding head; or its weights as an official checkpoint",
    )
    command.add_argument("bundle", metavar="BUNDLE", help="name or folder")
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="DIR", help="folder to make")
    target.add_argument("--official", type=Path, metavar="FILE.pth", help="checkpoint to write, official layout")
    command.add_argument("--name", help="the new bundle's name (the folder's)")
    command.add_argument("--no-embedding", action="store_true", help="leave out the label-embedding head")
    command.add_argument("--precision", choices=("fp32", "fp16"), default="fp32", help="of the new bundle (fp32)")
    command.add_argument("--overwrite", action="store_true", help="replace a bundle or checkpoint that is there")
    command.set_defaults(run=_export)

    command = commands.add_parser("build", help="a bundle's plan for NVIDIA GPUs, kept in its engines folder")
    command.add_argument("bundle", metavar="BUNDLE", help="name or folder")
    command.add_argument(
        "--runtime",
        choices=tuple(LIBRARIES),
        help="(tensorrt where it and a GPU are, else tensorrt-rtx, which builds without a GPU)",
    )
    command.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="refuse a bundle of another precision (the bundle's own)"
    )
    command.add_argument("--batch", type=int, default=1, metavar="N", help="most windows at once, 1 to 16 (1)")
    command.set_defaults(run=_build)

    command = commands.add_parser("compare", help="two runtimes of one bundle, or two bundles, on the same clips")
    command.add_argument("first", metavar="A", help="name or folder")
    command.add_argument("second", metavar="B", nargs="?", help="name or folder (A)")
    command.add_argument(
        "--runtimes",
        default=None,
        metavar="X[,Y]",
        help=f"of {', '.join(RUNTIMES)}, for A and B (all that are installed, each against the first)",
    )
    command.add_argument("--clips", nargs="+", type=Path, metavar="FILE", help="videos (seeded patterns)")
    command.add_argument("--count", type=int, default=8, help="how many patterns (8)")
    command.add_argument("--seed", type=int, default=1, help="of the patterns (1)")
    command.add_argument("--threads", type=int, default=0, help="CPU threads (0: each runtime's choice)")
    command.set_defaults(run=_compare)

    command = commands.add_parser("list", help="the runtimes and the models found here")
    command.set_defaults(run=_list)
    return parser


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    command.add_argument("--name", help="the bundle's name (the folder's)")
    command.add_argument("--overwrite", action="store_true", help="replace a bundle that is there")


def _import(options: argparse.Namespace) -> None:
    check_target(options.out, options.overwrite)
    _need_torch()
    from engines.networks.pretrained import network_from_official, read_checkpoint

    checkpoint = read_checkpoint(options.checkpoint)
    spec = NetworkSpec(length=options.length, embedding=not options.no_embedding)
    network = network_from_official(checkpoint.weights, spec)
    if checkpoint.trained:
        trained_on, use = "MA-52, as the checkpoint's publisher states", RESEARCH_USE
        calibration = Calibration(temperature=OFFICIAL_TEMPERATURE, basis=OFFICIAL_BASIS)
    else:  # written by `export --official` from untrained weights
        trained_on, use, calibration = UNTRAINED, UNTRAINED_USE, Calibration()
    provenance = Provenance(
        trained=checkpoint.trained,
        trained_on=trained_on,
        source=options.checkpoint.name,
        source_sha256=checkpoint.sha256,
        made_with=_made_with("import", options),
    )
    _write(network, options, _card(options, spec, provenance, use, calibration))


def _init(options: argparse.Namespace) -> None:
    check_target(options.out, options.overwrite)
    if options.seed < 0:
        raise BadInput("a seed of 0 or more", str(options.seed), "give --seed 0")
    emotions = options.network == "maenet"
    options.length = options.length or (16 if emotions else 8)
    branch = {
        "depth": options.depth,
        "width": options.width,
        "length": options.length,
        "size": options.size,
        "embedding": not (options.no_embedding or emotions),
    }
    face = branch | {"width": options.face_width or options.width, "size": options.face_size}
    try:
        spec = (
            emotion_spec(branch, face, options.branches, options.no_lower_limb)
            if emotions
            else msgspec.convert(branch, NetworkSpec)
        )
    except msgspec.ValidationError as error:
        raise BadInput("a network that can be built", str(error), "see python -m engines init --help") from None
    _need_torch()
    from engines.networks.initialise import initialise, initialise_emotion

    provenance = Provenance(
        trained=False, trained_on=UNTRAINED, seed=options.seed, made_with=_made_with("init", options)
    )
    card = _card(options, spec, provenance, UNTRAINED_USE, Calibration())
    if isinstance(spec, EmotionSpec):
        card = msgspec.structs.replace(card, span_s=round(OFFICIAL_SPAN_S / 8 * spec.length, 6))
        _write(initialise_emotion(spec, options.seed), options, card)
    else:
        _write(initialise(spec, options.seed), options, card)


def _export(options: argparse.Namespace) -> None:
    bundle = Bundle.load(find(options.bundle))
    _need_torch()
    from engines.export.onnx_export import network_from_onnx, write_bundle

    spec = bundle.card.manet
    if options.official:
        from engines.networks.pretrained import write_official

        network = network_from_onnx(spec, bundle.onnx_path)
        write_official(network, options.official, trained=bundle.card.trained, overwrite=options.overwrite)
        note = "" if spec.embedding else ", embedding head zero"
        print(f"{options.official}: official layout, from {bundle.card.name}{note}{_untrained(bundle)}")
        return
    check_target(options.out, options.overwrite)
    if options.no_embedding:
        spec = msgspec.structs.replace(spec, embedding=False)
    network = network_from_onnx(spec, bundle.onnx_path)
    card = msgspec.structs.replace(bundle.card, name=_name(options), network=spec)
    if options.precision == "fp32":
        _report(write_bundle(network, card, options.out, overwrite=options.overwrite))
        return
    from engines.export.float16 import half_bundle

    with tempfile.TemporaryDirectory() as folder:
        exported = write_bundle(network, card, Path(folder) / "fp32")
        _report(half_bundle(exported, options.out, card.name, overwrite=options.overwrite))


def _build(options: argparse.Namespace) -> None:
    from engines.runtimes.nvidia.command import build_plan

    print(build_plan(Bundle.load(find(options.bundle)), options.runtime, options.precision, options.batch))


def _compare(options: argparse.Namespace) -> None:
    first = Bundle.load(find(options.first))
    second = Bundle.load(find(options.second)) if options.second else first
    names = options.runtimes.split(",") if options.runtimes else []
    compare_bundles(
        first,
        second,
        names,
        videos=options.clips or [],
        count=options.count,
        seed=options.seed,
        threads=options.threads,
        write=print,
    )


def _list(_: argparse.Namespace) -> None:
    print("runtimes")
    for name, found in available().items():
        print(f"  {name:<14}{found}")
    print("models")
    for name, path in known().items():
        try:
            card = Bundle.load(path).card
        except BadInput as error:
            print(f"  {name}: broken: {error}")
            continue
        state = f"trained on {card.provenance.trained_on}" if card.trained else "UNTRAINED"
        print(f"  {name}: {_network(card.network)} over {card.span_s:g} s, {card.view}, {card.precision}, {state}")


def _network(spec: AnySpec) -> str:
    if isinstance(spec, NetworkSpec):
        return f"MANet-{spec.depth}, {spec.length} x {spec.size} x {spec.size}"
    parts = [
        f"{name} {branch.size} x {branch.size}"
        for name, branch in (("body", spec.body), ("face", spec.face))
        if branch is not None
    ]
    return f"MAENet-{spec.branches[0].depth}, {spec.length} x ({', '.join(parts)})"


def emotion_spec(body: dict[str, object], face: dict[str, object], branches: str, no_lower_limb: bool) -> EmotionSpec:
    """A MAENet from its branches' fields and "full", "face" or "action". Raises msgspec.ValidationError."""
    return msgspec.convert(
        {
            "body": None if branches == "face" else {**body, "architecture": "manet"},
            "face": None if branches == "action" else {**face, "architecture": "manet"},
            "lower_limb": not no_lower_limb,
        },
        EmotionSpec,
    )


def _card(
    options: argparse.Namespace, spec: AnySpec, provenance: Provenance, use: str, calibration: Calibration
) -> ModelCard:
    return ModelCard(
        name=_name(options),
        network=spec,
        provenance=provenance,
        intended_use=use,
        view=getattr(options, "view", "rgb"),
        calibration=calibration,
    )


def _name(options: argparse.Namespace) -> str:
    """--name, or the folder's; checked here because structs check their fields only when read."""
    name: str = options.name or options.out.resolve().name
    if not re.match(NAME_PATTERN, name):
        raise BadInput("a name of up to 64 letters, digits, '.', '_' and '-'", repr(name), "give another with --name")
    return name


def _write(network: MANet | MAENet, options: argparse.Namespace, card: ModelCard) -> None:
    from engines.export.onnx_export import write_bundle

    _report(write_bundle(network, card, options.out, overwrite=options.overwrite))


def _report(bundle: Bundle) -> None:
    megabytes = bundle.onnx_path.stat().st_size / 1e6
    print(f"{bundle.path}: {bundle.card.name}, {megabytes:.1f} MB{_untrained(bundle)}")


def _untrained(bundle: Bundle) -> str:
    return "" if bundle.card.trained else ", UNTRAINED"


def _made_with(command: str, options: argparse.Namespace) -> str:
    """The command as typed, without folders: what another person needs to make the same bundle."""
    import torch

    words = ["python -m engines", command]
    keys = {"import": ("length",), "init": ("seed", "depth", "width", "length", "size", "view")}[command]
    words += [f"--{key} {getattr(options, key)}" for key in keys]
    words += ["--no-embedding"] if options.no_embedding else []
    return f"{' '.join(words)} (torch {torch.__version__})"


def _need_torch() -> None:
    availability = RUNTIMES["torch"].availability()
    if not availability:
        raise BadInput("torch and onnx for this command", str(availability), "only running a bundle works without")


if __name__ == "__main__":
    sys.exit(main())
