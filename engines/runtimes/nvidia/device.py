"""Device memory, page-locked memory, streams and events: pycuda's, or cuda-python's where pycuda is not installed.

Both work in the device's primary context, the one that TensorRT uses. Nothing here is allocated per window.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
PACKAGES = ("pycuda.driver", "cuda.bindings.runtime")  # in order of preference
INSTALL = "pip install pycuda, or cuda-bindings"


class CudaError(Exception):
    """A CUDA call failed; the call and its cause."""


class Stream:
    """A queue of work on the device."""

    def __init__(self, own: Any, handle: int) -> None:
        self.own, self.handle = own, handle


class Device(ABC):
    """The first GPU. `current` must be entered in whichever thread uses it.

    Addresses are plain ints. Every method raises CudaError, or pycuda's own errors, if the device does not obey.
    """

    @contextmanager
    def current(self) -> Iterator[None]:
        """The device's context, in this thread."""
        yield

    @abstractmethod
    def allocate(self, size: int) -> int:
        """Device memory of `size` bytes, freed by `close`."""

    @abstractmethod
    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> AnyArray:
        """Host memory that the device copies from and to by itself, freed by `close`."""

    @abstractmethod
    def stream(self) -> Stream: ...

    @abstractmethod
    def event(self) -> Any:
        """A mark in a stream, without timing."""

    @abstractmethod
    def record(self, event: Any, stream: Stream) -> None: ...

    @abstractmethod
    def wait(self, stream: Stream, event: Any) -> None:
        """What follows in `stream` starts when `event` has passed."""

    @abstractmethod
    def wait_here(self, event: Any) -> None:
        """Block this thread until `event` has passed."""

    @abstractmethod
    def upload(self, target: int, source: AnyArray, stream: Stream) -> None:
        """Page-locked, C-contiguous memory to the device; returns at once."""

    @abstractmethod
    def download(self, target: AnyArray, source: int, stream: Stream) -> None:
        """From the device to page-locked, C-contiguous memory; returns at once."""

    @abstractmethod
    def copy(self, target: int, source: int, size: int, stream: Stream) -> None:
        """Within the device; returns at once."""

    def capture(self, _stream: Stream, _work: Callable[[], None]) -> Callable[[], None] | None:
        """Record what `work` puts into the stream as a CUDA graph; gives what replays it, None where that is not to be
        had (pycuda)."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Free everything. Harmless on a lost device, whose memory is gone anyway."""


def installed() -> bool:
    """Is there a package to use? Imports none of them."""
    return any(_has(package) for package in PACKAGES)


def open_device() -> Device:
    """The first GPU, through the first package that is installed.

    Raises:
        CudaError: no package, or the device does not open.
    """
    for package, kind in zip(PACKAGES, (PyCudaDevice, CudaPythonDevice), strict=True):
        if _has(package):
            return kind(importlib.import_module(package))
    raise CudaError(f"no package for CUDA memory: {INSTALL}")


def _has(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of its parent
        return False


class PyCudaDevice(Device):
    """pycuda, whose contexts belong to the thread that pushed them."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        driver.init()
        self._context = driver.Device(0).retain_primary_context()
        self._memory: list[Any] = []

    @contextmanager
    def current(self) -> Iterator[None]:
        self._context.push()
        try:
            yield
        finally:
            self._driver.Context.pop()

    def allocate(self, size: int) -> int:
        self._memory.append(self._driver.mem_alloc(size))
        return int(self._memory[-1])

    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> AnyArray:
        array: AnyArray = self._driver.pagelocked_empty(shape, dtype)
        return array  # freed with the last reference

    def stream(self) -> Stream:
        own = self._driver.Stream()
        return Stream(own, own.handle)

    def event(self) -> Any:
        return self._driver.Event(self._driver.event_flags.DISABLE_TIMING)

    def record(self, event: Any, stream: Stream) -> None:
        event.record(stream.own)

    def wait(self, stream: Stream, event: Any) -> None:
        stream.own.wait_for_event(event)

    def wait_here(self, event: Any) -> None:
        event.synchronize()

    def upload(self, target: int, source: AnyArray, stream: Stream) -> None:
        self._driver.memcpy_htod_async(target, source, stream.own)

    def download(self, target: AnyArray, source: int, stream: Stream) -> None:
        self._driver.memcpy_dtoh_async(target, source, stream.own)

    def copy(self, target: int, source: int, size: int, stream: Stream) -> None:
        self._driver.memcpy_dtod_async(target, source, size, stream.own)

    def close(self) -> None:
        try:
            with self.current():
                for memory in self._memory:
                    memory.free()
            self._context.detach()
        except self._driver.Error:
            pass  # see the base class
        self._memory.clear()


class CudaPythonDevice(Device):
    """cuda-python's runtime API, which makes the primary context current in every thread by itself."""

    def __init__(self, runtime: Any) -> None:
        self._cuda = runtime
        self._frees: list[Callable[[], object]] = []
        self._ask("cudaSetDevice", 0)

    def _ask(self, call: str, *arguments: Any) -> Any:
        status, *values = getattr(self._cuda, call)(*arguments)
        if status != self._cuda.cudaError_t.cudaSuccess:
            text = self._cuda.cudaGetErrorString(status)[1].decode()
            raise CudaError(f"{call}: {text}")
        return values[0] if values else None

    def allocate(self, size: int) -> int:
        address = int(self._ask("cudaMalloc", size))
        self._frees.append(lambda: self._cuda.cudaFree(address))
        return address

    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> AnyArray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._ask("cudaHostAlloc", size, self._cuda.cudaHostAllocDefault))
        self._frees.append(lambda: self._cuda.cudaFreeHost(address))
        array: AnyArray = np.frombuffer(memoryview((ctypes.c_uint8 * size).from_address(address)), np.dtype(dtype))
        return array.reshape(shape)

    def stream(self) -> Stream:
        own = self._ask("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking)
        self._frees.append(lambda: self._cuda.cudaStreamDestroy(own))
        return Stream(own, int(own))

    def event(self) -> Any:
        event = self._ask("cudaEventCreateWithFlags", self._cuda.cudaEventDisableTiming)
        self._frees.append(lambda: self._cuda.cudaEventDestroy(event))
        return event

    def record(self, event: Any, stream: Stream) -> None:
        self._ask("cudaEventRecord", event, stream.own)

    def wait(self, stream: Stream, event: Any) -> None:
        self._ask("cudaStreamWaitEvent", stream.own, event, 0)

    def wait_here(self, event: Any) -> None:
        self._ask("cudaEventSynchronize", event)

    def upload(self, target: int, source: AnyArray, stream: Stream) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._ask("cudaMemcpyAsync", target, source.ctypes.data, source.nbytes, kind, stream.own)

    def download(self, target: AnyArray, source: int, stream: Stream) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._ask("cudaMemcpyAsync", target.ctypes.data, source, target.nbytes, kind, stream.own)

    def copy(self, target: int, source: int, size: int, stream: Stream) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._ask("cudaMemcpyAsync", target, source, size, kind, stream.own)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Callable[[], None] | None:
        # Of this thread alone: other threads may go on allocating.
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._ask("cudaStreamBeginCapture", stream.own, mode)
        try:
            work()
        except BaseException:
            self._cuda.cudaStreamEndCapture(stream.own)  # whose own complaint would hide the cause
            raise
        graph = self._ask("cudaStreamEndCapture", stream.own)
        replayable = self._ask("cudaGraphInstantiate", graph, 0)
        self._cuda.cudaGraphDestroy(graph)
        self._frees.append(lambda: self._cuda.cudaGraphExecDestroy(replayable))
        return lambda: self._ask("cudaGraphLaunch", replayable, stream.own)

    def close(self) -> None:
        for free in reversed(self._frees):  # statuses are not checked: see the base class
            free()
        self._frees.clear()
