"""Our best CPU engine against ONNX Runtime in fp32."""

from benchmarks.best_engine import against
from benchmarks.harness import Result
from engines.specs.base import Spec


def run(network: Spec) -> Result:
    """One window, medians of one run."""
    return against("onnxruntime", network)
