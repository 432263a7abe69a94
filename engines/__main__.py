"""python -m engines: make, convert and compare model bundles."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.bundle import Bundle, check_target, find, known
from engines.card import (
    NAME_PATTERN,
    RESEARCH_USE,
    Calibration,
    ModelCard,
    Parity,
    Provenance,
)
from engines.common.command_line import Parser, run_command
from engines.common.errors import BadInput
from engines.compare import compare_bundles
from engines.fetch import PUBLISHED, fetch
from engines.networks.registry import change_spec, make_spec, names
from engines.runtimes import RUNTIMES, available
from engines.runtimes.nvidia.library import LIBRARIES
from engines.specs.base import Spec

if TYPE_CHECKING:
    from engines.networks.contract import Network

    Commands = argparse._SubParsersAction[Parser]

UNTRAINED_USE = "Exercising the program without a trained model. Its scores mean nothing."
UNTRAINED = "nothing: untrained"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 failed, 2 bad usage or bad input."""
    return run_command(_parser(), arguments)


def _parser() -> Parser:
    parser = Parser(prog="python -m engines", description="make, convert and compare model bundles")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_import, _add_fetch, _add_init, _add_export, _add_build, _add_repository, _add_compare, _add_list):
        add(commands)
    return parser


def _add_import(commands: Commands) -> None:
    command = commands.add_parser("import", help="a published checkpoint into a bundle")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    _add_target(command)
    _add_network(command)
    command.set_defaults(run=_import)


def _add_fetch(commands: Commands) -> None:
    command = commands.add_parser("fetch", help="the weights that a network's authors publish, into a bundle")
    command.add_argument("published", choices=tuple(PUBLISHED))
    _add_target(command)
    command.set_defaults(run=_fetch)


def _add_init(commands: Commands) -> None:
    command = commands.add_parser("init", help="a bundle with seeded UNTRAINED weights")
    _add_target(command)
    _add_network(command)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--view", choices=("rgb", "landmarks"), default="rgb", help="what it would be shown (rgb)")
    command.set_defaults(run=_init)


def _add_export(commands: Commands) -> None:
    command = commands.add_parser(
        "export", help="a bundle again, under another name or in fp16; or its weights as a published checkpoint"
    )
    command.add_argument("bundle", metavar="BUNDLE", help="name or folder")
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="DIR", help="folder to make")
    target.add_argument("--checkpoint", type=Path, metavar="FILE.pth", help="checkpoint to write")
    command.add_argument("--layout", metavar="NAME", help="of the checkpoint (the network's first)")
    command.add_argument("--name", help="the new bundle's name (the folder's)")
    command.add_argument("--precision", choices=("fp32", "fp16"), default="fp32", help="of the new bundle (fp32)")
    command.add_argument("--overwrite", action="store_true", help="replace a bundle or checkpoint that is there")
    _add_settings(command, "leave out what the new bundle need not have")
    command.set_defaults(run=_export)


def _add_build(commands: Commands) -> None:
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
    command.add_argument("--batch", type=int, default=1, metavar="N", help="most windows at once, 1 to 64 (1)")
    command.set_defaults(run=_build)


def _add_repository(commands: Commands) -> None:
    command = commands.add_parser("repository", help="bundles as a model repository for Triton Inference Server")
    command.add_argument("bundles", metavar="MODEL", nargs="+", help="name or folder")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    command.set_defaults(run=_repository)


def _add_compare(commands: Commands) -> None:
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


def _add_list(commands: Commands) -> None:
    command = commands.add_parser("list", help="the runtimes, networks and models found here")
    command.add_argument("--json", action="store_true", help="print JSON: with parameters, GMACs and sampling")
    command.set_defaults(run=_list)


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    command.add_argument("--name", help="the bundle's name (the folder's)")
    command.add_argument("--overwrite", action="store_true", help="replace a bundle that is there")


def _add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument("--network", default="manet", metavar="NAME", help=f"of {', '.join(names())} (manet)")
    _add_settings(command, "a field of the network's spec, as width=32 or face.size=48; null leaves a part out")


def _add_settings(command: argparse.ArgumentParser, about: str) -> None:
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=about)


def _import(options: argparse.Namespace) -> None:
    check_target(options.out, options.overwrite)
    spec = make_spec(options.network, options.settings)
    _need_torch()
    from engines.networks.pretrained import load_checkpoint, read_checkpoint
    from engines.networks.registry import build

    checkpoint = read_checkpoint(options.checkpoint)
    network = build(spec)
    layout, loaded = load_checkpoint(network, checkpoint)
    trained = checkpoint.trained and not loaded.fresh  # what `export --checkpoint` writes says where it is untrained
    temperature, basis = network.published_temperature(layout) if trained else (1.0, Calibration().basis)
    provenance = Provenance(
        trained=trained,
        trained_on="MA-52, as the checkpoint's publisher states" if trained else UNTRAINED,
        source=options.checkpoint.name,
        source_sha256=checkpoint.sha256,
        made_with=_made_with("import", options),
    )
    use = RESEARCH_USE if trained else UNTRAINED_USE
    card = _card(options, spec, provenance, use, Calibration(temperature=temperature, basis=basis))
    _write(network, options, card)
    if loaded.foreign_head:
        print(f"left out: {loaded.foreign_head}, a classifier of other classes", file=sys.stderr)


def _fetch(options: argparse.Namespace) -> None:
    check_target(options.out, options.overwrite)
    _need_torch()
    published = PUBLISHED[options.published]
    print(published.licence, file=sys.stderr)
    options.checkpoint, options.network, options.settings = fetch(published), published.network, published.settings
    _import(options)


def _init(options: argparse.Namespace) -> None:
    check_target(options.out, options.overwrite)
    if options.seed < 0:
        raise BadInput("a seed of 0 or more", str(options.seed), "give --seed 0")
    spec = make_spec(options.network, options.settings)
    if options.view not in spec.views:
        raise BadInput(f"a view of {', '.join(spec.views)} for {spec.title}", options.view, "give another --view")
    _need_torch()
    from engines.networks.initialise import initialise

    made_with = _made_with("init", options)
    provenance = Provenance(trained=False, trained_on=UNTRAINED, seed=options.seed, made_with=made_with)
    card = _card(options, spec, provenance, UNTRAINED_USE, Calibration())
    _write(initialise(spec, options.seed), options, card)


def _export(options: argparse.Namespace) -> None:
    bundle = Bundle.load(find(options.bundle))
    spec = change_spec(bundle.card.network, options.settings)
    _need_torch()
    from engines.export.onnx_export import TOLERANCES
    from engines.export.weights import read_network

    if options.checkpoint:
        _export_checkpoint(bundle, options)
        return
    check_target(options.out, options.overwrite)
    parity = Parity(TOLERANCES["fp16"]) if options.precision == "fp16" else Parity()
    card = msgspec.structs.replace(
        bundle.card, name=_name(options), network=spec, precision=options.precision, parity=parity
    )
    _write(read_network(bundle, spec), options, card)


def _export_checkpoint(bundle: Bundle, options: argparse.Namespace) -> None:
    from engines.export.weights import read_network
    from engines.networks.pretrained import write_checkpoint

    network = read_network(bundle)
    layout = options.layout or next(iter(network.pretrained_layouts()), "")
    write_checkpoint(network, layout, options.checkpoint, trained=bundle.card.trained, overwrite=options.overwrite)
    print(f"{options.checkpoint}: {layout} layout, from {bundle.card.name}{_untrained(bundle)}")


def _build(options: argparse.Namespace) -> None:
    from engines.runtimes.nvidia.command import build_plan

    print(build_plan(Bundle.load(find(options.bundle)), options.runtime, options.precision, options.batch))


def _repository(options: argparse.Namespace) -> None:
    from engines.repository import write_repository

    names = write_repository([Bundle.load(find(one)) for one in options.bundles], options.out)
    print(f"{options.out}: {', '.join(names)}; README.md says how to start the server")


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


def _list(options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(_listed(), indent=2))
        return
    print("runtimes")
    for name, found in available().items():
        print(f"  {name:<14}{found}")
    print("networks")
    for name in names():
        print(f"  {name:<14}{make_spec(name).task}: {make_spec(name).title}")
    print("models")
    for name, path in known().items():
        try:
            card = Bundle.load(path).card
        except BadInput as error:
            print(f"  {name}: broken: {error}")
            continue
        state = f"trained on {card.provenance.trained_on}" if card.trained else "UNTRAINED"
        print(f"  {name}: {card.network.title} over {card.span_s:g} s, {card.view}, {card.precision}, {state}")


def _listed() -> dict[str, object]:
    """What `list --json` prints."""
    runtimes = {name: {"available": bool(found), "note": str(found)} for name, found in available().items()}
    models: dict[str, object] = {}
    for name, path in known().items():
        try:
            models[name] = msgspec.to_builtins(Bundle.load(path).card)
        except BadInput as error:
            models[name] = {"broken": str(error)}
    networks = {name: _listed_network(make_spec(name)) for name in names()}
    return {"runtimes": runtimes, "networks": networks, "models": models}


def _listed_network(spec: Spec) -> dict[str, object]:
    """A network as published; what it costs is counted where torch is installed."""
    found: dict[str, object] = {
        "task": spec.task,
        "inputs": spec.inputs,
        "outputs": spec.outputs,
        "sampling": msgspec.to_builtins(spec.sampling),
        "span_s": spec.span_s,
        "settings": msgspec.to_builtins(spec),
    }
    if RUNTIMES["torch"].availability():
        from engines.networks.cost import cost_of

        cost = cost_of(spec)
        found |= {"parameters": cost.parameters, "gmac": round(cost.multiplications / 1e9, 2)}
    return found


def _card(
    options: argparse.Namespace, spec: Spec, provenance: Provenance, use: str, calibration: Calibration
) -> ModelCard:
    return ModelCard(
        name=_name(options),
        network=spec,
        provenance=provenance,
        intended_use=use,
        view=getattr(options, "view", spec.views[0]),
        calibration=calibration,
        span_s=spec.span_s,
    )


def _name(options: argparse.Namespace) -> str:
    """--name, or the folder's; checked here because structs check their fields only when read."""
    name: str = options.name or options.out.resolve().name
    if not re.match(NAME_PATTERN, name):
        raise BadInput("a name of up to 64 letters, digits, '.', '_' and '-'", repr(name), "give another with --name")
    return name


def _write(network: Network, options: argparse.Namespace, card: ModelCard) -> None:
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

    words = ["python -m engines", command, "--network", options.network, *(f"--set {one}" for one in options.settings)]
    words += [f"--{key} {getattr(options, key)}" for key in ("seed", "view") if hasattr(options, key)]
    return f"{' '.join(words)} (torch {torch.__version__})"


def _need_torch() -> None:
    availability = RUNTIMES["torch"].availability()
    if not availability:
        raise BadInput("torch and onnx for this command", str(availability), "only running a bundle works without")


if __name__ == "__main__":
    sys.exit(main())
