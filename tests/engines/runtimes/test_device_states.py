"""States that stay on a device. Its memory is this computer's here, and ONNX Runtime computes."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engines.bundle import Bundle
from engines.patterns import moving_patterns
from engines.runtimes import Video, check_parity, open_runtime
from engines.runtimes import tensorrt_runtime as nvidia
from engines.runtimes.nvidia import device as devices
from engines.runtimes.nvidia.device import Device, Stream
from engines.runtimes.nvidia.gpu import Gpu
from engines.runtimes.nvidia.library import Library
from engines.runtimes.nvidia.plans import Plan, Record
from engines.specs.base import Spec

pytestmark = pytest.mark.slow

BATCH = 3


class Memory(Device):
    """Copies in this computer's memory."""

    def __init__(self) -> None:
        self.kept: list[np.ndarray] = []
        self.copies = 0

    def allocate(self, size: int) -> int:
        self.kept.append(np.full(size, 255, np.uint8))  # NaN: nothing may rely on zeros
        return int(self.kept[-1].ctypes.data)

    def page_locked(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return np.zeros(shape, dtype)

    def stream(self) -> Stream:
        return Stream(None, 1)

    def event(self) -> Any:
        return object()

    def record(self, event: Any, stream: Stream) -> None: ...

    def wait(self, stream: Stream, event: Any) -> None: ...

    def wait_here(self, event: Any) -> None: ...

    def upload(self, target: int, source: Any, stream: Stream) -> None:
        ctypes.memmove(target, source.ctypes.data, source.nbytes)

    def download(self, target: Any, source: int, stream: Stream) -> None:
        ctypes.memmove(target.ctypes.data, source, target.nbytes)

    def copy(self, target: int, source: int, size: int, stream: Stream) -> None:
        self.copies += 1
        ctypes.memmove(target, source, size)

    def close(self) -> None:
        self.kept.clear()


class Context:
    """Runs the bundle's graph on what lies at the addresses that it was given."""

    def __init__(self, session: Any, spec: Spec) -> None:
        self.session, self.spec = session, spec
        self.addresses: dict[str, int] = {}
        self.count = 0

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return name in self.spec.graph_inputs or name in self.spec.graph_outputs

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert shape[1:] == self.spec.graph_inputs[name]
        self.count = shape[0]
        return self.count <= BATCH

    def set_device_memory(self, at: int, size: int) -> None: ...

    def view(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = int(np.prod((self.count, *shape))) * np.dtype(dtype).itemsize
        buffer = (ctypes.c_uint8 * size).from_address(self.addresses[name])
        return np.frombuffer(buffer, dtype).reshape(self.count, *shape)

    def execute_async_v3(self, stream: int) -> bool:
        inputs = {
            name: self.view(name, shape, np.float32 if name in self.spec.states else np.uint8)
            for name, shape in self.spec.graph_inputs.items()
        }
        outputs = self.session.run(list(self.spec.graph_outputs), inputs)
        for (name, shape), values in zip(self.spec.graph_outputs.items(), outputs, strict=True):
            self.view(name, shape, np.float32)[:] = values
        return True


def vendor(bundle: Bundle) -> Any:
    """As much of the vendor's module as running a plan needs."""
    session = onnxruntime.InferenceSession(bundle.onnx_path.read_bytes(), providers=["CPUExecutionProvider"])
    engine = SimpleNamespace(
        device_memory_size_v2=0, create_execution_context=lambda how: Context(session, bundle.card.network)
    )
    return SimpleNamespace(
        ILogger=type("Logger", (), {"INTERNAL_ERROR": 0, "ERROR": 1}),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED=2),
        Runtime=lambda log: SimpleNamespace(deserialize_cuda_engine=lambda plan: engine),
    )


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, streaming_bundle: Bundle) -> Memory:
    device, module = Memory(), vendor(streaming_bundle)
    record = Record("", "", "", "", "", "fp32", BATCH, (), "", "", 0.0)
    monkeypatch.setattr(nvidia, "find_gpu", lambda: Gpu("NVIDIA Pretended", (8, 9), (13, 0)))
    monkeypatch.setattr(Library, "check", lambda library, gpu: None)
    monkeypatch.setattr(Library, "load", lambda library: module)
    monkeypatch.setattr(nvidia, "read_plan", lambda *_: Plan(b"plan", record))
    monkeypatch.setattr(devices, "open_device", lambda: device)
    return device


def test_videos_of_any_batch_get_the_scores_that_they_get_alone(
    memory: Memory, streaming_bundle: Bundle, tmp_path: Path
) -> None:
    frames = moving_patterns(3, 5, 8, 32)  # (video, frame, S, S, 3)
    videos, at = [Video() for _ in frames], [0] * len(frames)
    expected, alone = [Video() for _ in frames], 0
    with open_runtime(streaming_bundle, "onnxruntime") as reference:
        runtime = nvidia.TensorRtRuntime(streaming_bundle.derive(tmp_path / "model"))
        with runtime:
            assert runtime.batch == BATCH
            assert check_parity(runtime) < 1e-4
            for batch in ((0,), (0, 1, 2), (0, 1, 2), (2, 0), (3, 4, 0, 1, 2), (1, 3), (4,), (0, 1, 2)):
                if batch == (1, 3):
                    for one in (videos[3], expected[3]):
                        one.begin()
                pictures = [frames[one][at[one] % 8] for one in batch]
                found = runtime.predict(np.stack(pictures), [videos[one] for one in batch])
                for row, one in enumerate(batch):
                    want = reference.predict(pictures[row][None], [expected[one]])
                    for name, values in want.items():
                        np.testing.assert_allclose(found[name][row], values[0], rtol=1e-4, atol=1e-4)
                    at[one] += 1
                    alone += 1
            assert [one.frames for one in videos] == [one.frames for one in expected] == [6, 5, 5, 1, 2]
            before = memory.copies
            runtime.predict(np.stack(pictures), videos[:3])  # the same batch as before: states stay where they are
            assert memory.copies - before == 1 + len(streaming_bundle.card.network.states)
            first = [one.memory for one in videos[:3]]
        assert [one.frames for one in videos[:3]] == [7, 6, 6]
        with runtime:  # another carrier: what lay on the device is gone
            runtime.predict(np.stack(pictures), videos[:3])
            assert [one.frames for one in videos[:3]] == [1, 1, 1]
            assert [one.memory for one in videos[:3]] != first
