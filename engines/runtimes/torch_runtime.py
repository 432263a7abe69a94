"""PyTorch on the CPU: the network rebuilt from the card and the weights inside model.onnx."""

from __future__ import annotations

from typing import Any

from engines.common.errors import BadInput
from engines.runtimes.base import Inputs, Outputs, Runtime


class TorchRuntime(Runtime):
    """The reference that the others are measured against; needs fp32 weights."""

    name = "torch"
    modules = ("torch", "onnx", "onnxscript")
    distributions = ("torch",)
    install = 'pip install "manet-live[train]"'

    _graph: Any = None
    _threads_before = 0

    def _activate(self) -> None:
        if self.bundle.card.precision != "fp32":
            raise BadInput("an fp32 bundle for the torch runtime", self.bundle.card.precision, "choose another runtime")
        import torch

        from engines.export.onnx_export import graph_from_onnx

        self._graph = graph_from_onnx(self.bundle.card.network, self.bundle.onnx_path)
        self._threads_before = torch.get_num_threads()
        if self.threads:
            torch.set_num_threads(self.threads)  # of the whole process; put back on close

    def _run(self, inputs: Inputs) -> Outputs:
        import torch

        network = self.bundle.card.network
        with torch.inference_mode():
            outputs = self._graph(*(torch.from_numpy(inputs[name]) for name in network.inputs))
        return {name: output.numpy() for name, output in zip(network.outputs, outputs, strict=True)}

    def _close(self) -> None:
        import torch

        self._graph = None
        torch.set_num_threads(self._threads_before)
