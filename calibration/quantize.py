"""An INT8 bundle from an fp32 one: ranges, sensitive layers, and whether it still says the same."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from calibration.qdq import Graph, Layer, weight_error
from calibration.ranges import Method, measure_ranges, passes
from calibration.windows import Windows
from engines.bundle import Bundle, Float32Array, UInt8Array, check_target
from engines.card import Parity
from engines.errors import BadInput
from engines.export import network_from_onnx, to_onnx
from engines.runtimes import Runtime, RuntimeFailed, median_ms, open_runtime

INT8_TOLERANCE = 0.15  # of a runtime's logits against the fp32 reference, relative to the largest
LEAST = 32  # windows, to range on and to judge by together
MOST_RANGED = 64  # windows that ranges are measured on
PROBES = 8  # windows that each layer is tried on by itself
DECIDED = 0.5  # probability from which a sigmoid model says that something happens
FILLED = 0.5  # share from which an action counts as present in a window
TIMED_RUNS = 9

Report = Callable[[str, int, int], None]  # stage, done, of how many


@dataclass(frozen=True, slots=True)
class Tried:
    """One layer in INT8 by itself."""

    layer: Layer
    reach: float  # magnitude that 127 stands for
    weight_db: float  # signal to noise of its weights in int8; NaN where it has none
    harm: float  # rms change of the logits where it alone is INT8, relative to their rms
    kept: bool  # it stays fp32


@dataclass(frozen=True, slots=True)
class Judgement:
    """Two models on the same windows."""

    windows: int
    agreement: float  # share of windows with the same top action
    decided: int  # windows in which the fp32 model says that something happens; all of a softmax model's
    decided_agreement: float  # the same share among those
    change: float  # mean change of a probability
    accuracy: tuple[float, float] | None  # before and after, of windows in which an action is present

    @property
    def lost(self) -> float:
        """Share of decided windows whose top action changed, or of accuracy that was lost, whichever is more."""
        worse = 0.0 if self.accuracy is None else self.accuracy[0] - self.accuracy[1]
        return max(1.0 - self.decided_agreement, worse)


@dataclass(frozen=True, slots=True)
class Quantised:
    """The new bundle and how it was found to be."""

    bundle: Bundle
    tried: list[Tried]
    judgement: Judgement  # on windows that nothing was chosen on
    before: tuple[str, float]  # fastest runtime and its median, ms
    after: tuple[str, float]


def quantize(bundle: Bundle, out: Path, name: str, ranging: Windows, judging: Windows, method: Method, most_lost: float,
             threads: int, report: Report, *, overwrite: bool = False) -> Quantised:
    """Quantise a bundle; nothing is written where more than `most_lost` is lost.

    Args:
        bundle: verified, fp32.
        ranging: windows to measure ranges and to choose sensitive layers on.
        judging: others, to judge by.
        most_lost: share of `Judgement.lost` that is accepted.

    Raises:
        BadInput: the bundle is not fp32, there are too few windows, or too much is lost.
        QuantiseFailed: the graph cannot be quantised.
        RuntimeFailed: no runtime can run the result.
    """
    check_target(out, overwrite)
    check_count(len(ranging) + len(judging))
    if bundle.card.precision != "fp32":
        raise BadInput("an fp32 bundle to quantise", bundle.card.precision, "give the fp32 bundle")
    # Exported anew: bundles made by earlier versions have the shift in an order that is slow in INT8.
    graph = Graph(to_onnx(network_from_onnx(bundle.card.manet, bundle.onnx_path)))
    tensors = graph.activations
    done = 0

    def ranged() -> None:
        nonlocal done
        done += 1
        report("ranges", done, passes(method) * len(ranging))

    ranges = measure_ranges(graph.observed(), tensors, {"clips": ranging.clips}, method, ranged)
    tried = _try_layers(graph, ranges, ranging.clips[:PROBES], report)
    kept = _sensitive(bundle, graph, ranges, tried, ranging, most_lost)
    tried = [replace(one, kept=one.layer.name in kept) for one in tried]
    data = graph.quantised(ranges, kept)
    with tempfile.TemporaryDirectory() as folder:
        parity = Parity(relative_tolerance=INT8_TOLERANCE)
        made = bundle.derive(Path(folder) / "int8", onnx=data, name=name, precision="int8", parity=parity)
        with open_runtime(bundle, threads=threads) as full, _opened(made, threads) as small:
            judgement = judge(bundle, _logits(full, judging, report, "fp32"), _logits(small, judging, report, "int8"),
                              judging.labels)
            before, after = ((one.name, median_ms(one, TIMED_RUNS)) for one in (full, small))
        if not judgement.lost <= most_lost:
            raise BadInput(f"INT8 that loses at most {most_lost:.2%} of {judgement.decided} windows",
                           f"{judgement.lost:.2%} with {method} ranges and {len(kept)} layers left in fp32",
                           "try other --ranges, or more windows; nothing was written")
        written = made.derive(out, overwrite=overwrite)
    return Quantised(written, tried, judgement, before, after)


def _opened(made: Bundle, threads: int) -> Runtime:
    try:
        return open_runtime(made, threads=threads)
    except RuntimeFailed as error:  # none comes near the reference
        raise BadInput("INT8 that some runtime computes near fp32", str(error),
                       "try other --ranges, or more windows; nothing was written") from None


def check_count(windows: int) -> None:
    """Raises BadInput for too few windows."""
    if windows < LEAST:
        raise BadInput(f"{LEAST} calibration windows or more", str(windows), "give more or longer clips")


def judge(bundle: Bundle, before: Float32Array, after: Float32Array, labels: Float32Array | None) -> Judgement:
    """How two models' logits (N, 52) compare; labels (N, 52) are shares of each action, or unknown."""
    same = before.argmax(axis=1) == after.argmax(axis=1)
    probs = bundle.probabilities(before)
    decided = np.ones(len(same), np.bool_)
    if bundle.card.calibration.activation == "sigmoid":
        decided = probs.max(axis=1) >= DECIDED
    accuracy = None
    if labels is not None and (present := labels >= FILLED).any():
        busy = present.any(axis=1)
        first, second = (float(np.take_along_axis(present, one.argmax(axis=1)[:, None], 1)[busy].mean())
                         for one in (before, after))
        accuracy = first, second
    return Judgement(
        windows=len(same), agreement=float(same.mean()), decided=int(decided.sum()),
        decided_agreement=float(same[decided].mean()) if decided.any() else math.nan,
        change=float(np.abs(bundle.probabilities(after) - probs).mean()), accuracy=accuracy,
    )


def _try_layers(graph: Graph, ranges: dict[str, float], clips: UInt8Array, report: Report) -> list[Tried]:
    weights = {tensor.name: tensor for tensor in onnx.load_from_string(graph.observed()).graph.initializer}
    full = _run(graph.observed(), clips)
    scale = float(np.sqrt(np.mean(full**2)))
    names = {layer.name for layer in graph.layers}
    tried = []
    for layer in graph.layers:
        alone = _run(graph.quantised(ranges, names - {layer.name}), clips)
        db = math.nan if layer.weight is None else weight_error(numpy_helper.to_array(weights[layer.weight]))
        harm = float(np.sqrt(np.mean((alone - full) ** 2))) / scale
        tried.append(Tried(layer, ranges[layer.activation], db, harm, False))
        report("layers", len(tried), len(graph.layers))
    return tried


def _sensitive(bundle: Bundle, graph: Graph, ranges: dict[str, float], tried: list[Tried], windows: Windows,
               most_lost: float) -> set[str]:
    """The fewest of the most harmful layers, by powers of two, without which the windows keep their top actions."""
    full = _run(graph.observed(), windows.clips)
    by_harm = [one.layer.name for one in sorted(tried, key=lambda one: -one.harm)]
    kept: set[str] = set()
    for count in (0, *(2**power for power in range(len(by_harm).bit_length()))):
        kept = set(by_harm[:count])
        if len(kept) >= len(by_harm):
            break
        if judge(bundle, full, _run(graph.quantised(ranges, kept), windows.clips), windows.labels).lost <= most_lost:
            return kept
    raise BadInput(f"a network of which INT8 loses at most {most_lost:.2%}",
                   f"more, even with {len(by_harm) // 2} of {len(by_harm)} layers in fp32",
                   "try other --ranges, or more windows; nothing was written")


def _run(data: bytes, clips: UInt8Array) -> Float32Array:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], {"clips": clip[None]})[0] for clip in clips])


def _logits(runtime: Runtime, windows: Windows, report: Report, stage: str) -> Float32Array:
    rows = []
    for index in range(len(windows)):
        rows.append(runtime.infer(windows.clips[index : index + 1]).logits)
        report(stage, index + 1, len(windows))
    return np.concatenate(rows)


def describe(made: Quantised) -> str:
    """The result in one line."""
    card, found = made.bundle.card, made.judgement
    left = [one.layer.name for one in made.tried if one.kept]
    parts = [f"{made.bundle.path}: INT8 of {card.name}, {len(made.tried) - len(left)} layers quantised, "
             f"{', '.join(left) if left else 'none'} left in fp32",
             f"top action agrees on {found.agreement:.2%} of {found.windows} unseen windows"]
    if found.decided < found.windows:
        parts.append(f"{found.decided_agreement:.2%} of the {found.decided} in which it says that something happens")
    if found.accuracy is not None:
        parts.append(f"accuracy {found.accuracy[0]:.2%} to {found.accuracy[1]:.2%}")
    parts += [f"a probability changes by {found.change:.4f} on average",
              f"a window takes {made.after[1]:.1f} ms in {made.after[0]}, fp32 took {made.before[1]:.1f} ms in "
              f"{made.before[0]}"]
    untrained = "" if card.trained else "; UNTRAINED: agreement means little"
    return "; ".join(parts) + untrained
