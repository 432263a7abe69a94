"""OpenVINO on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.runtimes.base import Inputs, Outputs, Runtime
from engines.runtimes.openvino_unsigned import use_unsigned


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
        model.reshape({name: [1, *shape] for name, shape in self.bundle.card.network.inputs.items()})
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
        self._inputs = {name: self._request.get_tensor(name).data for name in network.inputs}
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

    def _close(self) -> None:
        self._inputs, self._outputs = {}, {}
        self._request = None
