"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

from engines.runtimes.base import Inputs, Outputs, Runtime


class OnnxRuntime(Runtime):
    """Runs model.onnx as it is."""

    name = "onnxruntime"
    modules = ("onnxruntime",)
    distributions = ("onnxruntime", "onnxruntime-gpu")
    install = "pip install onnxruntime"

    _session: Any = None

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

    def _run(self, inputs: Inputs) -> Outputs:
        names = list(self.bundle.card.network.outputs)
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))

    def _close(self) -> None:
        self._session = None
