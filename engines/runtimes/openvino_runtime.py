"""OpenVINO on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.runtimes.base import Runtime, Scores, UInt8Array


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
        model.reshape([1, *self.bundle.card.network.clip_shape])
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

    def _infer(self, clips: UInt8Array) -> Scores:
        names = ["logits", "embedding"] if self.bundle.card.network.embedding else ["logits"]
        rows: list[list[Any]] = [[] for _ in names]
        for index in range(len(clips)):
            self._request.infer({0: clips[index : index + 1]})
            for row, name in zip(rows, names, strict=True):
                # The request's memory is overwritten by the next clip.
                row.append(np.array(self._request.get_tensor(name).data, dtype=np.float32))
        arrays = [np.concatenate(row) for row in rows]
        return Scores(arrays[0], arrays[1] if len(arrays) > 1 else None)

    def _close(self) -> None:
        self._request = None
