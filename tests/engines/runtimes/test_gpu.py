"""What only a GPU can show: `pytest -m gpu`. Parity, latency against the bare library, and that nothing leaks."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from calibration.qdq import Graph
from calibration.quantize import INT8_TOLERANCE, judge
from calibration.ranges import measure_ranges
from calibration.windows import simulated_windows
from engines.__main__ import main
from engines.bundle import Bundle, find
from engines.card import Parity
from engines.export.onnx_export import TOLERANCES, half_bundle, to_onnx
from engines.export.weights import read_network
from engines.patterns import moving_patterns
from engines.runtimes import RUNTIMES, Runtime, open_runtime
from engines.runtimes.nvidia import device as devices
from engines.runtimes.nvidia.gpu import Gpu, NoGpu, find_gpu
from engines.runtimes.nvidia.library import LIBRARIES
from engines.runtimes.nvidia.plans import read_plan
from engines.runtimes.tensorrt_runtime import NvidiaRuntime

pytestmark = [pytest.mark.gpu, pytest.mark.clock]

WARM_UP, ROUNDS = 30, 300
MAX_OVERHEAD = 1.05  # of ours to the bare library's median
Percentiles = tuple[float, float]  # p50 and p99, milliseconds


@pytest.fixture(scope="session", autouse=True)
def some_gpu() -> Gpu:
    """Before anything large is made for nothing."""
    try:
        return find_gpu()
    except NoGpu as error:
        pytest.skip(str(error))


@pytest.fixture(params=list(LIBRARIES))
def name(request: pytest.FixtureRequest) -> str:
    found = RUNTIMES[request.param].availability()
    if not found:
        pytest.skip(f"{request.param}: {found}")
    return str(request.param)


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def bundle(request: pytest.FixtureRequest, official_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """MANet-50 in both precisions."""
    path = tmp_path_factory.mktemp("gpu") / str(request.param)
    return half_bundle(official_bundle, path, "fp16") if request.param == "fp16" else official_bundle.derive(path)


def opened(bundle: Bundle, name: str, batch: int) -> Runtime:
    assert main(["build", str(bundle.path), "--runtime", name, "--batch", str(batch)]) == 0
    return open_runtime(bundle, name)


@pytest.mark.parametrize("count", [1, 3, 4, 11])
def test_scores_are_those_of_the_reference_runtime(
    bundle: Bundle, official_bundle: Bundle, name: str, count: int
) -> None:
    """`official_bundle` is fp32; with 4 at once, 11 clips go in three turns."""
    clips = moving_patterns(61, count, 8, 224)
    with open_runtime(official_bundle, "onnxruntime") as reference:
        want = np.concatenate([reference.infer(clip[None]).logits for clip in clips])
    with opened(bundle, name, 4) as runtime:
        got = runtime.infer(clips).logits
        again = runtime.infer(clips[::-1].copy()).logits[::-1]
    allowed = 1e-3 if bundle.card.precision == "fp32" else TOLERANCES["fp16"]
    assert np.abs(got - want).max() <= allowed * np.abs(want).max()
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()
    assert np.abs(again - got).max() <= allowed * np.abs(want).max()  # scores do not mix up clips


@pytest.mark.parametrize("count", [1, 4, 16])
def test_latency_is_that_of_the_bare_library(
    bundle: Bundle, name: str, count: int, record_property: Callable[[str, object], None]
) -> None:
    clips = moving_patterns(62, count, 8, 224)
    with opened(bundle, name, count) as runtime:
        ours = percentiles(lambda: runtime.infer(clips))
    bare = bare_percentiles(bundle, name, clips)
    record_property("ms", {"ours": ours, "bare": bare})
    print(
        f"{find_gpu()}, {name} {bundle.card.precision}, {count} windows: p50 {ours[0]:.3f} ms, p99 {ours[1]:.3f} ms; "
        f"bare p50 {bare[0]:.3f} ms, p99 {bare[1]:.3f} ms"
    )
    assert ours[0] <= MAX_OVERHEAD * bare[0]


def percentiles(call: Callable[[], object]) -> Percentiles:
    times = []
    for index in range(WARM_UP + ROUNDS):
        start = time.perf_counter()
        call()
        if index >= WARM_UP:
            times.append(1e3 * (time.perf_counter() - start))
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def bare_percentiles(bundle: Bundle, name: str, clips: np.ndarray) -> Percentiles:
    """The library as its samples use it: one stream, page-locked memory, copy in, enqueue, copy out, wait."""
    device = devices.open_device()
    try:
        with device.current():
            return percentiles_on(device, bundle, name, clips)
    finally:
        device.close()


def percentiles_on(device: devices.Device, bundle: Bundle, name: str, clips: np.ndarray) -> Percentiles:
    trt = LIBRARIES[name].load()
    plan = read_plan(bundle, LIBRARIES[name], find_gpu())
    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plan.data)
    context = engine.create_execution_context()
    stream, done = device.stream(), device.event()
    pixels = device.page_locked(clips.shape, np.uint8)
    pixels[:] = clips
    source, target = device.allocate(pixels.nbytes), device.allocate(len(clips) * 52 * 4)
    logits = device.page_locked((len(clips), 52), np.float32)
    assert context.set_input_shape("clips", clips.shape)
    assert context.set_tensor_address("clips", source)
    assert context.set_tensor_address("logits", target)

    def call() -> None:
        device.upload(source, pixels, stream)
        assert context.execute_async_v3(stream.handle)
        device.download(logits, target, stream)
        device.record(done, stream)
        device.wait_here(done)

    found = percentiles(call)
    assert np.isfinite(logits).all()
    return found


@pytest.mark.parametrize("count", [1, 4, 16])
def test_faster_than_torch_with_cuda_graphs(
    bundle: Bundle, official_bundle: Bundle, name: str, count: int, record_property: Callable[[str, object], None]
) -> None:
    """torch in the bundle's precision, channels last, one graph, pixels from page-locked memory as ours."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch was built without CUDA: pip install torch from PyTorch's own index")
    clips = moving_patterns(65, count, 8, 224)
    dtype = torch.float16 if bundle.card.precision == "fp16" else torch.float32
    graph = read_network(official_bundle).to("cuda", dtype).to(memory_format=torch.channels_last)
    pixels = torch.from_numpy(clips).pin_memory()
    staged, replay = pixels.cuda(), torch.cuda.CUDAGraph()
    with torch.inference_mode():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                graph(staged)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(replay):
            logits = graph(staged)["logits"]

    def call() -> object:
        staged.copy_(pixels, non_blocking=True)
        replay.replay()
        return logits.cpu()

    theirs = percentiles(call)
    with opened(bundle, name, count) as runtime:
        ours = percentiles(lambda: runtime.infer(clips))
    record_property("ms", {"ours": ours, "torch": theirs})
    print(
        f"{find_gpu()}, {name} {bundle.card.precision}, {count} windows: p50 {ours[0]:.3f} ms, p99 {ours[1]:.3f} ms; "
        f"torch with CUDA graphs p50 {theirs[0]:.3f} ms, p99 {theirs[1]:.3f} ms"
    )
    assert ours[0] < theirs[0]


def test_int8_says_what_fp32_says(name: str, tmp_path: Path) -> None:
    """The default model, quantised on simulated windows: on others the same top action wherever something happens."""
    full = Bundle.load(find("landmarks-small"))
    ranging, judging = (
        simulated_windows(full.card, split, count, 0) for split, count in (("validation", 64), ("test", 400))
    )
    graph = Graph(to_onnx(read_network(full)))
    ranges = measure_ranges(graph.observed(), graph.activations, ranging.inputs, "percentile")
    made = full.derive(
        tmp_path / "int8",
        onnx=graph.quantised(ranges),
        precision="int8",
        parity=Parity(relative_tolerance=INT8_TOLERANCE),
    )
    with open_runtime(full, "onnxruntime") as before, opened(made, name, 16) as after:
        found = judge(full, before.run(judging.inputs), after.run(judging.inputs), judging.labels)
    print(f"{find_gpu()}, {name} int8: {found}")
    assert found.decided_agreement >= 0.99


def gpu_memory_mb() -> int:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        pytest.skip("nvidia-smi is not here to tell the GPU's memory")
    query = [tool, "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0])


def test_neither_windows_nor_restarts_leak(bundle: Bundle, name: str) -> None:
    clips = moving_patterns(63, 4, 8, 224)
    process = psutil.Process()

    def used() -> tuple[int, int]:
        return gpu_memory_mb(), process.memory_info().rss >> 20

    with opened(bundle, name, 2) as runtime:
        for count in (1, 2, 3, 4):
            runtime.infer(clips[:count])
        before = used()
        for index in range(2000):
            runtime.infer(clips[: 1 + index % 4])
        after = used()
    assert after[0] <= before[0] + 2, "GPU memory, MB"
    assert after[1] <= before[1] + 20, "host memory, MB"
    closed: list[tuple[int, int]] = []
    for _ in range(6):
        with open_runtime(bundle, name) as runtime:
            runtime.infer(clips)
        closed.append(used())
    assert closed[-1][0] <= closed[1][0] + 8, "GPU memory after restarts, MB"
    assert closed[-1][1] <= closed[1][1] + 40, "host memory after restarts, MB"


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per CUDA graph that was recorded: how often it was replayed."""
    replayed: list[int] = []
    capture = devices.CudaPythonDevice.capture

    def spy(self: devices.CudaPythonDevice, stream: devices.Stream, work: Callable[[], None]) -> Callable[[], None]:
        replay, index = capture(self, stream, work), len(replayed)
        assert replay is not None
        replayed.append(0)

        def counted() -> None:
            replayed[index] += 1
            replay()

        return counted

    monkeypatch.setattr(devices.CudaPythonDevice, "capture", spy)
    return replayed


def test_tensorrt_records_one_graph_per_size_of_batch(
    official_bundle: Bundle, tmp_path: Path, replays: list[int]
) -> None:
    kind = RUNTIMES["tensorrt"]
    found = kind.availability()
    if not found:
        pytest.skip(f"tensorrt: {found}")
    assert issubclass(kind, NvidiaRuntime)
    if importlib.util.find_spec("pycuda") is not None:
        pytest.skip("pycuda, which is preferred, has no CUDA graphs")
    clips = moving_patterns(64, 2, 8, 224)
    with opened(official_bundle.derive(tmp_path / "graphs"), "tensorrt", 2) as runtime:
        first = [runtime.infer(clips[:count]).logits for count in (1, 2)]
        again = [runtime.infer(clips[:count]).logits for count in (1, 2)]
    assert len(replays) == 2
    assert min(replays) >= 1
    for one, other in zip(first, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
