"""Runs a plan: buffers made once, uploads overlapping computation, CUDA graphs where they can be had.

Of a network that carries states, the states stay on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from engines.common.errors import BadInput
from engines.runtimes.base import AnyArray, Float32Array, Inputs, Outputs, UInt8Array
from engines.runtimes.nvidia.device import CudaError, Device
from engines.runtimes.nvidia.library import Library, collecting_log
from engines.runtimes.nvidia.plans import Plan
from engines.specs.base import Spec, next_state

SLOTS = 2  # one is filled and uploaded while the other is computed


@dataclass(frozen=True, slots=True, eq=False)
class DeviceStates:
    """The states of one video on the device, where they lie while other videos are computed."""

    addresses: dict[str, int]


@dataclass(slots=True)
class _Slot:
    """Where one batch travels through."""

    inputs: dict[str, AnyArray]  # page-locked (batch, ...) by input
    staged: dict[str, int]  # the same on the device
    scores: dict[str, Float32Array]  # page-locked (batch, ...) by output
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

    def __init__(self, library: Library, plan: Plan, device: Device, network: Spec, kernels: bytes = b"") -> None:
        self._trt = trt = library.load()
        self._log = collecting_log(trt)
        self._library, self._device = library, device
        self.batch = plan.record.batch
        own = {name: shape for name, shape in network.graph_inputs.items() if name not in network.states}
        self._shapes, self._states = network.graph_inputs, network.states
        self._dtype = np.dtype(network.input_dtype)
        self._bytes = {name: int(np.prod(shape)) * self._dtype.itemsize for name, shape in own.items()}
        self._state_bytes = {name: int(np.prod(shape)) * 4 for name, shape in self._states.items()}
        self._runtime = trt.Runtime(self._log)
        self._refuse_misfit(plan.data)
        self._engine = self._runtime.deserialize_cuda_engine(plan.data)
        if self._engine is None:
            raise RuntimeError(self._log.cause("the plan cannot be loaded"))
        self._upload, self._compute = device.stream(), device.stream()
        self._inputs = {name: device.allocate(self.batch * each) for name, each in self._bytes.items()}
        self._outputs = {
            name: device.allocate(self.batch * int(np.prod(shape)) * 4) for name, shape in network.outputs.items()
        }
        self._before, self._after = (
            {name: device.allocate(self.batch * each) for name, each in self._state_bytes.items()} for _ in range(2)
        )
        self._resident: list[DeviceStates] = []  # whose states lie in `_before`, in order
        self._slots = [self._slot(network) for _ in range(SLOTS)]
        self._contexts: dict[int, Any] = {}  # by number of clips; one for all where the library keeps graphs itself
        self._replays: dict[int, Callable[[], None]] = {}
        self.graphs: tuple[int, ...] = ()  # numbers of clips for which one was recorded
        self._cache: Any = None
        self._scratch = 0
        self._zeros: tuple[int, AnyArray] | None = None  # on the device, as large as the largest state; its source
        self.broken = False  # a turn failed: what was under way is unknown
        if library.portable:
            self._contexts[0] = self._self_capturing_context(kernels)
        else:
            self._scratch = device.allocate(max(1, self._engine.device_memory_size_v2))

    def run(self, inputs: Inputs) -> Outputs:
        """Scores of N inputs, by output float32 (N, ...); more than `batch` go in several turns.

        While one turn is computed, the next is copied and uploaded.
        """
        count = len(next(iter(inputs.values())))
        if self.broken:
            raise RuntimeError("it broke before; close it and open it again")
        scores = self._outputs_for(count)
        self.broken = True
        for turn, start in enumerate(range(0, count, self.batch)):
            slot = self._slots[turn % SLOTS]
            self._collect(slot, scores)
            self._send(slot, {name: array[start : start + self.batch] for name, array in inputs.items()}, start)
        for slot in self._slots:
            self._collect(slot, scores)
        self.broken = False
        return scores

    def memory(self) -> DeviceStates:
        """Room for the states of one video, zeros."""
        return DeviceStates({name: self._device.allocate(each) for name, each in self._state_bytes.items()})

    def step(self, frames: UInt8Array, memories: Sequence[DeviceStates], first: Sequence[bool]) -> Outputs:
        """The next frames (N, S, S, 3) of N videos; `first`: whose states are to be zeros before them."""
        if self.broken:
            raise RuntimeError("it broke before; close it and open it again")
        scores, slot = self._outputs_for(len(frames)), self._slots[0]
        self.broken = True
        for start in range(0, len(frames), self.batch):
            part = slice(start, start + self.batch)
            self._seat(memories[part], first[part])
            self._send(slot, {"frames": frames[part]}, start)
            for name, each in self._state_bytes.items():  # the next frame reads what this one wrote
                size = len(memories[part]) * each
                self._device.copy(self._before[name], self._after[name], size, self._compute)
            self._collect(slot, scores)
        self.broken = False
        return scores

    def _seat(self, memories: Sequence[DeviceStates], first: Sequence[bool]) -> None:
        """Bring the states of these videos into `_before`. While the same ones come again, they are there already."""
        if self._resident == list(memories) and not any(first):
            return
        for seat, states in enumerate(self._resident):
            self._move(states, seat, home=True)
        for seat, (states, begins) in enumerate(zip(memories, first, strict=True)):
            if begins:
                self._clear(states)
            self._move(states, seat, home=False)
        self._resident = list(memories)

    def _move(self, states: DeviceStates, seat: int, home: bool) -> None:
        for name, each in self._state_bytes.items():
            ends = states.addresses[name], self._before[name] + seat * each
            target, source = ends if home else ends[::-1]
            self._device.copy(target, source, each, self._compute)

    def _clear(self, states: DeviceStates) -> None:
        if self._zeros is None:
            zeros = self._device.page_locked((max(self._state_bytes.values()),), np.uint8)
            zeros[:] = 0
            self._zeros = self._device.allocate(zeros.nbytes), zeros
            self._device.upload(self._zeros[0], zeros, self._compute)
        for name, each in self._state_bytes.items():
            self._device.copy(states.addresses[name], self._zeros[0], each, self._compute)

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

    def _outputs_for(self, count: int) -> Outputs:
        return {name: np.empty((count, *array.shape[1:]), np.float32) for name, array in self._slots[0].scores.items()}

    def _slot(self, network: Spec) -> _Slot:
        device, shapes = self._device, network.graph_inputs
        return _Slot(
            inputs={name: device.page_locked((self.batch, *shapes[name]), self._dtype) for name in self._bytes},
            staged={name: device.allocate(self.batch * each) for name, each in self._bytes.items()},
            scores={
                name: device.page_locked((self.batch, *shape), np.float32) for name, shape in network.outputs.items()
            },
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
        captured = self._captured(context)
        self._replays[count] = captured or partial(self._execute, context)
        self.graphs += (count,) if captured else ()

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
        after = {next_state(name): address for name, address in self._after.items()}
        for name, address in {**self._inputs, **self._before, **self._outputs, **after}.items():
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
