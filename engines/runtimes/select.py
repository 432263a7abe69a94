"""Open the runtime asked for, or the fastest that reproduces the bundle's reference."""

from __future__ import annotations

import hashlib
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from engines.bundle import ONNX_FILE, Bundle
from engines.common.errors import BadInput
from engines.runtimes.base import Availability, Runtime, RuntimeFailed, Video
from engines.runtimes.fallback import Fallback
from engines.runtimes.inference_server import InferenceServer, ServerSettings
from engines.runtimes.onnx_runtime import OnnxRuntime
from engines.runtimes.openvino_runtime import OpenVinoRuntime
from engines.runtimes.parity import check_parity
from engines.runtimes.tensorrt_runtime import TensorRtRtxRuntime, TensorRtRuntime
from engines.runtimes.torch_runtime import TorchRuntime

RUNTIMES: dict[str, type[Runtime]] = {
    kind.name: kind for kind in (TensorRtRuntime, TensorRtRtxRuntime, OpenVinoRuntime, OnnxRuntime, TorchRuntime)
}
CHOICE_FILE = "choice.json"
TIMED_S = 0.4  # that each runtime is timed for, but
FEWEST_RUNS, MOST_RUNS = 3, 50
STEADY = 1.5  # times the least that the median may be: beyond, the machine is busy with something else

Report = Callable[[str], None]


class _Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The remembered choice, valid only where `key` fits."""

    key: str
    runtime: str
    least_ms: dict[str, float]


def available() -> dict[str, Availability]:
    """Every runtime by name, with its version or the reason why it cannot be used. Imports none of them."""
    return {name: kind.availability() for name, kind in RUNTIMES.items()}


def open_runtime(
    bundle: Bundle,
    name: str = "auto",
    threads: int = 0,
    report: Report | None = None,
    details: Report | None = None,
    server: ServerSettings | None = None,
) -> Runtime:
    """An active runtime that has just reproduced the bundle's reference logits.

    Args:
        bundle: a verified bundle.
        name: a runtime, or "auto": the fastest of those that pass. Unless the machine was busy with something else, the
            choice is remembered in the bundle's `engines/choice.json` until the model, a runtime, the CPU or GPU or
            `threads` changes; parity is checked always. Where a GPU was chosen and is lost later, the fastest of the
            others goes on, which is reported.
        threads: CPU threads; 0 leaves the choice to the runtime.
        report: receives what a person should know, one line each.
        details: receives how the choice was made, one line each.
        server: of the runtime "inference-server", which is never chosen automatically.

    Raises:
        BadInput: an unknown runtime, or one that is not installed or has no GPU.
        ParityMismatch: the runtime asked for does not reproduce the reference.
        RuntimeFailed: it cannot load the model; with "auto", none could.
    """
    report, details = report or _silent, details or _silent
    if name == InferenceServer.name:
        return _open_server(bundle, server or ServerSettings(), threads, report)
    if name != "auto":
        if name not in RUNTIMES:
            raise BadInput(f"a runtime of auto, {', '.join(RUNTIMES)}", repr(name), "choose one of these")
        availability = RUNTIMES[name].availability()
        if not availability:
            raise BadInput(f"the runtime {name} to be usable here", f"{availability.reason}", "or choose another")
        return _open_checked(bundle, name, threads, report)
    usable = {each: found for each, found in available().items() if found}
    key = _choice_key(bundle, usable, threads)
    remembered = _recall(bundle, key)
    if remembered in usable:
        try:
            runtime = _open_checked(bundle, remembered, threads, report)
        except (RuntimeFailed, BadInput) as error:
            report(f"{remembered}: {error}")
            del usable[remembered]
        else:
            details(f"{remembered} {usable[remembered]}: chosen earlier as the fastest here")
            return _guarded(runtime, usable, report, details)
    return _guarded(_fastest(bundle, usable, threads, key, report, details), usable, report, details)


def is_batch_invariant(runtime: Runtime) -> bool:
    """Whether a clip gets the very same scores alone and in every batch up to `runtime.batch`, wherever it stands."""
    reference = runtime.bundle.reference_arrays().inputs
    inputs = {  # repeated as often as it takes
        name: np.resize(array, (runtime.batch, *array.shape[1:])) for name, array in reference.items()
    }
    alone = [runtime.run({name: array[at : at + 1] for name, array in inputs.items()}) for at in range(runtime.batch)]
    for count in range(2, runtime.batch + 1):
        together = runtime.run({name: array[:count] for name, array in inputs.items()})
        for name, array in together.items():
            if not np.array_equal(array, np.concatenate([one[name] for one in alone[:count]])):
                return False
    return True


def least_ms(runtime: Runtime) -> float:
    """Least time of one window, milliseconds. What else the machine does only ever makes it longer."""
    return min(times_ms(runtime))


def times_ms(runtime: Runtime) -> list[float]:
    """Times of one window, or of one frame where the network carries states, ms; `FEWEST_RUNS` to `MOST_RUNS`."""
    clip = {name: array[:1] for name, array in runtime.bundle.reference_arrays().inputs.items()}
    ask: Callable[[], object] = partial(runtime.run, clip)
    if runtime.bundle.card.network.states:
        ask = partial(runtime.predict, np.ascontiguousarray(clip["clips"][:, 0]), [Video()])
    times: list[float] = []
    while len(times) < FEWEST_RUNS or (len(times) < MOST_RUNS and sum(times) < 1e3 * TIMED_S):
        start = time.perf_counter()
        ask()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def _silent(_: str) -> None:
    """Nobody asked."""


def _guarded(runtime: Runtime, usable: dict[str, Availability], report: Report, details: Report) -> Runtime:
    """Automatically chosen, a GPU that is lost is replaced by the fastest CPU runtime."""
    if not runtime.may_be_lost:
        return runtime
    others = {name: found for name, found in usable.items() if not RUNTIMES[name].may_be_lost}

    def open_other() -> Runtime:
        return _fastest(runtime.bundle, others, runtime.threads, "", report, details)

    return Fallback(runtime, open_other, report)


def _open_server(bundle: Bundle, server: ServerSettings, threads: int, report: Report) -> Runtime:
    availability = InferenceServer.availability()
    if not availability:
        raise BadInput(f"the runtime {InferenceServer.name} to be usable here", f"{availability.reason}", "or another")
    if bundle.card.network.states:
        raise BadInput("a model without states for an inference server", bundle.card.name, "choose another --engine")
    fallback = server.fallback
    if fallback is not None and not (fallback in RUNTIMES and RUNTIMES[fallback].availability()):
        raise BadInput(f"an installed runtime of {', '.join(RUNTIMES)}", fallback, "give another --engine-fallback")
    runtime = InferenceServer(bundle, server)
    runtime.activate()
    if fallback is None:
        return runtime
    return Fallback(runtime, lambda: open_runtime(bundle, fallback, threads, report), report)


def _open_checked(bundle: Bundle, name: str, threads: int, report: Report) -> Runtime:
    runtime = RUNTIMES[name](bundle, threads)
    runtime.report = report
    runtime.activate()
    try:
        check_parity(runtime)
        if runtime.batch > 1 and not is_batch_invariant(runtime):
            report(f"{name}: a window's scores depend on those beside it; windows will be inferred one by one")
            runtime.batch = 1
    except BaseException:
        runtime.close()
        raise
    return runtime


def _fastest(
    bundle: Bundle, usable: dict[str, Availability], threads: int, key: str, report: Report, details: Report
) -> Runtime:
    best: Runtime | None = None
    timings: dict[str, float] = {}
    steady = True
    for name, found in usable.items():
        try:
            runtime = _open_checked(bundle, name, threads, report)
        except (RuntimeFailed, BadInput) as error:
            report(f"{name}: {error}")
            continue
        times = times_ms(runtime)
        timings[name] = round(min(times), 3)
        steady &= statistics.median(times) <= STEADY * min(times)
        details(f"{name} {found}: {timings[name]:.1f} ms per {'frame' if bundle.card.network.states else 'window'}")
        if best is not None and timings[best.name] <= timings[name]:
            runtime.close()
            continue
        if best is not None:
            best.close()
        best = runtime
    if best is None:
        raise RuntimeFailed(f"no runtime can run {bundle.card.name}; see `python -m engines list`")
    if key and steady:
        _remember(bundle, _Choice(key, best.name, timings))
    return best


def _choice_key(bundle: Bundle, usable: dict[str, Availability], threads: int) -> str:
    parts = [bundle.card.files[ONNX_FILE], str(threads), _cpu(), *(f"{name} {found}" for name, found in usable.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _cpu() -> str:
    """The CPU's model and how many of its cores this process may use."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line for line in lines if line.startswith("model name")), model)
    except OSError:
        pass  # not Linux
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model} x {cores}"


def _recall(bundle: Bundle, key: str) -> str:
    try:
        choice = msgspec.json.decode((bundle.engines_path / CHOICE_FILE).read_bytes(), type=_Choice)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return choice.runtime if choice.key == key else ""


def _remember(bundle: Bundle, choice: _Choice) -> None:
    file = bundle.engines_path / CHOICE_FILE
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(exist_ok=True)
        part.write_bytes(msgspec.json.encode(choice))
        part.replace(file)
    except OSError:
        pass  # a read-only bundle is timed again next time
