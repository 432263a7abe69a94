"""OpenVINO on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.runtimes.base import Inputs, Outputs, Runtime


class OpenVinoRuntime(Runtime):
    """Compiles model.onnx for one clip at a time, as the live path asks.

    Several clips run one after the other, so that a clip's scores do not depend on its company.
    """

    name = "openvino"
    modules = ("openvino",)
    distributions = ("openvino",)
    install = "pip install openvino"

    _request: Any = None

    def _activate(self) -> None:
        import openvino

        core = openvino.Core()
        # Bytes, not a path: a file that points at other files cannot be followed.
        model = core.read_model(self.bundle.onnx_path.read_bytes())
        model.reshape({name: [1, *shape] for name, shape in self.bundle.card.network.inputs.items()})
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Left alone, it computes in bfloat16 on CPUs that have it. Precision is the bundle's to decide.
            "INFERENCE_PRECISION_HINT": "f32",
            # A pinned thread waits for its core even while the capture process is using it.
            "ENABLE_CPU_PINNING": False,
        }
        if self.threads:
            settings["INFERENCE_NUM_THREADS"] = self.threads
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    def _run(self, inputs: Inputs) -> Outputs:
        rows: dict[str, list[Any]] = {name: [] for name in self.bundle.card.network.outputs}
        for index in range(len(next(iter(inputs.values())))):
            self._request.infer({name: array[index : index + 1] for name, array in inputs.items()})
            for name, row in rows.items():
                # The request's memory is overwritten by the next clip.
                row.append(np.array(self._request.get_tensor(name).data, dtype=np.float32))
        return {name: np.concatenate(row) for name, row in rows.items()}

    def _close(self) -> None:
        self._request = None
