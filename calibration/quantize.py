"""An INT8 bundle from an fp32 one: ranges, sensitive layers, and whether its scores are still the same."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from calibration.qdq import Graph, Layer, weight_error
from calibration.ranges import Method, measure_ranges, passes
from calibration.windows import Windows
from engines.bundle import Bundle, Float32Array, Reference, check_target
from engines.card import Parity
from engines.common.errors import BadInput
from engines.export.onnx_export import run_graph, to_onnx
from engines.export.weights import read_network
from engines.runtimes import Runtime, RuntimeFailed, least_ms, open_runtime
from engines.runtimes.base import Outputs

INT8_TOLERANCE = 0.15  # of a runtime's logits against the fp32 reference, relative to the largest
LEAST = 32  # windows, to range on and to judge by together
MOST_RANGED = 64  # windows that ranges are measured on
PROBES = 8  # windows that each layer is tried on by itself
DECIDED = 0.5  # probability from which a sigmoid model decides that something happens, or an emotion dominates
FILLED = 0.5  # share from which an action or emotion counts as present in a window
REFERENCES = 4
LEAST_SHARE = 0.1  # of the weights in layers that can be quantised: of plain transformers 0.5 to 1.4 % are

Report = Callable[[str, int, int], None]  # stage, done, of how many


@dataclass(frozen=True, slots=True)
class Tried:
    """One layer in INT8 by itself."""

    layer: Layer
    reach: float  # magnitude that 127 stands for
    weight_db: float  # signal to noise of its weights in int8; NaN where it has none
    harm: float  # rms change of the outputs where it alone is INT8, relative to their rms; of the output it harms most
    kept: bool  # it stays fp32


@dataclass(frozen=True, slots=True)
class Judgement:
    """Two models on the same windows."""

    windows: int
    agreement: float  # share of windows with the same top action or emotion
    decided: int  # windows in which the fp32 model decides: see `judge`
    decided_agreement: float  # the same share among those
    change: float  # mean change of a probability
    accuracy: tuple[float, float] | None  # before and after, of windows in which an action or emotion is present
    others: dict[str, float]  # by output behind the first: its rms change, relative to its rms

    @property
    def lost(self) -> float:
        """Share of decided windows whose top one changed, or of accuracy that was lost, whichever is more."""
        worse = 0.0 if self.accuracy is None else self.accuracy[0] - self.accuracy[1]
        return max(1.0 - self.decided_agreement, worse)


@dataclass(frozen=True, slots=True)
class Quantised:
    """The new bundle and how it was found to be."""

    bundle: Bundle
    source: str  # name of the fp32 bundle
    tried: list[Tried]
    judgement: Judgement  # on windows that nothing was chosen on
    before: tuple[str, float]  # fastest runtime and its least time, ms
    after: tuple[str, float]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a bundle is quantised."""

    name: str  # of the new bundle
    method: Method = "percentile"
    most_lost: float = 0.01  # of `Judgement.lost` that is accepted
    threads: int = 0


def quantize(
    bundle: Bundle,
    out: Path,
    ranging: Windows,
    judging: Windows,
    settings: Settings,
    report: Report = lambda *_: None,
    *,
    overwrite: bool = False,
) -> Quantised:
    """Quantise a bundle; nothing is written where more than `settings.most_lost` is lost.

    Args:
        bundle: verified, fp32.
        ranging: windows to measure ranges and to choose sensitive layers on.
        judging: others, to judge by.

    Raises:
        BadInput: the bundle is not fp32, it has hardly a convolution, there are too few windows, or too much is lost.
        QuantiseFailed: the graph cannot be quantised.
        RuntimeFailed: no runtime can run the result.
    """
    check_target(out, overwrite)
    check_count(len(ranging) + len(judging))
    if bundle.card.precision != "fp32":
        raise BadInput("an fp32 bundle to quantise", bundle.card.precision, "give the fp32 bundle")
    # Exported again: bundles made by earlier versions have the shift in an order that is slow in INT8.
    graph = Graph(to_onnx(read_network(bundle)))
    _check_share(bundle, graph)
    answers = _run(bundle, graph.observed(), ranging)
    if not judge(bundle, answers, answers, None).decided:
        raise BadInput(
            f"a model that is sure of something ({DECIDED:g}) in some windows",
            f"{bundle.card.name}, in none of {len(ranging)}",
            "give more windows, or a trained model",
        )
    ranges = _measured(graph, ranging, settings.method, report)
    tried = _try_layers(bundle, graph, ranges, ranging.part(0, PROBES), report)
    kept = _sensitive(bundle, graph, ranges, tried, ranging, answers, settings.most_lost)
    tried = [replace(one, kept=one.layer.name in kept) for one in tried]
    with tempfile.TemporaryDirectory() as folder:
        made = bundle.derive(
            Path(folder) / "int8",
            onnx=graph.quantised(ranges, kept),
            name=settings.name,
            precision="int8",
            parity=Parity(relative_tolerance=INT8_TOLERANCE),
            reference=_reference(bundle, graph, ranging),
        )
        judgement, before, after = _compared(bundle, made, judging, settings.threads, report)
        if not judgement.lost <= settings.most_lost:
            raise BadInput(
                f"INT8 that loses at most {settings.most_lost:.2%} of {judgement.decided} windows",
                f"{judgement.lost:.2%} with {settings.method} ranges and {len(kept)} layers left in fp32",
                "try other --ranges, or more windows; nothing was written",
            )
        written = made.derive(out, overwrite=overwrite)
    return Quantised(written, bundle.card.name, tried, judgement, before, after)


def _check_share(bundle: Bundle, graph: Graph) -> None:
    """Raises BadInput: INT8 would change next to nothing of the network."""
    if graph.share < LEAST_SHARE:
        raise BadInput(
            f"a network of convolutions, which INT8 makes faster ({LEAST_SHARE:.0%} of its weights at least)",
            f"{bundle.card.network.title}, where they hold {graph.share:.1%}",
            "keep fp32",
        )


def _measured(graph: Graph, windows: Windows, method: Method, report: Report) -> dict[str, float]:
    done = itertools.count(1)
    total = passes(method) * len(windows)
    return measure_ranges(
        graph.observed(), graph.activations, windows.inputs, method, lambda: report("ranges", next(done), total)
    )


def _compared(
    bundle: Bundle, made: Bundle, windows: Windows, threads: int, report: Report
) -> tuple[Judgement, tuple[str, float], tuple[str, float]]:
    """Both bundles in their fastest runtimes, and the least time of each."""
    with open_runtime(bundle, threads=threads) as full, _opened(made, threads) as small:
        exact = _answers(full, windows, report, "fp32")
        rounded = _answers(small, windows, report, "int8")
        before, after = ((one.name, least_ms(one)) for one in (full, small))
    return judge(bundle, exact, rounded, windows.labels), before, after


def _reference(bundle: Bundle, graph: Graph, windows: Windows) -> Reference:
    """What every runtime has to give within `INT8_TOLERANCE`: fp32's answers.

    To windows that ranges were measured on, some of each session. The patterns that an fp32 bundle has reach further
    than any drawing, and show how a runtime clips instead. Where the windows show people, the patterns stay.
    """
    if not windows.simulated:
        return bundle.reference_arrays()
    chosen = np.linspace(0, len(windows) - 1, REFERENCES).astype(np.int64)
    some = Windows({name: array[chosen] for name, array in windows.inputs.items()}, None, simulated=True)
    return Reference(some.inputs, _run(bundle, graph.observed(), some))


def _opened(made: Bundle, threads: int) -> Runtime:
    try:
        return open_runtime(made, threads=threads)
    except RuntimeFailed as error:  # none comes near the reference
        raise BadInput(
            "INT8 that some runtime computes near fp32",
            str(error),
            "try other --ranges, or more windows; nothing was written",
        ) from None


def check_count(windows: int) -> None:
    """Raises BadInput for too few windows."""
    if windows < LEAST:
        raise BadInput(f"{LEAST} calibration windows or more", str(windows), "give more or longer clips")


def judge(bundle: Bundle, before: Outputs, after: Outputs, labels: Float32Array | None) -> Judgement:
    """Two models' scores of N windows beside each other.

    In a window count as decided: of a sigmoid model, that something happens; of an emotion model, that an emotion
    dominates, as it does not where little is felt; of a softmax model of actions, every window.

    Args:
        bundle: the model before.
        before: by name, (N, ...) each, the spec's first output among them.
        after: the same outputs.
        labels: (N, C) shares of what the first output names, or unknown.
    """
    first = next(iter(bundle.card.network.outputs))
    tops = [one[first].argmax(axis=1) for one in (before, after)]
    same = tops[0] == tops[1]
    probs = bundle.probabilities(before[first])
    decided = np.ones(len(same), np.bool_)
    if bundle.card.calibration.activation == "sigmoid" or bundle.card.task == "emotion":
        decided = probs.max(axis=1) >= DECIDED
    accuracy = None
    if labels is not None and (present := labels >= FILLED).any():
        busy = present.any(axis=1)
        right, still = (float(np.take_along_axis(present, top[:, None], 1)[busy].mean()) for top in tops)
        accuracy = right, still
    return Judgement(
        windows=len(same),
        agreement=float(same.mean()),
        decided=int(decided.sum()),
        decided_agreement=float(same[decided].mean()) if decided.any() else math.nan,
        change=float(np.abs(bundle.probabilities(after[first]) - probs).mean()),
        accuracy=accuracy,
        others={name: _moved(before[name], after[name]) for name in before if name != first},
    )


def _moved(before: Float32Array, after: Float32Array) -> float:
    """rms change of an output, relative to its rms."""
    return float(np.sqrt(np.mean((after - before) ** 2) / np.mean(before**2)))


def _judged(bundle: Bundle) -> list[str]:
    """The outputs that matter: those that every runtime is checked on."""
    return list(bundle.reference_arrays().outputs)


def _try_layers(
    bundle: Bundle, graph: Graph, ranges: dict[str, float], windows: Windows, report: Report
) -> list[Tried]:
    weights = {tensor.name: tensor for tensor in onnx.load_from_string(graph.observed()).graph.initializer}
    full = _run(bundle, graph.observed(), windows)
    names = {layer.name for layer in graph.layers}
    tried = []
    for layer in graph.layers:
        alone = _run(bundle, graph.quantised(ranges, names - {layer.name}), windows)
        db = math.nan if layer.weight is None else weight_error(numpy_helper.to_array(weights[layer.weight]))
        harm = max(_moved(full[name], alone[name]) for name in full)
        tried.append(Tried(layer, ranges[layer.activation], db, harm, False))
        report("layers", len(tried), len(graph.layers))
    return tried


def _sensitive(
    bundle: Bundle,
    graph: Graph,
    ranges: dict[str, float],
    tried: list[Tried],
    windows: Windows,
    full: Outputs,
    most_lost: float,
) -> set[str]:
    """The fewest of the most harmful layers, by powers of two, without which the windows keep their top ones."""
    by_harm = [one.layer.name for one in sorted(tried, key=lambda one: -one.harm)]
    kept: set[str] = set()
    for count in (0, *(2**power for power in range(len(by_harm).bit_length()))):
        kept = set(by_harm[:count])
        if len(kept) >= len(by_harm):
            break
        rounded = _run(bundle, graph.quantised(ranges, kept), windows)
        if judge(bundle, full, rounded, windows.labels).lost <= most_lost:
            return kept
    raise BadInput(
        f"a network of which INT8 loses at most {most_lost:.2%}",
        f"more, even with {len(by_harm) // 2} of {len(by_harm)} layers in fp32",
        "try other --ranges, or more windows; nothing was written",
    )


def _run(bundle: Bundle, data: bytes, windows: Windows) -> Outputs:
    run = run_graph(bundle.card.network, data)
    answers = [run(window) for window in windows.singles()]
    return {name: np.concatenate([one[name] for one in answers]) for name in _judged(bundle)}


def _answers(runtime: Runtime, windows: Windows, report: Report, stage: str) -> Outputs:
    rows = []
    for window in windows.singles():
        rows.append(runtime.run(window))
        report(stage, len(rows), len(windows))
    return {name: np.concatenate([row[name] for row in rows]) for name in _judged(runtime.bundle)}


def describe(made: Quantised) -> str:
    """The result in one line."""
    card, found = made.bundle.card, made.judgement
    left = [one.layer.name for one in made.tried if one.kept]
    top, decided = ("top action", "something happens")
    if card.task == "emotion":
        top, decided = ("dominant emotion", "one dominates")
    parts = [
        f"{made.bundle.path}: INT8 of {made.source}, {len(made.tried) - len(left)} layers quantised, "
        f"{', '.join(left) if left else 'none'} left in fp32",
        f"{top} agrees on {found.agreement:.2%} of {found.windows} unseen windows",
    ]
    if found.decided < found.windows:
        parts.append(f"{found.decided_agreement:.2%} of the {found.decided} in which it says that {decided}")
    if found.accuracy is not None:
        parts.append(f"accuracy {found.accuracy[0]:.2%} to {found.accuracy[1]:.2%}")
    parts.append(f"a probability changes by {found.change:.4f} on average")
    parts += [f"{name} move by {moved:.2%}" for name, moved in found.others.items()]
    parts += [
        f"a window takes {made.after[1]:.1f} ms in {made.after[0]}, fp32 took {made.before[1]:.1f} ms in "
        f"{made.before[0]}"
    ]
    untrained = "" if card.trained else "; UNTRAINED: agreement means little"
    return "; ".join(parts) + untrained
