"""How the NVIDIA runtimes fail. The hardware that is pretended here only ever fails; `pytest -m gpu` runs real ones."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes import Availability, Runtime, RuntimeFailed, available, open_runtime, select
from engines.runtimes import tensorrt_runtime as nvidia
from engines.runtimes.base import Inputs, Outputs
from engines.runtimes.nvidia import device as devices
from engines.runtimes.nvidia import gpu as gpus
from engines.runtimes.nvidia.builder import Tensor
from engines.runtimes.nvidia.device import CudaError, Device, Stream
from engines.runtimes.nvidia.executor import Executor
from engines.runtimes.nvidia.gpu import Gpu, NoGpu, find_gpu
from engines.runtimes.nvidia.library import TENSORRT, TENSORRT_RTX, Library
from engines.runtimes.nvidia.plans import Plan, Record, make_plan
from tests.conftest import manet_live

pytestmark = pytest.mark.slow

GPU = Gpu("NVIDIA Pretended", (8, 9), (13, 0))
needs_rtx = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")


def without_gpu() -> bool:
    try:
        find_gpu()
    except NoGpu:
        return True
    return False


no_gpu_here = pytest.mark.skipif(not without_gpu(), reason="there is a GPU here")


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (100, "the driver finds no GPU"),
        (35, "the driver is too old"),
        (803, "of different versions"),
        (999, "cuInit of the NVIDIA driver failed with 999"),
    ],
)
def test_a_driver_that_refuses_says_why(monkeypatch: pytest.MonkeyPatch, status: int, cause: str) -> None:
    def cu_init(_flags: int) -> int:
        return status

    cu_init.__name__ = "cuInit"
    library = SimpleNamespace(cuInit=cu_init, cuDriverGetVersion=None, cuDeviceGet=None, cuDeviceGetName=None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    with pytest.raises(NoGpu, match=cause):
        find_gpu()


def test_no_driver_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_LIBRARY", "libcuda-absent.so.1")
    with pytest.raises(NoGpu, match=r"no NVIDIA driver \(libcuda-absent.so.1 cannot be loaded\)"):
        find_gpu()


@needs_rtx
@no_gpu_here
def test_without_a_gpu_every_way_in_gives_one_line(small_bundle: Bundle) -> None:
    found = available()["tensorrt-rtx"]
    assert not found
    assert "NVIDIA driver" in str(found) or "no GPU" in str(found)
    with pytest.raises(BadInput, match=r"expected the runtime tensorrt-rtx to be usable here, got .*; or choose"):
        open_runtime(small_bundle, "tensorrt-rtx")
    with pytest.raises(BadInput, match="an NVIDIA GPU for tensorrt-rtx"):
        nvidia.TensorRtRtxRuntime(small_bundle).activate()
    with open_runtime(small_bundle) as runtime:
        assert not runtime.may_be_lost
    done = manet_live("demo", "--headless", "--engine", "tensorrt-rtx")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("manet-live: error: expected the runtime tensorrt-rtx to be usable here")
    assert done.err.count("\n") == 1


@needs_rtx
def test_an_old_driver_or_missing_cuda_package_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = nvidia.TensorRtRtxRuntime
    monkeypatch.setattr(nvidia, "find_gpu", lambda: Gpu("NVIDIA Old", (8, 6), (12, 4)))
    assert "runs CUDA 12.4, tensorrt-rtx-cu13 needs CUDA 13" in str(kind.availability())
    monkeypatch.setattr(nvidia, "find_gpu", lambda: GPU)
    assert str(kind.availability()) == f"{TENSORRT_RTX.version} on NVIDIA Pretended, CUDA 13.0"
    monkeypatch.setattr(devices, "PACKAGES", ("absent.driver", "absent.too"))
    assert "pip install pycuda, or cuda-bindings" in str(kind.availability())


@no_gpu_here
@pytest.mark.skipif(not devices.installed(), reason="neither pycuda nor cuda-bindings is installed")
def test_the_real_cuda_package_names_the_call_that_failed() -> None:
    with pytest.raises(CudaError, match=r"cudaSetDevice: .*driver"):
        devices.open_device()


@needs_rtx
@no_gpu_here
def test_the_real_library_says_why_it_refuses_a_plan(small_bundle: Bundle, tmp_path: Path) -> None:
    bundle = small_bundle.derive(tmp_path / "small")
    plan = make_plan(bundle, TENSORRT_RTX, None, 1, lambda *_: None, lambda _: None)
    with pytest.raises(BadInput, match=r"a GPU and a driver that tensorrt-rtx can use, got .*CUDA.*; choose another"):
        Executor(TENSORRT_RTX, plan, FailingDevice(), bundle.card.network)


class FailingDevice(Device):
    """Obeys until `fails` is set, and computes nothing."""

    def __init__(self) -> None:
        self.fails = ""
        self.closed = False
        self.order: list[str] = []

    def allocate(self, size: int) -> int:
        return 256 * size

    def page_locked(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return np.zeros(shape, dtype)

    def stream(self) -> Stream:
        return Stream(None, 1)

    def event(self) -> Any:
        return object()

    def record(self, event: Any, stream: Stream) -> None: ...

    def wait(self, stream: Stream, event: Any) -> None: ...

    def wait_here(self, event: Any) -> None:
        self.order.append("wait")
        if self.fails:
            raise CudaError(self.fails)

    def upload(self, target: int, source: Any, stream: Stream) -> None:
        self.order.append("upload")

    def download(self, target: Any, source: int, stream: Stream) -> None: ...

    def copy(self, target: int, source: int, size: int, stream: Stream) -> None: ...

    def close(self) -> None:
        self.closed = True


class Logger:
    INTERNAL_ERROR, ERROR, WARNING = range(3)


class Broken:
    """As much of the vendor's module as a failing enqueue needs."""

    ILogger = Logger
    EngineValidity = SimpleNamespace(INVALID=2)
    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED=2)
    CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE=1)
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER=1)

    def __init__(self) -> None:
        self.enqueues = True
        self.log: Any = None

    def Runtime(self, log: Any) -> Any:  # noqa: N802  # the vendor's name
        self.log = log
        context = SimpleNamespace(
            set_tensor_address=lambda name, address: True,
            execute_async_v3=self.enqueue,
            set_input_shape=lambda name, shape: True,
            set_device_memory=lambda at, size: None,
        )
        cache = SimpleNamespace(serialize=lambda: b"kernels")
        config = SimpleNamespace(create_runtime_cache=lambda: cache, set_runtime_cache=lambda cache: True)
        engine = SimpleNamespace(
            create_runtime_config=lambda: config, device_memory_size_v2=0, create_execution_context=lambda how: context
        )
        return SimpleNamespace(get_engine_validity=lambda plan: (0, 0), deserialize_cuda_engine=lambda plan: engine)

    def enqueue(self, stream: int) -> bool:
        if not self.enqueues:
            self.log.log(Logger.WARNING, "a remark")
            self.log.log(Logger.ERROR, "Cuda Runtime (an illegal memory\naccess was encountered)")
            self.log.log(Logger.ERROR, "what followed from it")
        return self.enqueues


Opened = tuple[Runtime, Broken, FailingDevice]


@pytest.fixture(params=[nvidia.TensorRtRuntime, nvidia.TensorRtRtxRuntime], ids=lambda kind: str(kind.name))
def opened(
    request: pytest.FixtureRequest, small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Opened:
    """An active runtime over hardware that is about to fail, its plan for two windows at once."""
    module, device = Broken(), FailingDevice()
    tensors = (
        Tensor("clips", "UINT8", (-1, 8, 64, 64, 3)),
        Tensor("logits", "FLOAT", (-1, 52)),
        Tensor("embedding", "FLOAT", (-1, 300)),
    )
    record = Record("", "", "", "", "", "fp32", 2, tensors, "", "", 0.0)
    monkeypatch.setattr(nvidia, "find_gpu", lambda: GPU)
    monkeypatch.setattr(Library, "check", lambda library, gpu: None)
    monkeypatch.setattr(Library, "load", lambda library: module)
    monkeypatch.setattr(nvidia, "read_plan", lambda *_: Plan(b"plan", record))
    monkeypatch.setattr(devices, "open_device", lambda: device)
    runtime = request.param(small_bundle.derive(tmp_path / "model"))
    runtime.activate()
    return runtime, module, device


CLIPS = np.zeros((5, 8, 64, 64, 3), np.uint8)


def test_a_failed_enqueue_is_an_error_with_its_cause(opened: Opened) -> None:
    runtime, module, device = opened
    runtime.infer(CLIPS[:1])
    module.enqueues = False
    with pytest.raises(RuntimeFailed, match=rf"^{runtime.name} broke on 1 clips: Cuda Runtime \(an illegal memory acc"):
        runtime.infer(CLIPS[:1])
    module.enqueues = True  # what was under way is unknown all the same
    with pytest.raises(RuntimeFailed, match="it broke before; close it and open it again"):
        runtime.infer(CLIPS[:1])
    runtime.close()
    assert device.closed
    runtime.activate()
    runtime.infer(CLIPS)


def test_a_lost_device_is_an_error_with_its_cause(opened: Opened) -> None:
    runtime, _, device = opened
    device.fails = "cudaEventSynchronize: unspecified launch failure"
    with pytest.raises(RuntimeFailed, match="broke on 5 clips: cudaEventSynchronize: unspecified launch failure"):
        runtime.infer(CLIPS)
    runtime.close()
    assert device.closed


def test_the_next_batch_is_uploaded_before_the_last_is_awaited(opened: Opened) -> None:
    runtime, _, device = opened
    runtime.infer(CLIPS)  # 2 + 2 + 1
    assert device.order == ["upload", "upload", "wait", "upload", "wait", "wait"]


def test_a_device_that_does_not_open_leaves_nothing_behind(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, _, device = opened
    runtime.close()
    device.closed = False

    def refuse(size: int) -> int:
        raise CudaError("cudaMalloc: out of memory")

    monkeypatch.setattr(device, "allocate", refuse)
    with pytest.raises(RuntimeFailed, match="cannot load small: cudaMalloc: out of memory"):
        runtime.activate()
    assert device.closed
    runtime.close()


def test_what_was_compiled_while_running_is_kept(opened: Opened) -> None:
    runtime, _, _ = opened
    runtime.close()
    kept = runtime.bundle.engines_path / f"{runtime.name}.kernels"
    assert kept.is_file() == (runtime.name == TENSORRT_RTX.name)
    assert runtime.name != TENSORRT_RTX.name or kept.read_bytes() == b"kernels"


def test_a_gpu_that_tensorrt_rtx_does_not_know_is_bad_input(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, module, device = opened
    runtime.close()
    known = {"VERSION_MISMATCH": 1, "UNSUPPORTED_CC": 2}
    monkeypatch.setattr(Broken, "EngineValidity", SimpleNamespace(INVALID=0))
    monkeypatch.setattr(Broken, "EngineInvalidityDiagnostics", SimpleNamespace(__members__=known), raising=False)
    vendor = module.Runtime
    monkeypatch.setattr(
        module,
        "Runtime",
        lambda log: SimpleNamespace(**vars(vendor(log)) | {"get_engine_validity": lambda plan: (0, 2)}),
    )
    if not isinstance(runtime, nvidia.TensorRtRtxRuntime):
        runtime.activate()  # TensorRT has no such question
        return
    with pytest.raises(BadInput, match="that tensorrt-rtx can use, got unsupported cc; choose another runtime"):
        runtime.activate()
    assert device.closed


def test_a_network_that_needs_a_gpu_to_build_says_so() -> None:
    assert TENSORRT.target(GPU) == "NVIDIA Pretended (compute capability 8.9)"
    with pytest.raises(NoGpu):
        TENSORRT.target(None)
    assert TENSORRT_RTX.target(None) == TENSORRT_RTX.target(GPU) == "any GPU since compute capability 8.0"
    unlisted = Gpu("NVIDIA Hopper", (9, 0), (13, 0))
    assert TENSORRT_RTX.target(unlisted) == "NVIDIA Hopper (compute capability 9.0)"
    assert [TENSORRT_RTX.builds_for(gpu) for gpu in (None, GPU, unlisted)] == [False, False, True]
    with pytest.raises(NoGpu, match=r"NVIDIA Turing \(compute capability 7.5\) is too old"):
        TENSORRT_RTX.check(Gpu("NVIDIA Turing", (7, 5), (13, 0)))


class Losable(Runtime):
    """A GPU that is lost when told so, or a CPU that is not."""

    modules, distributions, install = (), (), ""
    lost = False
    active = 0

    @classmethod
    def availability(cls) -> Availability:
        return Availability("1")

    def _activate(self) -> None:
        type(self).active += 1

    def _run(self, inputs: Inputs) -> Outputs:
        if type(self).lost:
            raise CudaError("cudaGraphLaunch: the device was lost")
        count = len(inputs["clips"])
        return {"logits": self.bundle.reference()[1][:count], "embedding": np.zeros((count, 300), np.float32)}

    def _close(self) -> None:
        type(self).active -= 1


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Losable]]:
    made = {
        name: type(name, (Losable,), {"name": name, "may_be_lost": name != "processor"})
        for name in ("card", "spare-card", "processor")
    }
    speed = {"card": 1.0, "spare-card": 2.0, "processor": 9.0}
    monkeypatch.setattr(select, "RUNTIMES", made)
    monkeypatch.setattr(select, "times_ms", lambda runtime: [speed[runtime.name]])
    return made


Copy = Callable[[], Path]


def test_auto_goes_on_without_a_lost_gpu_and_says_so(copied: Copy, kinds: dict[str, type[Losable]]) -> None:
    lines: list[str] = []
    bundle = Bundle.load(copied())
    clips, logits = bundle.reference()
    for _ in range(2):  # the second time it is remembered as the fastest
        with open_runtime(bundle, report=lines.append) as runtime:
            assert runtime.name == "card"
            runtime.infer(clips)
            kinds["card"].lost = True
            lines.clear()
            np.testing.assert_array_equal(runtime.infer(clips).logits, logits)  # no window is lost
            assert runtime.name == "processor"
            assert [kind.active for kind in kinds.values()] == [0, 0, 1]
            assert lines[0] == ("card broke on 2 clips: cudaGraphLaunch: the device was lost; going on without it")
            assert lines[-1] == "processor has taken over"
        assert [kind.active for kind in kinds.values()] == [0, 0, 0]
        kinds["card"].lost = False


def test_a_runtime_that_was_asked_for_is_not_replaced(copied: Copy, kinds: dict[str, type[Losable]]) -> None:
    with open_runtime(Bundle.load(copied()), "card") as runtime:
        kinds["card"].lost = True
        with pytest.raises(RuntimeFailed, match="the device was lost"):
            runtime.infer(runtime.bundle.reference()[0])


def test_when_the_other_breaks_too_the_session_ends_with_its_cause(
    copied: Copy, kinds: dict[str, type[Losable]]
) -> None:
    with open_runtime(Bundle.load(copied())) as runtime:
        kinds["card"].lost = True
        runtime.infer(runtime.bundle.reference()[0])
        kinds["processor"].lost = True
        with pytest.raises(RuntimeFailed, match=r"^processor broke on 2 clips: cudaGraphLaunch"):
            runtime.infer(runtime.bundle.reference()[0])
