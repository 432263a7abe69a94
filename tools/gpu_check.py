"""Everything that needs an NVIDIA GPU, in one run; results as JSON. `tools/gpu_check.sh` starts it.

Each part runs in a process of its own with what is left of the time. A part that cannot run is named with its reason,
and the others go on. Exit code 0: all that could run did; 1: something that ran has failed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from engines.bundle import Bundle, find
from engines.common.errors import BadInput, Failed
from engines.compare import compare
from engines.patterns import moving_patterns
from engines.runtimes import RUNTIMES, Runtime, Video, open_runtime
from engines.runtimes.nvidia import device as devices
from engines.runtimes.nvidia.gpu import NoGpu, find_gpu
from engines.runtimes.nvidia.library import LIBRARIES
from engines.runtimes.nvidia.plans import make_plan
from engines.runtimes.tensorrt_runtime import NvidiaRuntime

SECONDS = 480.0
BATCHES = (1, 4, 16, 64)
PRECISIONS = ("fp32", "fp16", "int8")
SHIPPED = "untrained-small"  # where none can be made
KINDS = {"windows": (), "streaming": ("shift=past",)}
ALLOWED = {"fp32": 1e-3, "fp16": 2e-2, "int8": 0.15}  # of the largest logit
PACKAGES = ("numpy", "onnxruntime", "openvino", "torch", "pycuda", "cuda-bindings", "tensorrt", "tensorrt-rtx-cu13")
TIMED, WARM_UP = 50, 5
Found = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools/gpu_check.sh", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"), help="where the results go")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for all of it ({SECONDS:g})")
    parser.add_argument("--small", action="store_true", help="a small network instead of MANet-R50")
    parser.add_argument("--job", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        print(json.dumps(_JOBS[options.job[0]](*options.job[1:])))
        return 0
    until = time.monotonic() + options.seconds
    results = _all(until, options.small)
    parts = results["parts"]
    for state in ("missing", "failed"):
        results[state] = {name: part["why"] for name, part in parts.items() if part["state"] == state}
    results["seconds"] = round(options.seconds - (until - time.monotonic()), 1)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    for name, part in parts.items():
        print(f"{part['state']:<8} {name}" + (f": {part['why']}" if part.get("why") else ""))
    print(f"{options.out}: {len(results['missing'])} parts missing, {len(results['failed'])} failed")
    return 1 if results["failed"] else 0


def _all(until: float, small: bool) -> Found:
    parts: dict[str, Found] = {"environment": {"state": "done", **_environment()}}
    with tempfile.TemporaryDirectory(prefix="manet-live-gpu-") as folder:
        half = (until - time.monotonic()) / 2
        parts["bundles"] = _job(until, half, "bundles", folder, str(int(small)))
        wanted = [f"{kind}-{precision}" for precision in PRECISIONS for kind in KINDS]
        made = {
            name: str(Path(folder) / name) for name in wanted if (Path(folder) / name).is_dir()
        }  # whole, or not there
        for lacking in [name for name in wanted if name not in made]:
            why = parts["bundles"].get("refused", {}).get(lacking) or parts["bundles"].get("why", "")
            parts[f"bundle {lacking}"] = _missing(f"not made: {why}")
        made = made or {SHIPPED: str(find(SHIPPED))}
        for name, library in LIBRARIES.items():
            absent = "" if _has(library.module) else f"{library.module} is not installed; {library.install}"
            for bundle, path in made.items():
                parts[f"{name} plan, {bundle}"] = _missing(absent) or _job(until, 120.0, "plan", name, path)
            for package in devices.PACKAGES:
                lacking = absent or ("" if _has(package) else f"{package} is not installed") or _no_gpu()
                for bundle, path in made.items():
                    ran = _missing(lacking) or _job(until, 60.0, "run", name, package, path)
                    parts[f"{name} with {package}, {bundle}"] = ran
    parts["pytest -m gpu"] = _pytest(until)
    return {"gpu": f"none: {_no_gpu()}" if _no_gpu() else str(find_gpu()), "parts": parts}


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent
        return False


def _no_gpu() -> str:
    try:
        find_gpu()
    except NoGpu as error:
        return str(error)
    return ""


def _missing(why: str) -> Found:
    return {"state": "missing", "why": why} if why else {}


def _job(until: float, most_s: float, *words: str) -> Found:
    return _process([sys.executable, "-m", "tools.gpu_check", "--job", *words], until, most_s, _last_line)


def _process(command: list[str], until: float, most_s: float, read: Callable[[str], Found]) -> Found:
    """What a process gives, within what is left of the time."""
    left = min(most_s, until - time.monotonic())
    if left < 1.0:
        return _missing("no time was left")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=left, check=False)
    except subprocess.TimeoutExpired:
        return {"state": "failed", "why": f"not done within {left:.0f} s"}
    try:
        return read(done.stdout)
    except ValueError:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        return {"state": "failed", "why": f"exit code {done.returncode}: {lines[-1][:300] if lines else 'no word'}"}


def _last_line(text: str) -> Found:
    lines = text.splitlines() or [""]
    found: Found = json.loads(lines[-1])
    return found


def _pytest(until: float) -> Found:
    words = ["-m", "gpu", "-p", "no:cacheprovider", "-rs", "-s", "tests/engines/runtimes/test_gpu.py"]

    def read(text: str) -> Found:
        lines = text.splitlines()
        summary = next(line for line in reversed(lines) if " in " in line and ("passed" in line or "skipped" in line))
        why = next((line for line in lines if line.startswith("SKIPPED")), "") if "passed" not in summary else ""
        state = "failed" if "failed" in summary or "error" in summary else "missing" if why else "done"
        return {"state": state, "why": why or (summary if state == "failed" else ""), "lines": lines[-60:]}

    try:
        return _process([sys.executable, "-m", "pytest", *words], until, 240.0, read)
    except StopIteration:
        return {"state": "failed", "why": "pytest gave no summary"}


def _environment() -> Found:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    tool = shutil.which("nvidia-smi")
    smi = subprocess.run([tool], capture_output=True, text=True, check=False).stdout if tool else "no nvidia-smi"
    runtimes = {name: str(kind.availability()) for name, kind in RUNTIMES.items()}
    return {"python": platform.python_version(), "packages": versions, "runtimes": runtimes, "nvidia-smi": smi}


def _make_bundles(folder: str, small: str) -> Found:
    """One of every kind and precision, of random weights."""
    try:
        from benchmarks.bundles import int8, random_weights
        from engines.export.onnx_export import half_bundle
        from engines.networks.registry import make_spec
    except ImportError as error:
        return {"state": "missing", "why": f'{error}; pip install "manet-live[train]"'}
    size = ["depth=18", "width=8", "size=64"] if int(small) else []
    made, refused, full = [], {}, {}
    for precision in PRECISIONS:  # those of one precision first: what there is no time for is missing
        for kind, settings in KINDS.items():
            path = Path(folder) / f"{kind}-{precision}"
            try:
                if precision == "fp32":
                    full[kind] = random_weights(make_spec("manet", [*size, "embedding=false", *settings]), path)
                elif precision == "fp16":
                    half_bundle(full[kind], path, path.name)
                else:
                    int8(full[kind], path)
                made.append(path.name)
            except (BadInput, Failed) as error:
                refused[path.name] = str(error)
    return {"state": "done", "made": made, "refused": refused}


def _build_plan(name: str, path: str) -> Found:
    """For the GPU at hand; without one as TensorRT-RTX builds ahead of time."""
    library, bundle = LIBRARIES[name], Bundle.load(path)
    try:
        library.load()
        gpu = None if _no_gpu() else find_gpu()
        if gpu is not None:
            library.check(gpu)
        plan = make_plan(bundle, library, gpu, BATCHES[-1], lambda *_: None, lambda _: None)
    except (BadInput, NoGpu) as error:
        return {"state": "missing", "why": str(error)}
    record = plan.record
    tensors = {tensor.name: [tensor.dtype, *tensor.shape] for tensor in record.tensors}
    return {
        "state": "done",
        "for": record.device,
        "build_s": record.build_s,
        "MB": round(len(plan.data) / 1e6, 2),
        "batch": record.batch,
        "tensors": tensors,
    }


def _run_plan(name: str, package: str, path: str) -> Found:
    """Parity with ONNX Runtime in fp32, p50 for every batch, and whether CUDA graphs are replayed."""
    try:
        find_gpu()
        kind = {"pycuda.driver": devices.PyCudaDevice, "cuda.bindings.runtime": devices.CudaPythonDevice}[package]
        module = importlib.import_module(package)
    except (NoGpu, ImportError) as error:
        return {"state": "missing", "why": str(error)}
    devices.open_device = lambda: kind(module)
    bundle, whole = Bundle.load(path), Path(f"{path.rpartition('-')[0]}-fp32")
    full = Bundle.load(whole if whole.exists() else path)
    found = RUNTIMES[name].availability()
    if not found:
        return {"state": "missing", "why": str(found)}
    with open_runtime(full, "onnxruntime") as reference, open_runtime(bundle, name) as runtime:
        clips = moving_patterns(61, 8, bundle.card.length, bundle.card.size)
        parity = compare(reference, runtime, {"clips": clips})
        share = parity.max_difference / parity.largest_logit
        p50 = {count: _p50(runtime, count) for count in BATCHES}
        graphs = len(runtime.graphs) if isinstance(runtime, NvidiaRuntime) else 0
    what = "frames" if bundle.card.network.states else "windows"
    right = share <= ALLOWED[bundle.card.precision]
    return {
        "state": "done" if right else "failed",
        "why": "" if right else f"logits differ by {share:.3g} of the largest",
        "difference": share,
        "top-1 agreement": parity.top1_agreement,
        f"p50 ms, by {what} at once": p50,
        "CUDA graphs recorded": graphs,
    }


def _p50(runtime: Runtime, count: int) -> float:
    """Of `count` windows, or of a frame of each of `count` videos, ms."""
    shape = runtime.bundle.card.network.inputs["clips"]
    clips = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    videos = [Video() for _ in range(count)]
    frames = np.ascontiguousarray(clips[:, 0])
    times = []
    for _ in range(WARM_UP + TIMED):
        start = time.perf_counter()
        if runtime.bundle.card.network.states:
            runtime.predict(frames, videos)
        else:
            runtime.infer(clips)
        times.append(1e3 * (time.perf_counter() - start))
    return round(float(np.median(times[WARM_UP:])), 3)


_JOBS: dict[str, Callable[..., Found]] = {"bundles": _make_bundles, "plan": _build_plan, "run": _run_plan}

if __name__ == "__main__":
    sys.exit(main())
