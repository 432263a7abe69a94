"""PyTorch on the CPU: the network built from the card, and its weights."""

from __future__ import annotations

from typing import Any

from engines.common.errors import BadInput
from engines.runtimes.base import HostStates, Inputs, Outputs, Runtime, UInt8Array


class TorchRuntime(Runtime):
    """The reference that the others are measured against; needs an fp32 bundle with weights."""

    name = "torch"
    modules = ("torch", "onnx", "onnxscript", "safetensors")
    distributions = ("torch",)
    install = 'pip install "manet-live[train]"'

    _network: Any = None
    _threads_before = 0

    def _activate(self) -> None:
        if self.bundle.card.precision != "fp32":
            raise BadInput("an fp32 bundle for the torch runtime", self.bundle.card.precision, "choose another runtime")
        import torch

        from engines.export.weights import read_network

        self._network = read_network(self.bundle)
        self._threads_before = torch.get_num_threads()
        if self.threads:
            torch.set_num_threads(self.threads)  # of the whole process; put back on close

    def _run(self, inputs: Inputs) -> Outputs:
        import torch

        with torch.inference_mode():
            outputs = self._network(*(torch.from_numpy(inputs[name]) for name in self.bundle.card.network.inputs))
        return {name: output.numpy() for name, output in outputs.items()}

    def _step_one(self, frame: UInt8Array, states: HostStates) -> Outputs:
        import torch

        before = {name: torch.from_numpy(array) for name, array in states.before.items()}
        with torch.inference_mode():
            outputs, after = self._network.predict(torch.from_numpy(frame[None]), before)
        for name, array in states.after.items():
            array[:] = after[name].numpy()
        return {name: output[0].numpy() for name, output in outputs.items()}

    def _close(self) -> None:
        import torch

        self._network = None
        torch.set_num_threads(self._threads_before)
