"""python -m lab adapt: a bundle for one laboratory, where its own examples make the model better."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch

from engines.bundle import Bundle, check_target, find
from engines.card import MOST_LETTERS
from engines.common.errors import BadInput
from engines.common.printable import printable
from engines.export.onnx_export import write_bundle
from engines.export.weights import read_network
from engines.landmarks.recordings import RealSequence, load_sequences
from engines.networks.contract import LandmarkNetwork
from lab.adaptation import LEAST_EXAMPLES, Adapted, Heads, adapt, examples_of
from lab.adaptation_examples import session_examples
from lab.annotations import read_annotations
from lab.session_record import read_session
from lab.words import read_map, translate

FIGURES = ("top-1", "top-3", "body part")


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help="a bundle's folder or a model's name")
    help_ = "recorded with --record-landmarks"
    command.add_argument("--sessions", type=Path, nargs="+", default=[], metavar="DIR", help=help_)
    help_ = "a human's annotation of each session (its corrections)"
    command.add_argument("--labels", type=Path, nargs="+", default=[], metavar="FILE", help=help_)
    command.add_argument("--map", type=Path, metavar="WORDS.toml", help="what words mean in MA-52: `lab words FILE`")
    help_ = "labelled landmark sequences, a file a person"
    command.add_argument("--sequences", type=Path, nargs="+", default=[], metavar="FILE.npz", help=help_)
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new bundle")


def run(options: argparse.Namespace) -> None:
    """Write the bundle where nothing got worse on examples that were left out; else say so and write nothing."""
    check_target(options.out, overwrite=False)
    bundle = Bundle.load(find(options.model))
    network = landmark_network(bundle)
    sources = of_sessions(options.sessions, options.labels, read_map(options.map) if options.map else {})
    for path in options.sequences:
        sources[path.stem] = [one for one in load_sequences(path) if one.counted]
    count = sum(map(len, sources.values()))
    if count < LEAST_EXAMPLES:
        raise BadInput(f"at least {LEAST_EXAMPLES} examples", f"{count} with sure labels", "annotate more")
    examples = examples_of(network, {name: found for name, found in sources.items() if found})
    found = adapt(Heads(network.heads(), bundle.card.calibration.temperature), examples)
    pairs = zip(FIGURES, found.before, found.after, strict=True)
    figures = ", ".join(f"{name} {before:.2f} → {after:.2f}" for name, before, after in pairs)
    print(f"{len(examples)} examples, each left out once: {figures}")
    if found.heads is None:
        print("not better on examples that were left out: nothing is written")
        return
    names = ", ".join(printable(name) for name in sources)
    made = write(bundle, network, found, f"last layers adapted to {count} examples of {names}", options.out)
    print(f"{made.path}: {made.card.name}")


def of_sessions(
    folders: list[Path], labels: list[Path], words: Mapping[str, frozenset[str]]
) -> dict[str, list[RealSequence]]:
    """Examples by session: of the annotation that belongs to it, else of its corrections.

    Raises:
        BadInput: as many annotations as sessions are needed, or a session without corrections.
    """
    if labels and len(labels) != len(folders):
        raise BadInput("--labels with a file for each session", f"{len(labels)} for {len(folders)}", "in their order")
    found: dict[str, list[RealSequence]] = {}
    for place, folder in enumerate(folders):
        record = read_session(folder)
        if not labels and not record.corrections:
            raise BadInput(
                "a session with corrections", f"{folder} without", "review it in the report, or give --labels"
            )
        events = translate(read_annotations(labels[place] if labels else folder), words)
        found[f"{folder.name} ({record.id})"] = session_examples(record, events)
    return found


def landmark_network(bundle: Bundle) -> LandmarkNetwork:
    """Raises BadInput: another kind of network, or a bundle without weights."""
    network = read_network(bundle)
    if not isinstance(network, LandmarkNetwork):
        raise BadInput("a model that takes landmarks", bundle.card.name, "choose another")
    return network.eval()


def write(bundle: Bundle, network: LandmarkNetwork, found: Adapted, learnt: str, out: Path) -> Bundle:
    """The bundle with the fitted layers. Its card says what was learnt from whom; its calibration stays."""
    if found.heads is None:
        raise ValueError("expected fitted heads")
    with torch.no_grad():
        for name, layer in network.heads().items():
            layer.load_state_dict(found.heads.layers[name].state_dict())
    made = bundle.card.provenance
    trained_on = f"{made.trained_on}; {learnt}"[:MOST_LETTERS]
    provenance = msgspec.structs.replace(made, trained_on=trained_on, made_with="python -m lab adapt")
    name = f"{bundle.card.name}-adapted"[:64]
    return write_bundle(network, msgspec.structs.replace(bundle.card, name=name, provenance=provenance), out)
