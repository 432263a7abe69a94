"""A frame of a network that carries states against a window of the same network that does not, in each runtime."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.bundles import int8, random_weights
from benchmarks.harness import Result, machine, median_ms
from benchmarks.recording import write_recording
from benchmarks.sessions import TimedRuntime, run_session
from engines.bundle import Bundle
from engines.networks.registry import change_spec
from engines.runtimes import Runtime, Video, available, open_runtime
from engines.specs.base import Spec
from realtime.config import Config
from realtime.output.overlay import Overlay
from realtime.session_loop import SessionLoop

ROUNDS = 7
SPARE = 0.5  # share of the time that is to be left to everything else
CAMERA_S = 20.0
OVERLAY_HZ = Config().overlay.refresh_hz


def run(network: Spec) -> Result:
    """One frame against one window in turn, fp32 in every runtime and INT8 where it runs, one machine and one run."""
    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as folder, ExitStack() as stack:
        times: dict[str, float] = {}
        streaming = change_spec(network, ["shift=past"])
        models = {kind: random_weights(spec, Path(folder) / kind) for kind, spec in _kinds(network, streaming).items()}
        small = {kind: int8(model, Path(folder) / f"{kind}-int8") for kind, model in models.items()}
        small_names = []
        for name in [name for name, found in available().items() if found]:
            for precision, bundles in (("fp32", models), ("int8", small)):
                if precision == "int8" and name == "torch":
                    continue
                small_names += [name] if precision == "int8" else []
                opened = {kind: stack.enter_context(open_runtime(bundle, name)) for kind, bundle in bundles.items()}
                clips, _ = opened["window"].bundle.reference()
                turns: dict[str, Callable[[], object]] = {
                    f"{name}_{precision}_window_ms": partial(opened["window"].infer, clips[:1]),
                    f"{name}_{precision}_frame_ms": partial(_predict, opened["frame"], clips[:1, 0].copy(), Video()),
                }
                times |= median_ms(turns, ROUNDS)
        name = min(small_names, key=lambda one: times[f"{one}_int8_frame_ms"])
        camera = _camera(small["frame"], name, Path(folder) / "camera.mp4")
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
            **camera,
        },
    )


def _camera(model: Bundle, name: str, recording: Path) -> dict[str, float | str]:
    """A session at a camera's speed, with capture, crop and overlay: what a frame costs there, and what is left."""
    write_recording(recording, CAMERA_S, seed=0, scale=2)
    with open_runtime(model, name) as runtime:
        timed = TimedRuntime(runtime)
        (stats,) = run_session([recording], model, timed, watch=_draw_overlay, speed=1.0)
    spacing_s = model.card.span_s / model.card.length
    frame_s = float(np.mean(timed.took_s))
    return {
        "camera": f"{name}, INT8, 1080x1296 at 30 frames/s, overlay at {OVERLAY_HZ:g} Hz",
        "camera_spacing_s": spacing_s,
        "camera_frames": float(len(timed.took_s)),
        "camera_skipped": float(sum(stats.skipped.values())),
        "camera_frame_ms": 1e3 * frame_s,
        "camera_frame_p95_ms": 1e3 * float(np.percentile(timed.took_s, 95)),
        "camera_time_to_spare": 1.0 - frame_s / spacing_s,
        "spacing_s_with_half_to_spare": frame_s / SPARE,
    }


def _draw_overlay(session: SessionLoop) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40, color_system="truecolor")
    while session.engine.alive:
        console.print(Overlay(session.snapshot()[0]), height=40)
        time.sleep(1.0 / OVERLAY_HZ)


def _kinds(network: Spec, streaming: Spec) -> dict[str, Spec]:
    return {"window": network, "frame": streaming}


def _predict(runtime: Runtime, frames: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], video: Video) -> None:
    runtime.predict(frames, [video])
