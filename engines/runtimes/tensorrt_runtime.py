"""TensorRT and TensorRT-RTX on an NVIDIA GPU. Not run on a GPU yet: see docs/tensorrt.md."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import ClassVar

from engines.common.errors import BadInput
from engines.runtimes.base import Availability, Inputs, Outputs, Runtime, UInt8Array
from engines.runtimes.nvidia import device as devices
from engines.runtimes.nvidia.executor import DeviceStates, Executor
from engines.runtimes.nvidia.gpu import Gpu, NoGpu, find_gpu
from engines.runtimes.nvidia.library import TENSORRT, TENSORRT_RTX, Library
from engines.runtimes.nvidia.plans import Plan, PlanMismatch, make_plan, read_plan, replace_file, runtime_cache_path


class NvidiaRuntime(Runtime):
    """Runs the plan in the bundle's cache, and builds it first where there is none that fits.

    More clips than the plan takes at once run in several turns; `python -m engines build --batch` takes more at once.
    """

    library: ClassVar[Library]
    may_be_lost = True

    _opened: ExitStack | None = None
    _device: devices.Device
    _executor: Executor

    @classmethod
    def availability(cls) -> Availability:
        """Looks for the modules without importing them, and for a GPU whose driver is new enough."""
        found = super().availability()
        if not found:
            return found
        if not devices.installed():
            return Availability(None, f"pycuda and cuda-bindings not installed; {devices.INSTALL}")
        try:
            gpu = find_gpu()
            cls.library.check(gpu)
        except NoGpu as error:
            return Availability(None, str(error))
        return Availability(f"{found.version} on {gpu.name}, {gpu.driver}")

    def _activate(self) -> None:
        try:
            gpu = find_gpu()
            self.library.check(gpu)
        except NoGpu as error:
            raise BadInput(f"an NVIDIA GPU for {self.name}", str(error), "choose another runtime") from None
        plan = self._plan(gpu)
        with ExitStack() as stack:
            device = devices.open_device()
            stack.callback(device.close)
            with device.current():
                executor = Executor(self.library, plan, device, self.bundle.card.network, self._known_kernels())
            stack.callback(self._close_executor, device, executor)
            self._device, self._executor = device, executor
            self.batch = executor.batch
            self._opened = stack.pop_all()

    def _run(self, inputs: Inputs) -> Outputs:
        with self._device.current():
            return self._executor.run(inputs)

    @property
    def graphs(self) -> tuple[int, ...]:
        """Numbers of clips, or of frames, for which a CUDA graph of ours was recorded."""
        return self._executor.graphs

    @property
    def _carrier(self) -> object:
        return self._executor  # states lie on its device, as long as that is open

    def _memory(self) -> DeviceStates:
        with self._device.current():
            return self._executor.memory()

    def _step(self, frames: UInt8Array, memories: Sequence[DeviceStates], first: Sequence[bool]) -> Outputs:
        with self._device.current():
            return self._executor.step(frames, memories, first)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
            del self._device, self._executor

    def _plan(self, gpu: Gpu) -> Plan:
        try:
            return read_plan(self.bundle, self.library, gpu)
        except PlanMismatch as mismatch:
            self.report(f"{self.name}: {str(mismatch).rpartition('; ')[0]}; building it, which may take minutes")
            batch = mismatch.batch
        plan = make_plan(self.bundle, self.library, gpu, batch, lambda *_: None, self.report)
        self.report(f"{self.name}: plan for {gpu} built in {plan.record.build_s:.1f} s")
        return plan

    def _known_kernels(self) -> bytes:
        path = runtime_cache_path(self.bundle, self.library)
        try:
            return path.read_bytes() if self.library.portable else b""
        except OSError:
            return b""

    def _close_executor(self, device: devices.Device, executor: Executor) -> None:
        if executor.broken:  # nothing that is asked of a lost device can be relied on
            executor.close()
            return
        with device.current():
            kernels = executor.kernels()
            executor.close()
        if kernels and kernels != self._known_kernels():
            with suppress(OSError):  # a read-only bundle compiles again next time
                replace_file(runtime_cache_path(self.bundle, self.library), kernels)


class TensorRtRuntime(NvidiaRuntime):
    """Plans for one GPU and one driver, kernels chosen by measurement when the plan is built."""

    library = TENSORRT
    name, distributions, install = TENSORRT.name, TENSORRT.distributions, TENSORRT.install
    modules = (TENSORRT.module,)


class TensorRtRtxRuntime(NvidiaRuntime):
    """Plans for any GeForce or RTX GPU, kernels compiled when they first run."""

    library = TENSORRT_RTX
    name, distributions, install = TENSORRT_RTX.name, TENSORRT_RTX.distributions, TENSORRT_RTX.install
    modules = (TENSORRT_RTX.module,)
