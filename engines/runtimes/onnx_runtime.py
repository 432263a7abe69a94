"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.runtimes.base import HostStates, Inputs, Outputs, Runtime, UInt8Array
from engines.specs.base import next_state


class OnnxRuntime(Runtime):
    """Runs model.onnx as it is."""

    name = "onnxruntime"
    modules = ("onnxruntime",)
    distributions = ("onnxruntime", "onnxruntime-gpu")
    install = "pip install onnxruntime"

    _session: Any = None
    _outputs: Outputs  # (1, ...) each, that frames' scores are written to

    def _activate(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Waiting workers would spin on cores that the capture process needs; not spinning costs no measurable time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Bytes, not a path: a file that points at other files cannot be followed.
        self._session = onnxruntime.InferenceSession(
            self.bundle.onnx_path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        network = self.bundle.card.network
        self._outputs = {name: np.zeros((1, *shape), np.float32) for name, shape in network.outputs.items()}

    def _run(self, inputs: Inputs) -> Outputs:
        names = list(self.bundle.card.network.outputs)
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))

    def _step_one(self, frame: UInt8Array, states: HostStates) -> Outputs:
        """States are read and written where they lie: nothing is copied, nothing allocated."""
        binding, outputs = self._session.io_binding(), self._outputs
        binding.bind_input("frames", "cpu", 0, np.uint8, (1, *frame.shape), frame.ctypes.data)
        for name, before in states.before.items():
            after = states.after[name]
            binding.bind_input(name, "cpu", 0, np.float32, before.shape, before.ctypes.data)
            binding.bind_output(next_state(name), "cpu", 0, np.float32, after.shape, after.ctypes.data)
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)
        return {name: array[0].copy() for name, array in outputs.items()}

    def _close(self) -> None:
        self._session = None
