"""A frame of a network that carries states against a window of the same network that does not, in each runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.bundles import int8, random_weights
from benchmarks.harness import Result, machine, median_ms
from engines.networks.registry import change_spec
from engines.runtimes import Runtime, Video, available, open_runtime
from engines.specs.base import Spec

ROUNDS = 7
SPARE = 0.5  # share of the time that is to be left to everything else


def run(network: Spec) -> Result:
    """One frame against one window in turn, fp32 in every runtime and INT8 where it runs, one machine and one run."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder, ExitStack() as stack:
        times: dict[str, float] = {}
        streaming = change_spec(network, ["shift=past"])
        models = {kind: random_weights(spec, Path(folder) / kind) for kind, spec in _kinds(network, streaming).items()}
        small = {kind: int8(model, Path(folder) / f"{kind}-int8") for kind, model in models.items()}
        for name in [name for name, found in available().items() if found]:
            for precision, bundles in (("fp32", models), ("int8", small)):
                if precision == "int8" and name == "torch":
                    continue
                opened = {kind: stack.enter_context(open_runtime(bundle, name)) for kind, bundle in bundles.items()}
                clips, _ = opened["window"].bundle.reference()
                turns: dict[str, Callable[[], object]] = {
                    f"{name}_{precision}_window_ms": partial(opened["window"].infer, clips[:1]),
                    f"{name}_{precision}_frame_ms": partial(_predict, opened["frame"], clips[:1, 0].copy(), Video()),
                }
                times |= median_ms(turns, ROUNDS)
    ratios = {
        key.removesuffix("_window_ms"): value / times[key.replace("_window_", "_frame_")]
        for key, value in times.items()
        if key.endswith("_window_ms")
    }
    best = min((key for key in times if key.endswith("_frame_ms")), key=lambda key: times[key])
    window = best.replace("_frame_", "_window_")
    state_bytes = 4 * sum(int(np.prod(shape)) for shape in streaming.states.values())
    return Result(
        ours=times[best],
        other=times[window],
        ratio=times[window] / times[best],
        unit="ms",
        compared=f"a frame against a window, {streaming.title} and {network.title} (random weights), "
        f"{best.removesuffix('_frame_ms').replace('_', ' ')}; medians of {ROUNDS} rounds in turn",
        machine=machine(),
        details={
            **times,
            **{f"{name}_ratio": ratio for name, ratio in ratios.items()},
            "least_ratio": min(ratios.values()),
            "state_MB": state_bytes / 1e6,
            "spacing_s_with_half_to_spare": times[best] / 1e3 / SPARE,
        },
    )


def _kinds(network: Spec, streaming: Spec) -> dict[str, Spec]:
    return {"window": network, "frame": streaming}


def _predict(runtime: Runtime, frames: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], video: Video) -> None:
    runtime.predict(frames, [video])
