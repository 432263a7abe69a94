"""OpenVINO on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.runtimes.base import HostStates, Inputs, Outputs, Runtime, UInt8Array
from engines.runtimes.openvino_unsigned import use_unsigned
from engines.specs.base import next_state


class OpenVinoRuntime(Runtime):
    """Compiles model.onnx for one clip at a time, as the live path asks.

    Several clips run one after the other, so that a clip's scores do not depend on the others.
    """

    name = "openvino"
    modules = ("openvino",)
    distributions = ("openvino",)
    install = "pip install openvino"

    _request: Any = None
    _inputs: dict[str, Any]  # uint8 (1, ...) by name
    _outputs: dict[str, Any]  # float32 (1, ...) by name

    def _activate(self) -> None:
        import openvino

        core = openvino.Core()
        # Bytes, not a path: a file that points at other files cannot be followed.
        model = core.read_model(self.bundle.onnx_path.read_bytes())
        model.reshape({name: [1, *shape] for name, shape in self.bundle.card.network.graph_inputs.items()})
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # A pinned thread waits for its core even while the capture process is using it.
            "ENABLE_CPU_PINNING": False,
        }
        if self.bundle.card.precision == "int8":
            use_unsigned(model)  # what is not int8 may be bfloat16 where the CPU has it: INT8 has rounded more
        else:
            # Left alone, it computes in bfloat16 on CPUs that have it. Precision is the bundle's to decide.
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        if self.threads:
            settings["INFERENCE_NUM_THREADS"] = self.threads
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        # Views of the request's own memory, so that nothing is allocated for a window.
        network = self.bundle.card.network
        own = ("frames",) if network.states else network.inputs
        self._inputs = {name: self._request.get_tensor(name).data for name in own}
        self._outputs = {name: self._request.get_tensor(name).data for name in network.outputs}

    def _run(self, inputs: Inputs) -> Outputs:
        count = len(next(iter(inputs.values())))
        outputs = {name: np.empty((count, *view.shape[1:]), np.float32) for name, view in self._outputs.items()}
        for index in range(count):
            for name, view in self._inputs.items():
                view[0] = inputs[name][index]
            self._request.infer()
            for name, rows in outputs.items():
                rows[index] = self._outputs[name][0]
        return outputs

    def _step_one(self, frame: UInt8Array, states: HostStates) -> Outputs:
        """States are read and written where they lie."""
        import openvino

        tensors = states.runtime or {
            str(array.ctypes.data): openvino.Tensor(array, shared_memory=True)
            for side in (states.before, states.after)
            for array in side.values()
        }
        states.runtime = tensors
        for name, before in states.before.items():
            self._request.set_tensor(name, tensors[str(before.ctypes.data)])
            self._request.set_tensor(next_state(name), tensors[str(states.after[name].ctypes.data)])
        self._inputs["frames"][0] = frame
        self._request.infer()
        return {name: view[0].copy() for name, view in self._outputs.items()}

    def _close(self) -> None:
        self._inputs, self._outputs = {}, {}
        self._request = None
