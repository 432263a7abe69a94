"""Whether a runtime gives the bundle's reference logits."""

from __future__ import annotations

import numpy as np

from engines.bundle import Bundle
from engines.runtimes.base import Outputs, Runtime, RuntimeFailed


class ParityMismatch(RuntimeFailed):
    """A runtime does not give the bundle's reference logits; one line with the numbers."""

    def __init__(self, runtime: str, difference: float, allowed: float) -> None:
        super().__init__(
            f"{runtime} differs from the reference logits by {difference:.4g}, allowed {allowed:.4g}; "
            "its scores would mean nothing"
        )
        self.runtime, self.difference, self.allowed = runtime, difference, allowed


def check_parity(runtime: Runtime) -> float:
    """Largest difference from the bundle's reference logits.

    Raises:
        ParityMismatch: see `compare_with_reference`.
    """
    outputs = runtime.run(runtime.bundle.reference_arrays().inputs)
    return compare_with_reference(runtime.bundle, runtime.name, outputs)


def compare_with_reference(bundle: Bundle, runtime: str, outputs: Outputs) -> float:
    """Largest difference of these outputs for the bundle's reference inputs from its reference logits.

    Raises:
        ParityMismatch: that of an output is above the card's tolerance, relative to its largest reference logit.
    """
    largest = 0.0
    for name, wanted in bundle.reference_arrays().outputs.items():
        difference = float(np.abs(outputs[name] - wanted).max())
        allowed = bundle.card.parity.relative_tolerance * float(np.abs(wanted).max())
        if not difference <= allowed:
            raise ParityMismatch(runtime, difference, allowed)
        largest = max(largest, difference)
    return largest
