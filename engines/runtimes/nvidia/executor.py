"""Runs a plan: buffers made once, uploads overlapping computation, CUDA graphs where they can be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from engines.common.errors import BadInput
from engines.runtimes.base import Float32Array, Inputs, Outputs, UInt8Array
from engines.runtimes.nvidia.device import CudaError, Device
from engines.runtimes.nvidia.library import Library, collecting_log
from engines.runtimes.nvidia.plans import Plan

SLOTS = 2  # one is filled and uploaded while the other is computed


@dataclass(slots=True)
class _Slot:
    """Where one batch travels through."""

    inputs: dict[str, UInt8Array]  # page-locked (batch, ...) by input
    staged: dict[str, int]  # the same on the device
    scores: dict[str, Float32Array]  # page-locked (batch, width) by output
    uploaded: Any  # event
    done: Any  # event
    busy: tuple[int, int] | None = None  # first clip and number of clips whose scores are on their way


class Executor:
    """A loaded plan. Use it within `device.current()`, one call at a time; `device.close` frees its buffers.

    Raises:
        BadInput: the plan does not suit the GPU or its driver.
        RuntimeError: the library refuses the plan for another reason; what it says.
        CudaError: the device does not obey.
    """

    def __init__(self, library: Library, plan: Plan, device: Device, kernels: bytes = b"") -> None:
        self._trt = trt = library.load()
        self._log = collecting_log(trt)
        self._library, self._device = library, device
        self.batch = plan.record.batch
        self._shapes = {tensor.name: tensor.shape[1:] for tensor in plan.record.tensors if tensor.dtype == "UINT8"}
        self._bytes = {name: int(np.prod(shape)) for name, shape in self._shapes.items()}
        outputs = [tensor for tensor in plan.record.tensors if tensor.name not in self._shapes]
        self._runtime = trt.Runtime(self._log)
        self._refuse_misfit(plan.data)
        self._engine = self._runtime.deserialize_cuda_engine(plan.data)
        if self._engine is None:
            raise RuntimeError(self._log.cause("the plan cannot be loaded"))
        self._upload, self._compute = device.stream(), device.stream()
        self._inputs = {name: device.allocate(self.batch * each) for name, each in self._bytes.items()}
        widths = {output.name: output.shape[1] for output in outputs}
        self._outputs = {name: device.allocate(self.batch * width * 4) for name, width in widths.items()}
        self._slots = [self._slot(widths) for _ in range(SLOTS)]
        self._contexts: dict[int, Any] = {}  # by number of clips; one for all where the library keeps graphs itself
        self._replays: dict[int, Callable[[], None]] = {}
        self._cache: Any = None
        self._scratch = 0
        self.broken = False  # a turn failed: what was under way is unknown
        if library.portable:
            self._contexts[0] = self._self_capturing_context(kernels)
        else:
            self._scratch = device.allocate(max(1, self._engine.device_memory_size_v2))

    def run(self, inputs: Inputs) -> Outputs:
        """Scores of N inputs, by output float32 (N, width); more than `batch` go in several turns.

        While one turn is computed, the next is copied and uploaded.
        """
        count = len(next(iter(inputs.values())))
        if self.broken:
            raise RuntimeError("it broke before; close it and open it again")
        scores = {name: np.empty((count, array.shape[1]), np.float32) for name, array in self._slots[0].scores.items()}
        self.broken = True
        for turn, start in enumerate(range(0, count, self.batch)):
            slot = self._slots[turn % SLOTS]
            self._collect(slot, scores)
            self._send(slot, {name: array[start : start + self.batch] for name, array in inputs.items()}, start)
        for slot in self._slots:
            self._collect(slot, scores)
        self.broken = False
        return scores

    def kernels(self) -> bytes:
        """What was compiled for this GPU while running, for the next start; empty where nothing is."""
        return bytes(self._cache.serialize()) if self._cache is not None else b""

    def close(self) -> None:
        """Drop the vendor's objects, in the order that they need, for good; the device must still be open."""
        self._replays.clear()
        self._contexts.clear()
        self._slots.clear()
        del self._upload, self._compute
        self._cache = self._engine = self._runtime = None

    def _slot(self, widths: dict[str, int]) -> _Slot:
        device = self._device
        return _Slot(
            inputs={name: device.page_locked((self.batch, *shape), np.uint8) for name, shape in self._shapes.items()},
            staged={name: device.allocate(self.batch * each) for name, each in self._bytes.items()},
            scores={name: device.page_locked((self.batch, width), np.float32) for name, width in widths.items()},
            uploaded=device.event(),
            done=device.event(),
        )

    def _send(self, slot: _Slot, inputs: Inputs, start: int) -> None:
        device, count = self._device, len(next(iter(inputs.values())))
        for name, array in inputs.items():
            slot.inputs[name][:count] = array
            device.upload(slot.staged[name], slot.inputs[name][:count], self._upload)
        device.record(slot.uploaded, self._upload)
        device.wait(self._compute, slot.uploaded)
        # The network reads fixed addresses, which is what a CUDA graph remembers.
        for name, address in self._inputs.items():
            device.copy(address, slot.staged[name], count * self._bytes[name], self._compute)
        self._enqueue(count)
        for name, scores in slot.scores.items():
            device.download(scores[:count], self._outputs[name], self._compute)
        device.record(slot.done, self._compute)
        slot.busy = (start, count)

    def _collect(self, slot: _Slot, scores: dict[str, Float32Array]) -> None:
        if slot.busy is None:
            return
        (start, count), slot.busy = slot.busy, None
        self._device.wait_here(slot.done)
        for name, array in slot.scores.items():
            scores[name][start : start + count] = array[:count]

    def _enqueue(self, count: int) -> None:
        if count in self._replays:
            self._replays[count]()
            return
        if self._library.portable:
            context = self._contexts[0]
            self._shape(context, count)
            self._execute(context)
            return
        context = self._contexts[count] = self._context_for(count)
        self._execute(context)  # the first time a shape is run, TensorRT sets itself up; that cannot be captured
        self._replays[count] = self._captured(context) or partial(self._execute, context)

    def _context_for(self, count: int) -> Any:
        """One per number of clips: a graph stays valid only while its context keeps its shape.

        They share one scratch memory, because they run one after the other.
        """
        context = self._engine.create_execution_context(self._trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise RuntimeError(self._log.cause("no execution context"))
        context.set_device_memory(self._scratch, self._engine.device_memory_size_v2)
        self._bind(context)
        self._shape(context, count)
        return context

    def _captured(self, context: Any) -> Callable[[], None] | None:
        """What replays the context's work, where it can be recorded: a graph saves launches, it is not needed."""
        try:
            return self._device.capture(self._compute, partial(self._execute, context))
        except (RuntimeError, CudaError):
            return None

    def _self_capturing_context(self, kernels: bytes) -> Any:
        trt, config = self._trt, self._engine.create_runtime_config()
        config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # Compile for a shape when it is first seen: a live session must not change speed later.
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        self._cache = config.create_runtime_cache()
        if kernels:
            self._cache.deserialize(kernels)  # one from elsewhere is refused and left unused
        config.set_runtime_cache(self._cache)
        context = self._engine.create_execution_context(config)
        if context is None:
            raise RuntimeError(self._log.cause("no execution context"))
        self._bind(context)
        return context

    def _bind(self, context: Any) -> None:
        for name, address in {**self._inputs, **self._outputs}.items():
            if not context.set_tensor_address(name, address):
                raise RuntimeError(self._log.cause(f"no tensor {name}"))

    def _shape(self, context: Any, count: int) -> None:
        for name, shape in self._shapes.items():
            if not context.set_input_shape(name, (count, *shape)):
                raise RuntimeError(self._log.cause(f"{count} windows do not fit the plan"))

    def _execute(self, context: Any) -> None:
        if not context.execute_async_v3(self._compute.handle):
            raise RuntimeError(self._log.cause("the network could not be enqueued"))

    def _refuse_misfit(self, plan: bytes) -> None:
        """TensorRT-RTX reads from a plan's header whether it suits this GPU and driver, and says why not."""
        if not self._library.portable:
            return
        validity, diagnostics = self._runtime.get_engine_validity(plan)
        if validity == self._trt.EngineValidity.INVALID:
            kinds = self._trt.EngineInvalidityDiagnostics
            causes = [name for name, kind in kinds.__members__.items() if int(diagnostics) & int(kind)]
            got = ", ".join(causes).lower().replace("_", " ") or self._log.cause("no reason given")
            raise BadInput(f"a GPU and a driver that {self._library.name} can use", got, "choose another runtime")
